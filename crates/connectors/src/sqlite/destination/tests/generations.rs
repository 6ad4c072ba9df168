//! Streams that are read anew: their shadows take the places of their tables.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tidemark_engine::{
    Time,
    change::Op,
    contract::write::{delivery, position, standing},
    read::Phase,
    schema::{Kind, StreamName},
    write::{Anew, Delivery, Standing, Unit, WriteMode, WriteStrategy},
};

use super::{Destination, apply, connect, destination, log, open, rows, writing};
use crate::tables::stories::{
    changes::{Change, Said, batch, schema, text},
    source::unit_of,
};

type Row = Vec<Option<String>>;
/// What is read of a stream: `a` and `b` by key.
type Read = BTreeMap<i64, (i64, Option<u8>)>;

fn record(op: Op, id: i64, (a, b): (i64, Option<u8>)) -> Change {
    Change { op, old_key: None, values: vec![text(id), text(a), b.map_or(Said::Null, text)] }
}

fn change(op: Op, values: [Said; 3]) -> Change {
    Change { op, old_key: None, values: values.to_vec() }
}

/// A delivery of stream `s` whose column `a` is of `kind`.
fn of(sequence: u64, phase: Phase, kind: &Kind, key: &[&str], changes: &[Change]) -> Delivery {
    let schema = schema("s", &[("id", Kind::Int64), ("a", kind.clone()), ("b", Kind::Text)], key);
    Delivery { phase, ..delivery(sequence, batch(&schema, changes, 0)) }
}

fn time(sequence: u64) -> Time {
    delivery(sequence, batch(&schema("s", &[("id", Kind::Int64)], &["id"]), &[], 0)).watermarks.at(0).unwrap()
}

fn told(time: Time) -> Option<String> {
    Some(time.to_string())
}

/// The standing after `sequence` while `s` is filled anew from commit 10 on, and has come to `after`.
fn filling(sequence: u64, after: u64, waits: bool) -> Standing {
    let anew = Anew { from: 10, after, until: None, waits, schema: None, time: time(20) };
    Standing { anew: [(StreamName::new("s"), anew)].into(), ..standing(sequence) }
}

/// Has `destination`, which stands at 9, filled anew with `shadow`: units of deliveries.
async fn fill(destination: &mut Destination, shadow: Vec<Vec<Delivery>>) {
    fill_to(destination, shadow).await.unwrap();
}

async fn fill_to(destination: &mut Destination, shadow: Vec<Vec<Delivery>>) -> tidemark_engine::Result<()> {
    let noted = filling(20, 10, false);
    destination.apply(&mut unit_of(standing(9), noted.clone(), Vec::new())).await?;
    let (mut begin, mut after) = (noted, 10);
    let last = shadow.len();
    for (deliveries, index) in shadow.into_iter().zip(1..) {
        after += 1;
        let end = if index == last { standing(20) } else { filling(20, after, false) };
        destination.apply(&mut unit_of(begin, end.clone(), deliveries).into_shadows()).await?;
        assert_eq!(destination.open(&log()).await?, Some(end.clone()), "the standing moves with the shadow");
        begin = end;
    }
    Ok(())
}

/// Counts what is written to the table `s`, whatever by.
const WATCH: &str = "
    CREATE TABLE touched (id INTEGER);
    CREATE TRIGGER i AFTER INSERT ON s BEGIN INSERT INTO touched VALUES (new.id); END;
    CREATE TRIGGER u AFTER UPDATE ON s BEGIN INSERT INTO touched VALUES (new.id); END;
    CREATE TRIGGER d AFTER DELETE ON s BEGIN INSERT INTO touched VALUES (old.id); END;";

fn reads() -> impl Strategy<Value = Read> {
    prop::collection::btree_map(0i64..6, (0i64..3, prop::option::of(0u8..2)), 0..6)
}

fn row(id: i64, (a, b): (i64, Option<u8>)) -> Row {
    vec![Some(id.to_string()), Some(a.to_string()), b.map(|b| b.to_string())]
}

