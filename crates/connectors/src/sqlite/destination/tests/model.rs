//! Random histories: the tables must hold what a map in memory holds.

use std::{collections::BTreeMap, path::Path};

use proptest::prelude::*;
use tidemark_engine::{
    ErrorKind,
    change::Op,
    schema::{Kind, StreamSchema},
    write::WriteMode,
};

use super::{apply, connect, open, rows};
use crate::tables::stories::{
    changes::{Change, Said, batch, text},
    source::schemas,
};

/// A wish for a change; what the model allows of it becomes one.
#[derive(Debug, Clone)]
struct Wish {
    action: u8,
    key: i64,
    to: i64,
    a: i64,
    b: Option<u8>,
    unchanged: [bool; 3],
}

#[derive(Debug, Clone)]
struct Step {
    /// Which of the schemas, each wider than the one before.
    schema: usize,
    wishes: Vec<Wish>,
    reopen: bool,
}

type Model = BTreeMap<i64, Vec<Option<String>>>;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let wish = (0u8..20, 0i64..6, 0i64..6, -3i64..100, prop::option::of(0u8..4), any::<[bool; 3]>());
    let wish = wish.prop_map(|(action, key, to, a, b, unchanged)| Wish { action, key, to, a, b, unchanged });
    let step = (0usize..4, prop::collection::vec(wish, 0..12), any::<bool>());
    let step = step.prop_map(|(schema, wishes, reopen)| Step { schema, wishes, reopen });
    prop::collection::vec(step, 1..6)
}

/// The change that `wish` comes to, applied to `model`, whose rows are (a, b, c).
fn happen(wish: &Wish, schema: &StreamSchema, model: &mut Model) -> Option<Change> {
    let has_c = schema.fields().len() > 3;
    let b = wish.b.map_or(Said::Null, |b| text(["", "x", "'\"\0", "é\n"][b as usize]));
    let said = |key: i64| {
        let mut values = vec![text(key), text(wish.a), b.clone()];
        if has_c {
            let is_float = schema.fields()[3].kind == Kind::Float64;
            values.push(if is_float { text(format!("{:?}", wish.a as f64 / 4.0)) } else { text(wish.a) });
        }
        values
    };
    let row = |values: &[Said], old: Option<&Vec<Option<String>>>| {
        let cell = |index: usize| match values.get(index + 1) {
            Some(Said::Text(text)) => Some(text.clone()),
            Some(Said::Null) => None,
            Some(Said::Unchanged) | None => old.and_then(|old| old[index].clone()),
        };
        (0..3).map(cell).collect::<Vec<_>>()
    };
    let exists = model.contains_key(&wish.key);
    match wish.action {
        0 => {
            model.clear();
            let values = vec![Said::Null; schema.fields().len()];
            Some(Change { op: Op::Truncate, old_key: None, values })
        }
        1..=3 if exists => {
            model.remove(&wish.key);
            let mut values = vec![Said::Unchanged; schema.fields().len()];
            values[0] = text(wish.key);
            Some(Change { op: Op::Delete, old_key: None, values })
        }
        4..=12 if exists => {
            let to = if model.contains_key(&wish.to) { wish.key } else { wish.to };
            let mut values = said(to);
            for (value, unchanged) in values[1..].iter_mut().zip(wish.unchanged) {
                if unchanged {
                    *value = Said::Unchanged;
                }
            }
            let old = model.remove(&wish.key);
            model.insert(to, row(&values, old.as_ref()));
            let old_key = (to != wish.key || wish.a % 2 == 0).then_some(wish.key);
            Some(Change { op: Op::Update, old_key, values })
        }
        13.. if !exists => {
            let values = said(wish.key);
            model.insert(wish.key, row(&values, None));
            let op = if wish.a % 2 == 0 { Op::Create } else { Op::Read };
            Some(Change { op, old_key: None, values })
        }
        _ => None,
    }
}

fn table(folder: &Path, has_c: bool) -> Model {
    let query = if has_c { "SELECT id, a, b, c FROM s" } else { "SELECT id, a, b, NULL FROM s" };
    let by_key = rows(folder, query).into_iter().map(|mut row| {
        let values = row.split_off(1);
        (row.remove(0).unwrap().parse().unwrap(), values)
    });
    by_key.collect()
}

