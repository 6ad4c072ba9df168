//! Random histories: the tables must hold what a map in memory holds.

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;
use tidemark_engine::{
    ErrorKind,
    change::{ChangeBatch, Op},
    schema::{Kind, StreamSchema},
    write::WriteMode,
};
use tidemark_test_servers::Database;

use super::{
    apply,
    changes::{Change, Said, batch, schema, text},
    database, open,
};

/// A wish for a change; what the model allows of it becomes one, or two.
#[derive(Debug, Clone)]
pub(super) struct Wish {
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

pub(super) type Row = Vec<Option<String>>;
pub(super) type Model = BTreeMap<i64, Row>;

/// Keys of one or two columns stay; a column widens by number, then text; a column comes and goes.
pub(super) fn schemas(wide: bool) -> [Arc<StreamSchema>; 4] {
    let (int, float, words) = (Kind::Int64, Kind::Float64, Kind::Text);
    let of = |a: Kind, c: Option<Kind>| {
        let mut fields = vec![("id", int.clone())];
        fields.extend(wide.then(|| ("part", words.clone())));
        fields.extend([("a", a), ("b", words.clone())]);
        fields.extend(c.map(|c| ("c", c)));
        schema("s", &fields, if wide { &["id", "part"] } else { &["id"] })
    };
    [
        of(int.clone(), None),
        of(Kind::Number, Some(int.clone())),
        of(Kind::Number, Some(float)),
        of(words.clone(), None),
    ]
}

pub(super) fn wish() -> impl Strategy<Value = Wish> {
    let wish = (0u8..22, 0i64..8, 0i64..8, -3i64..100, prop::option::of(0u8..4), any::<[bool; 3]>());
    wish.prop_map(|(action, key, to, a, b, unchanged)| Wish { action, key, to, a, b, unchanged })
}

fn steps() -> impl Strategy<Value = (bool, Vec<Step>)> {
    let step = (0usize..4, prop::collection::vec(wish(), 0..50), prop::bool::weighted(0.2));
    let step = step.prop_map(|(schema, wishes, reopen)| Step { schema, wishes, reopen });
    (any::<bool>(), prop::collection::vec(step, 1..6))
}

/// The key columns of key `key`.
pub(super) fn key_of(schema: &StreamSchema, key: i64) -> Vec<Said> {
    match schema.key().len() {
        1 => vec![text(key)],
        _ => vec![text(key / 3), text(["x", "X", "x "][(key % 3) as usize])],
    }
}

/// The changes that `wish` comes to, applied to `model`, whose rows are (a, b, c).
pub(super) fn happen(wish: &Wish, schema: &StreamSchema, model: &mut Model) -> Vec<Change> {
    let width = schema.fields().len();
    let parts = schema.key().len();
    let b = wish.b.map_or(Said::Null, |b| text(["", "x", "'\"\\N\t", "é\n"][b as usize]));
    let said = |key: i64| {
        let mut values = key_of(schema, key);
        values.extend([text(wish.a), b.clone()]);
        if width > parts + 2 {
            values.push(if schema.fields()[width - 1].kind == Kind::Float64 {
                text(format!("{:?}", wish.a as f64 / 4.0))
            } else {
                text(wish.a)
            });
        }
        values
    };
    let row = |values: &[Said], old: Option<&Row>| {
        let cell = |index: usize| match values.get(index + parts) {
            Some(Said::Text(text)) => Some(text.clone()),
            Some(Said::Null) => None,
            Some(Said::Unchanged) | None => old.and_then(|old| old[index].clone()),
        };
        (0..3).map(cell).collect::<Row>()
    };
    let partial = |to: i64| {
        let mut values = said(to);
        for (value, unchanged) in values[parts..].iter_mut().zip(wish.unchanged) {
            if unchanged {
                *value = Said::Unchanged;
            }
        }
        values
    };
    let exists = model.contains_key(&wish.key);
    match wish.action {
        0 => {
            model.clear();
            vec![Change::truncate(width)]
        }
        1..=3 if exists => {
            model.remove(&wish.key);
            let mut values = vec![Said::Unchanged; width];
            values[..parts].clone_from_slice(&key_of(schema, wish.key));
            vec![Change::delete(values)]
        }
        4..=11 if exists => {
            let to = if model.contains_key(&wish.to) { wish.key } else { wish.to };
            let values = partial(to);
            let old = model.remove(&wish.key);
            model.insert(to, row(&values, old.as_ref()));
            let old_key = (to != wish.key || wish.a % 2 == 0).then(|| key_of(schema, wish.key));
            vec![Change { old_key, ..Change::update(values) }]
        }
        // Two rows change places, as they may under a deferred constraint.
        12 if exists && wish.to != wish.key && model.contains_key(&wish.to) => {
            let (one, other) = (model.remove(&wish.key), model.remove(&wish.to));
            let moves = [(wish.key, wish.to, one), (wish.to, wish.key, other)].map(|(from, to, old)| {
                let values = partial(to);
                model.insert(to, row(&values, old.as_ref()));
                Change { old_key: Some(key_of(schema, from)), ..Change::update(values) }
            });
            moves.to_vec()
        }
        13.. if !exists => {
            let values = said(wish.key);
            model.insert(wish.key, row(&values, None));
            vec![if wish.a % 2 == 0 { Change::create(values) } else { Change::read(values) }]
        }
        _ => Vec::new(),
    }
}

/// The table as the model has it: numbers may have been written otherwise.
fn table(database: &Database<'_>, schema: &StreamSchema, has_c: bool) -> BTreeMap<Vec<Option<String>>, Row> {
    let key = schema.key_names().join(", ");
    let c = if has_c { "c::double precision" } else { "NULL" };
    let rows = database.query(&format!("SELECT {key}, a, b, {c} FROM s"));
    let by_key = rows.into_iter().map(|mut row| {
        let values = row.split_off(schema.key().len());
        (row, values)
    });
    by_key.collect()
}

fn expected(model: &Model, schema: &StreamSchema) -> BTreeMap<Vec<Option<String>>, Row> {
    let rows = model.iter().map(|(key, row)| {
        let key = key_of(schema, *key).into_iter().map(|part| match part {
            Said::Text(text) => Some(text),
            _ => None,
        });
        let mut row = row.clone();
        row[2] = row[2].as_ref().map(|c| c.parse::<f64>().unwrap().to_string());
        (key.collect(), row)
    });
    rows.collect()
}

async fn play(wide: bool, steps: Vec<Step>, mode: WriteMode) {
    let database = database();
    let schemas = schemas(wide);
    let (mut model, mut has_c) = (Model::new(), false);
    let mut history = Vec::new();
    let mut copy = open(&database, mode).await;
    for (step, at) in steps.iter().zip(0u64..) {
        let schema = &schemas[step.schema];
        let changes =
            step.wishes.iter().flat_map(|wish| happen(wish, schema, &mut model)).collect::<Vec<_>>();
        let (one, two) = changes.split_at(changes.len() / 2);
        let batches = vec![batch(schema, one, 0), batch(schema, two, one.len() as u64)];
        has_c |= schema.fields().len() > schema.key().len() + 2;
        apply(&mut copy, at, at + 1, batches.clone()).await.unwrap();
        if step.reopen {
            copy = open(&database, mode).await;
            let again = apply(&mut copy, at, at + 1, batches.clone()).await.unwrap_err();
            assert_eq!(again.kind(), ErrorKind::Conflict);
            copy = open(&database, mode).await;
        }
        history.push((batches, changes));
        match mode {
            WriteMode::Mirror => assert_eq!(table(&database, schema, has_c), expected(&model, schema)),
            _ => assert_history(&database, &history),
        }
    }
    drop(copy);
    // A replay from the beginning over what is there comes to the same.
    database.execute("DELETE FROM _tidemark.positions");
    let mut copy = open(&database, mode).await;
    for ((batches, _), at) in history.iter().zip(0u64..) {
        apply(&mut copy, at, at + 1, batches.clone()).await.unwrap();
    }
    match mode {
        // A row that moves takes what it keeps from whatever stands under its old key by now: a replay over later rows is
        // only offered into a new destination.
        WriteMode::Mirror if history.iter().flat_map(|(_, changes)| changes).any(moves) => {}
        WriteMode::Mirror => assert_eq!(table(&database, &schemas[0], has_c), expected(&model, &schemas[0])),
        _ => assert_history(&database, &history),
    }
}

/// Whether the change moves a row to another key.
fn moves(change: &Change) -> bool {
    change.old_key.as_ref().is_some_and(|old| !change.values.starts_with(old))
}

fn assert_history(database: &Database<'_>, history: &[(Vec<ChangeBatch>, Vec<Change>)]) {
    let mut expected = Vec::new();
    for ((batches, changes), at) in history.iter().zip(1u64..) {
        let fields = batches[0].schema().fields();
        for (change, ordinal) in changes.iter().zip(0u64..) {
            let names = fields.iter().zip(&change.values).filter(|(_, said)| **said == Said::Unchanged);
            let names = names.map(|(field, _)| format!("\"{}\"", field.name)).collect::<Vec<_>>().join(",");
            let said =
                |name: &str| match change.values.get(fields.iter().position(|field| field.name == name)?)? {
                    Said::Text(text) => Some(text.clone()),
                    _ => None,
                };
            expected.push(vec![
                Some(format!("testlog00000-{at:012}-{ordinal:09}")),
                Some(change.op.as_str().to_owned()),
                None,
                (!names.is_empty()).then(|| format!("[{names}]")),
                said("id"),
                said("a"),
                said("b"),
            ]);
        }
    }
    let metadata = "_tidemark_position, _tidemark_op, _tidemark_source_time, _tidemark_unchanged";
    assert_eq!(database.query(&format!("SELECT {metadata}, id, a, b FROM s ORDER BY 1")), expected);
}

pub(super) fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
}

/// The first truncate of an unknown table has no rows to forget; every operation is met all the same.
#[test]
fn wishes_come_to_every_operation() {
    let wish = |action, key, to| Wish { action, key, to, a: 1, b: None, unchanged: [true, false, false] };
    let mut model = Model::new();
    let schema = &schemas(true)[1];
    let ops = [wish(13, 1, 0), wish(13, 2, 0), wish(12, 1, 2), wish(5, 1, 3), wish(1, 3, 0), wish(0, 0, 0)];
    let changes = ops.iter().flat_map(|wish| happen(wish, schema, &mut model)).collect::<Vec<_>>();
    assert_eq!(changes.len(), 7);
    assert!(changes.iter().any(|change| change.op == Op::Truncate) && changes.iter().any(moves));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mirror_holds_what_the_source_holds((wide, steps) in steps()) {
        block_on(play(wide, steps, WriteMode::Mirror));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn append_holds_every_change_once((wide, steps) in steps()) {
        block_on(play(wide, steps, WriteMode::Append));
    }
}