async fn resync(before: Read, deleted: Vec<i64>, after: Read, cut: usize, mode: WriteMode) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (kind, key) = (Kind::Int64, ["id"].as_slice());
    let mut copy = open(folder, mode).await;
    let made = |op, read: &Read| read.iter().map(|(id, it)| record(op, *id, *it)).collect::<Vec<_>>();
    let first = of(1, Phase::InitialSync, &kind, key, &made(Op::Read, &before));
    let deletes = deleted.iter().filter(|id| before.contains_key(id));
    let deletes = deletes.map(|id| change(Op::Delete, [text(id), Said::Unchanged, Said::Unchanged]));
    let second = of(5, Phase::Changes, &kind, key, &deletes.collect::<Vec<_>>());
    copy.apply(&mut unit_of(standing(0), standing(9), vec![first, second])).await.unwrap();
    connect(folder).execute_batch(WATCH).unwrap();
    let is_gone = |id: &i64| deleted.contains(id);

    let all = made(Op::Read, &after);
    let (one, two) = all.split_at(cut.min(all.len()));
    let shadow = vec![
        vec![of(11, Phase::InitialSync, &kind, key, one)],
        vec![of(12, Phase::InitialSync, &kind, key, two)],
        vec![],
    ];
    fill(&mut copy, shadow).await;

    let shown = rows(folder, "SELECT id, a, b FROM s ORDER BY id");
    let fresh = after.iter().map(|(id, it)| row(*id, *it)).collect::<Vec<_>>();
    let mut expected = Vec::new();
    match mode {
        WriteMode::Mirror | WriteMode::Replace => assert_eq!(shown, fresh),
        WriteMode::SoftDelete => {
            for id in 0..6 {
                let (old, new) = (before.get(&id), after.get(&id));
                let gone = if is_gone(&id) { told(time(5)) } else { told(time(20)) };
                let shown = match (old, new) {
                    (_, Some(new)) => [row(id, *new), vec![None]].concat(),
                    (Some(old), None) => [row(id, *old), vec![gone]].concat(),
                    (None, None) => continue,
                };
                expected.push(shown);
            }
            assert_eq!(rows(folder, "SELECT id, a, b, _tidemark_deleted_at FROM s ORDER BY id"), expected);
        }
        _ => {
            for id in 0..6 {
                let read_at = if after.keys().position(|it| *it == id) < Some(cut) { 11 } else { 12 };
                let (old, new) = (before.get(&id), after.get(&id));
                let is_same = old == new && !is_gone(&id);
                if let Some(old) = old {
                    let to = match new {
                        _ if is_gone(&id) => told(time(5)),
                        Some(_) if is_same => None,
                        Some(_) => told(time(read_at)),
                        None => told(time(20)),
                    };
                    expected.push([row(id, *old), vec![told(time(1)), to]].concat());
                }
                if let (Some(new), false) = (new, is_same) {
                    expected.push([row(id, *new), vec![told(time(read_at)), None]].concat());
                }
            }
            let versions = "SELECT id, a, b, _tidemark_valid_from, _tidemark_valid_to FROM s ORDER BY id, 4";
            assert_eq!(rows(folder, versions), expected);
        }
    }
    // What is equal is not written again.
    let is_equal = |id: &i64| before.get(id) == after.get(id) && !is_gone(id);
    for touched in rows(folder, "SELECT id FROM touched") {
        let id = touched[0].as_ref().unwrap().parse().unwrap();
        assert!(!is_equal(&id), "the record {id} is as it was");
    }
    let ours = "SELECT name FROM sqlite_schema WHERE name LIKE '\\_tidemark\\_shadow%' ESCAPE '\\'";
    assert_eq!(rows(folder, ours), Vec::<Row>::new(), "the shadow is gone");

    // It goes on from there.
    let next = [record(Op::Create, 7, (7, None)), change(Op::Delete, [text(8), Said::Null, Said::Null])];
    let next = of(21, Phase::Changes, &kind, key, &next);
    copy.apply(&mut unit_of(standing(20), standing(21), vec![next])).await.unwrap();
    assert_eq!(rows(folder, "SELECT a FROM s WHERE id = 7"), [[Some("7".to_owned())]]);
}

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_new_reading_takes_the_place_of_the_former_one(
        before in reads(),
        deleted in prop::collection::vec(0i64..6, 0..2),
        after in reads(),
        cut in 0usize..6,
    ) {
        for mode in [WriteMode::Mirror, WriteMode::SoftDelete, WriteMode::History, WriteMode::Replace] {
            block_on(resync(before.clone(), deleted.clone(), after.clone(), cut, mode));
        }
    }
}