async fn play(steps: Vec<Step>, mode: WriteMode) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let schemas = schemas();
    let (mut model, mut has_c, mut seen) = (Model::new(), false, false);
    let mut history = Vec::new();
    let mut destination = open(folder, mode).await;
    for (step, at) in steps.iter().zip(0u64..) {
        let schema = &schemas[step.schema];
        let changes =
            step.wishes.iter().filter_map(|wish| happen(wish, schema, &mut model)).collect::<Vec<_>>();
        let (one, two) = changes.split_at(changes.len() / 2);
        let batches = vec![batch(schema, one, 0), batch(schema, two, one.len() as u64)];
        has_c |= schema.fields().len() > 3;
        seen = true;
        apply(&mut destination, at, at + 1, batches.clone()).await.unwrap();
        if step.reopen {
            destination = open(folder, mode).await;
            let again = apply(&mut destination, at, at + 1, batches.clone()).await.unwrap_err();
            assert_eq!(again.kind(), ErrorKind::Conflict);
            destination = open(folder, mode).await;
        }
        history.push((batches, changes));
        match mode {
            WriteMode::Mirror => assert_eq!(table(folder, has_c), model),
            _ => assert_history(folder, &history, has_c),
        }
    }
    drop(destination);
    // A replay from the beginning over what is there comes to the same.
    connect(folder).execute("DELETE FROM _tidemark_positions", []).unwrap();
    let mut destination = open(folder, mode).await;
    for ((batches, _), at) in history.iter().zip(0u64..) {
        apply(&mut destination, at, at + 1, batches.clone()).await.unwrap();
    }
    match mode {
        // A row that moves takes what it keeps from whatever stands under its old key by now: a replay over later rows is
        // only offered into a new destination.
        WriteMode::Mirror if history.iter().flat_map(|(_, changes)| changes).any(moves) => {}
        WriteMode::Mirror => assert!(!seen || table(folder, has_c) == model),
        _ => assert_history(folder, &history, has_c),
    }
}

/// Whether the change moves a row to another key.
fn moves(change: &Change) -> bool {
    change.old_key.is_some_and(|old| change.values[0] != text(old))
}

fn assert_history(
    folder: &Path,
    history: &[(Vec<tidemark_engine::change::ChangeBatch>, Vec<Change>)],
    has_c: bool,
) {
    let mut expected = Vec::new();
    for ((_, changes), at) in history.iter().zip(1u64..) {
        for (change, ordinal) in changes.iter().zip(0u64..) {
            let names = ["id", "a", "b", "c"].iter().zip(&change.values);
            let unchanged =
                names.filter(|(_, said)| **said == Said::Unchanged).map(|(name, _)| format!("\"{name}\""));
            let unchanged = unchanged.collect::<Vec<_>>().join(",");
            let mut row = vec![
                Some(format!("testlog00000-{at:012}-{ordinal:09}")),
                Some(change.op.as_str().to_owned()),
                None,
                (!unchanged.is_empty()).then(|| format!("[{unchanged}]")),
            ];
            row.extend(change.values.iter().map(|said| match said {
                Said::Text(text) => Some(text.clone()),
                _ => None,
            }));
            row.resize(if has_c { 8 } else { 7 }, None);
            expected.push(row);
        }
    }
    let metadata = "_tidemark_position, _tidemark_op, _tidemark_source_time, _tidemark_unchanged";
    let c = if has_c { ", c" } else { "" };
    assert_eq!(rows(folder, &format!("SELECT {metadata}, id, a, b{c} FROM s ORDER BY 1")), expected);
}

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn mirror_holds_what_the_source_holds(steps in steps()) {
        block_on(play(steps, WriteMode::Mirror));
    }

    #[test]
    fn append_holds_every_change_once(steps in steps()) {
        block_on(play(steps, WriteMode::Append));
    }
}