#[tokio::test]
async fn changes_go_on_beside_the_shadow() {
    for mode in [WriteMode::Mirror, WriteMode::SoftDelete, WriteMode::History] {
        let folder = tempfile::tempdir().unwrap();
        let (kind, key) = (Kind::Int64, ["id"].as_slice());
        let mut copy = open(folder.path(), mode).await;
        let first = of(1, Phase::InitialSync, &kind, key, &[record(Op::Read, 1, (1, None))]);
        copy.apply(&mut unit_of(standing(0), filling(20, 10, false), vec![first])).await.unwrap();
        let read = of(11, Phase::InitialSync, &kind, key, &[record(Op::Read, 1, (1, None))]);
        let unit = unit_of(filling(20, 10, false), filling(20, 11, false), vec![read]);
        copy.apply(&mut unit.into_shadows()).await.unwrap();
        let update = || of(21, Phase::Changes, &kind, key, &[record(Op::Update, 1, (2, None))]);
        let live = unit_of(filling(20, 11, false), filling(21, 11, false), vec![update()]);
        copy.apply(&mut { live }).await.unwrap();
        let current = || rows(folder.path(), "SELECT id, a, b FROM s ORDER BY a DESC LIMIT 1");
        assert_eq!(current(), [row(1, (2, None))], "{mode:?}");
        // The shadow gets the same change, and stands where the table does.
        let last = unit_of(filling(21, 11, false), standing(21), vec![update()]);
        copy.apply(&mut last.into_shadows()).await.unwrap();
        assert_eq!(current(), [row(1, (2, None))], "{mode:?}");
        if mode == WriteMode::History {
            let versions = rows(folder.path(), "SELECT a, _tidemark_valid_to FROM s ORDER BY a");
            assert_eq!(versions, [vec![Some("1".into()), told(time(21))], vec![Some("2".into()), None]]);
        }
    }
}

#[tokio::test]
async fn a_generation_that_begins_anew_voids_the_shadow() {
    let folder = tempfile::tempdir().unwrap();
    let (kind, key) = (Kind::Int64, ["id"].as_slice());
    let mut copy = open(folder.path(), WriteMode::Mirror).await;
    let read = |id| vec![of(11, Phase::InitialSync, &kind, key, &[record(Op::Read, id, (1, None))])];
    copy.apply(&mut unit_of(standing(0), filling(20, 10, true), Vec::new())).await.unwrap();
    let unit = unit_of(filling(20, 10, true), filling(20, 11, true), read(1));
    copy.apply(&mut unit.into_shadows()).await.unwrap();
    let mut other = filling(21, 21, true);
    other.anew.values_mut().for_each(|anew| anew.from = 21);
    copy.apply(&mut unit_of(filling(20, 11, true), other.clone(), Vec::new())).await.unwrap();
    copy.apply(&mut unit_of(other, standing(21), read(2)).into_shadows()).await.unwrap();
    assert_eq!(rows(folder.path(), "SELECT id, a, b FROM s"), [row(2, (1, None))]);
}

#[tokio::test]
async fn an_error_leaves_the_former_generation() {
    let folder = tempfile::tempdir().unwrap();
    let (kind, key) = (Kind::Int64, ["id"].as_slice());
    let mut copy = open(folder.path(), WriteMode::Mirror).await;
    let first = of(1, Phase::InitialSync, &kind, key, &[record(Op::Read, 1, (1, None))]);
    copy.apply(&mut unit_of(standing(0), filling(20, 10, true), vec![first])).await.unwrap();
    connect(folder.path()).execute_batch("CREATE UNIQUE INDEX one ON s (a)").unwrap();
    let read = [record(Op::Read, 2, (2, None)), record(Op::Read, 3, (2, None))];
    let read = || vec![of(11, Phase::InitialSync, &kind, key, &read)];
    let unit = || unit_of(filling(20, 10, true), standing(20), read()).into_shadows();
    let error = copy.apply(&mut unit()).await.unwrap_err();
    assert_eq!(error.stream(), Some(&StreamName::new("s")), "the others may go on: {error}");
    assert_eq!(copy.open(&log()).await.unwrap(), Some(filling(20, 10, true)));
    assert_eq!(rows(folder.path(), "SELECT id, a, b FROM s"), [row(1, (1, None))]);
    connect(folder.path()).execute_batch("DROP INDEX one").unwrap();
    copy.apply(&mut unit()).await.unwrap();
    assert_eq!(rows(folder.path(), "SELECT id, a, b FROM s"), [row(2, (2, None)), row(3, (2, None))]);
}

/// What is equal to SQLite may not be equal.
#[tokio::test]
async fn values_are_compared_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let mut copy = open(folder.path(), WriteMode::Mirror).await;
    let key = ["id"].as_slice();
    let first = of(1, Phase::InitialSync, &Kind::Int64, key, &[record(Op::Read, 1, (1, None))]);
    copy.apply(&mut unit_of(standing(0), standing(9), vec![first])).await.unwrap();
    let read = [change(Op::Read, [text(1), text("1.0"), Said::Null])];
    fill(&mut copy, vec![vec![of(11, Phase::InitialSync, &Kind::Float64, key, &read)]]).await;
    assert_eq!(rows(folder.path(), "SELECT typeof(a) FROM s"), [[Some("real".to_owned())]]);

    // The wider column of the table stays, and what is read is written as it asks for.
    let read = [change(Op::Read, [text(1), text("1.10"), Said::Null])];
    let unit = unit_of(standing(20), standing(21), vec![of(21, Phase::Changes, &Kind::Text, key, &read)]);
    copy.apply(&mut { unit }).await.unwrap();
    let noted = filling(21, 10, true);
    copy.apply(&mut unit_of(standing(21), noted.clone(), Vec::new())).await.unwrap();
    let read = of(11, Phase::InitialSync, &Kind::Int64, key, &[record(Op::Read, 1, (5, None))]);
    copy.apply(&mut unit_of(noted, standing(21), vec![read]).into_shadows()).await.unwrap();
    assert_eq!(rows(folder.path(), "SELECT a, typeof(a) FROM s"), [[Some("5".into()), Some("text".into())]]);
}