#[tokio::test]
async fn keys_can_be_swapped_and_shifted() {
    let folder = tempfile::tempdir().unwrap();
    let schema = &schemas()[0];
    let create = |id: i64, b: &str| Change {
        op: Op::Create,
        old_key: None,
        values: vec![text(id), text(id), text(b)],
    };
    let moved = |from: i64, to: i64, a: Said| {
        let values = vec![text(to), a, Said::Unchanged];
        Change { op: Op::Update, old_key: Some(from), values }
    };
    let mut destination = open(folder.path(), WriteMode::Mirror).await;
    let rows_are = |expected: &[(i64, i64, &str)]| {
        let expected = expected
            .iter()
            .map(|(id, a, b)| vec![Some(id.to_string()), Some(a.to_string()), Some(b.to_string())])
            .collect::<Vec<_>>();
        assert_eq!(rows(folder.path(), "SELECT id, a, b FROM s ORDER BY id"), expected);
    };
    let made = batch(schema, &[create(1, "A"), create(2, "B"), create(3, "C")], 0);
    apply(&mut destination, 0, 1, vec![made]).await.unwrap();
    let swap = batch(schema, &[moved(1, 2, text(10)), moved(2, 1, Said::Unchanged)], 0);
    apply(&mut destination, 1, 2, vec![swap]).await.unwrap();
    rows_are(&[(1, 2, "B"), (2, 10, "A"), (3, 3, "C")]);
    let shift = (1..4).map(|id| moved(id, id + 1, Said::Unchanged)).collect::<Vec<_>>();
    // The displaced row waits across batches.
    apply(&mut destination, 2, 3, vec![batch(schema, &shift[..1], 0), batch(schema, &shift[1..], 1)])
        .await
        .unwrap();
    rows_are(&[(2, 2, "B"), (3, 10, "A"), (4, 3, "C")]);
    let delete =
        Change { op: Op::Delete, old_key: None, values: vec![text(3), Said::Unchanged, Said::Unchanged] };
    let displaced = batch(schema, &[moved(2, 3, Said::Unchanged), delete], 0);
    apply(&mut destination, 3, 4, vec![displaced]).await.unwrap();
    rows_are(&[(3, 2, "B"), (4, 3, "C")]);
}

/// A deferred key lets a row be displaced only within a transaction; a replay meets rows as they became later.
#[tokio::test]
async fn a_replay_from_the_middle_converges() {
    let folder = tempfile::tempdir().unwrap();
    let schema = &schemas()[0];
    let change = |op, old_key, values: [Said; 3]| Change { op, old_key, values: values.to_vec() };
    let kept = || Said::Unchanged;
    let units = [
        vec![
            change(Op::Create, None, [text(1), text(1), text("A")]),
            change(Op::Create, None, [text(5), text(5), text("E")]),
        ],
        vec![
            change(Op::Update, Some(1), [text(2), kept(), kept()]),
            change(Op::Update, Some(2), [text(3), text(7), kept()]),
        ],
        vec![change(Op::Update, None, [text(5), text(6), kept()])],
        vec![
            change(Op::Create, None, [text(2), text(2), text("B")]),
            change(Op::Delete, None, [text(5), kept(), kept()]),
        ],
    ];
    let mut copy = open(folder.path(), WriteMode::Mirror).await;
    for (changes, at) in units.iter().zip(0..) {
        apply(&mut copy, at, at + 1, vec![batch(schema, changes, 0)]).await.unwrap();
    }
    let expected = table(folder.path(), false);
    // From 1 the name of the row that moves twice would be known to nobody: such a replay needs the state as of its start.
    for from in [0, 2, 3] {
        let sql = format!(
            "UPDATE _tidemark_positions SET sequence = {from}, hash = '{}'",
            super::position(from).hash
        );
        connect(folder.path()).execute(&sql, []).unwrap();
        let mut copy = open(folder.path(), WriteMode::Mirror).await;
        for (changes, at) in units.iter().zip(0..).skip(from as usize) {
            apply(&mut copy, at, at + 1, vec![batch(schema, changes, 0)]).await.unwrap();
        }
        assert_eq!(table(folder.path(), false), expected, "from {from}");
    }
}