#[tokio::test]
async fn a_new_reading_may_have_another_key() {
    for mode in [WriteMode::Mirror, WriteMode::SoftDelete, WriteMode::History, WriteMode::Replace] {
        let folder = tempfile::tempdir().unwrap();
        let mut copy = open(folder.path(), mode).await;
        let kind = Kind::Int64;
        let first = [record(Op::Read, 1, (1, Some(1))), record(Op::Read, 2, (1, Some(0)))];
        let first = of(1, Phase::InitialSync, &kind, &["id"], &first);
        copy.apply(&mut unit_of(standing(0), standing(9), vec![first])).await.unwrap();
        let next = of(10, Phase::Changes, &kind, &["a", "b"], &[record(Op::Create, 3, (1, Some(1)))]);
        let error = copy.apply(&mut unit_of(standing(9), standing(10), vec![next])).await.unwrap_err();
        assert_eq!(error.to_string(), "table `s` has the key `id`, but its stream now asks for `a`, `b`");
        copy.open(&log()).await.unwrap();

        connect(folder.path())
            .execute_batch("CREATE VIEW seen AS SELECT id FROM s; CREATE INDEX b ON s (b)")
            .unwrap();
        let read = [record(Op::Read, 1, (1, Some(1))), record(Op::Read, 1, (2, Some(1)))];
        fill(&mut copy, vec![vec![of(11, Phase::InitialSync, &kind, &["a", "b"], &read)]]).await;
        let next = of(21, Phase::Changes, &kind, &["a", "b"], &[record(Op::Update, 9, (2, Some(1)))]);
        copy.apply(&mut unit_of(standing(20), standing(21), vec![next])).await.unwrap();
        let shown = rows(folder.path(), "SELECT id, a, b FROM s ORDER BY id, a");
        let now = [row(1, (1, Some(1))), row(9, (2, Some(1)))];
        match mode {
            WriteMode::History => {
                let valid = "SELECT id, a, b FROM s WHERE _tidemark_valid_to IS NULL ORDER BY id, a";
                assert_eq!(rows(folder.path(), valid), now);
                assert_eq!(shown.len(), 4, "{shown:?}");
            }
            _ => assert_eq!(shown, now, "{mode:?}"),
        }
        assert!(!rows(folder.path(), "SELECT id FROM seen").is_empty(), "what others made is there");
        assert_eq!(rows(folder.path(), "SELECT name FROM sqlite_schema WHERE name = 'b'").len(), 1);
    }
}

#[tokio::test]
async fn a_stream_without_a_key_is_replaced_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut copy = open(folder.path(), WriteMode::Replace).await;
    let read = [record(Op::Read, 1, (1, None)), record(Op::Read, 1, (1, None))];
    copy.apply(&mut unit_of(standing(0), standing(9), Vec::new())).await.unwrap();
    let shadow = vec![vec![of(11, Phase::InitialSync, &Kind::Int64, &[], &read)], vec![]];
    fill(&mut copy, shadow).await;
    let shown = || rows(folder.path(), "SELECT id, a, b FROM s");
    assert_eq!(shown(), [row(1, (1, None)), row(1, (1, None))]);
    // The next reading finds nothing.
    copy.apply(&mut unit_of(standing(20), filling(20, 10, true), Vec::new())).await.unwrap();
    let unit = unit_of(filling(20, 10, true), standing(20), Vec::new());
    copy.apply(&mut unit.into_shadows()).await.unwrap();
    assert_eq!(shown(), Vec::<Row>::new());
}

#[tokio::test]
async fn adopted_tables_are_given_what_was_read_as_they_are() {
    for mode in [WriteMode::Mirror, WriteMode::SoftDelete, WriteMode::History, WriteMode::Replace] {
        let folder = tempfile::tempdir().unwrap();
        let sql =
            "CREATE TABLE s (mine DEFAULT 7, b VARCHAR(9), a VARCHAR(9), id INT, _tidemark_deleted_at TEXT,
                       _tidemark_position TEXT UNIQUE, _tidemark_valid_from TEXT, _tidemark_valid_to TEXT);
                   CREATE INDEX k ON s (id)";
        connect(folder.path()).execute_batch(sql).unwrap();
        if mode != WriteMode::History {
            connect(folder.path()).execute_batch("CREATE UNIQUE INDEX u ON s (id)").unwrap();
        }
        let mut adopting = writing(mode);
        adopting.adopt = true;
        let mut copy = destination(folder.path(), adopting);
        copy.open(&log()).await.unwrap();
        let kind = Kind::Int64;
        let first = [record(Op::Read, 1, (1, None)), record(Op::Read, 2, (2, None))];
        let first = of(1, Phase::InitialSync, &kind, &["id"], &first);
        copy.apply(&mut unit_of(standing(0), standing(9), vec![first])).await.unwrap();
        let read = [record(Op::Read, 2, (2, None)), record(Op::Read, 3, (3, Some(3)))];
        fill(&mut copy, vec![vec![of(11, Phase::InitialSync, &kind, &["id"], &read)]]).await;
        let there = match mode {
            WriteMode::SoftDelete => "WHERE _tidemark_deleted_at IS NULL",
            WriteMode::History => "WHERE _tidemark_valid_to IS NULL",
            _ => "",
        };
        let shown = rows(folder.path(), &format!("SELECT id, a, b, mine FROM s {there} ORDER BY id"));
        let mine = || vec![Some("7".to_owned())];
        let expected = [[row(2, (2, None)), mine()].concat(), [row(3, (3, Some(3))), mine()].concat()];
        assert_eq!(shown, expected, "{mode:?}");
    }
}

/// A column that makes integers of whole floats makes them of both, and equal versions go on.
#[tokio::test]
async fn versions_go_on_in_an_adopted_column_that_alters_floats() {
    let folder = tempfile::tempdir().unwrap();
    let sql = "CREATE TABLE s (id INT, a NUMERIC(9, 2), b TEXT, _tidemark_position TEXT UNIQUE, _tidemark_valid_from TEXT,
                   _tidemark_valid_to TEXT);
               CREATE INDEX k ON s (id)";
    connect(folder.path()).execute_batch(sql).unwrap();
    let mut copy = open(folder.path(), WriteMode::History).await;
    let read = || [record(Op::Read, 1, (1, None)), record(Op::Read, 2, (2, None))];
    let first = of(1, Phase::InitialSync, &Kind::Float64, &["id"], &read());
    copy.apply(&mut unit_of(standing(0), standing(9), vec![first])).await.unwrap();
    let shown = || rows(folder.path(), "SELECT *, typeof(a) FROM s ORDER BY id, _tidemark_position");
    let before = shown();
    assert_eq!(before.len(), 2);
    fill(&mut copy, vec![vec![of(11, Phase::InitialSync, &Kind::Float64, &["id"], &read())]]).await;
    assert_eq!(shown(), before);
}

#[tokio::test]
async fn a_table_of_another_mode_is_refused() {
    let modes =
        [WriteMode::Append, WriteMode::Mirror, WriteMode::SoftDelete, WriteMode::History, WriteMode::Replace];
    for (made, asked) in modes.into_iter().flat_map(|made| modes.map(|asked| (made, asked))) {
        let folder = tempfile::tempdir().unwrap();
        let mut copy = open(folder.path(), made).await;
        let changes =
            || of(1, Phase::Changes, &Kind::Int64, &["id"], &[record(Op::Create, 1, (1, None))]).changes;
        apply(&mut copy, 0, 1, vec![changes()]).await.unwrap();
        drop(copy);
        let config = crate::sqlite::DestinationConfig { path: "copy.db".into() };
        let errors = Destination::check(&config, folder.path(), &writing(asked)).await;
        let mut copy = open(folder.path(), asked).await;
        let error = apply(&mut copy, 1, 2, vec![changes()]).await.err();
        if made == asked {
            assert!(errors.is_empty());
        } else {
            let expected = format!("table `s` was made for another write mode, `{}`", made.as_str());
            assert_eq!(errors[0].to_string(), expected);
            assert_eq!(error.unwrap().to_string(), expected);
        }
    }
}

/// A unit with nothing in it, for a standing alone.
#[tokio::test]
async fn a_stream_that_was_never_there_may_be_empty_anew() {
    let folder = tempfile::tempdir().unwrap();
    let mut copy = open(folder.path(), WriteMode::History).await;
    let noted = filling(20, 10, true);
    copy.apply(&mut Unit::new(position(0), noted.clone(), futures::stream::empty())).await.unwrap();
    let unit = unit_of(noted, standing(20), Vec::new());
    copy.apply(&mut unit.into_shadows()).await.unwrap();
    assert_eq!(copy.open(&log()).await.unwrap(), Some(standing(20)));
}
