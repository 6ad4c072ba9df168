//! Rows of an initial sync, ahead of the position and beside one another.

use futures::stream;
use tidemark_engine::{
    Error, ErrorKind,
    change::ChangeBatch,
    contract::write::{self, log, position, standing},
    read::Phase,
    write::{Delivery, Unit, WriteMode, WriteStrategy},
};

use super::{
    Destination,
    changes::{Change, Said, batch, plain, text},
    config, database, open, open_as, value, writing,
};

const MODES: [WriteMode; 4] =
    [WriteMode::Append, WriteMode::Mirror, WriteMode::SoftDelete, WriteMode::History];

fn rows(stream: &str, first: i64, rows: i64, ordinal: u64) -> ChangeBatch {
    rows_of(stream, first, rows, ordinal, "row")
}

fn rows_of(stream: &str, first: i64, rows: i64, ordinal: u64, a: &str) -> ChangeBatch {
    let changes = (first..first + rows).map(|id| Change::read([text(id), text(a), Said::Null]));
    batch(&plain(stream), &changes.collect::<Vec<_>>(), ordinal)
}

fn delivery(sequence: u64, changes: ChangeBatch) -> Result<Delivery, Error> {
    Ok(Delivery { phase: Phase::InitialSync, ..write::delivery(sequence, changes) })
}

fn begins(stream: &str, sequence: u64) -> Result<Delivery, Error> {
    delivery(sequence, batch(&plain(stream), &[Change::truncate(3)], 0))
}

fn unit(begin: u64, end: u64, deliveries: Vec<Result<Delivery, Error>>) -> Unit {
    Unit::new(position(begin), position(end), stream::iter(deliveries))
}

#[tokio::test]
async fn what_was_loaded_before_a_crash_is_not_loaded_again() {
    for mode in MODES {
        let database = database();
        let pieces =
            || vec![begins("s", 1), delivery(1, rows("s", 0, 500, 1)), delivery(1, rows("s", 500, 500, 501))];
        let mut crashing = pieces();
        crashing.push(Err(Error::unavailable("the staging store is gone")));
        // With one loader the second piece is begun when the first is in.
        let mut config = config(&database);
        config.loaders = 1;
        let mut copy = Destination::new(&config, writing(mode)).unwrap();
        copy.open(&log()).await.unwrap();
        let error = copy.apply(&mut unit(0, 1, crashing)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(copy.open(&log()).await.unwrap(), None, "the position has not moved");
        assert_ne!(value(&database, "SELECT count(*) FROM _tidemark.loaded"), "0");
        let loaded = "SELECT max(xmin::text::bigint) FROM s WHERE id < 500";
        let before = value(&database, loaded);
        copy.apply(&mut unit(0, 1, pieces())).await.unwrap();
        assert_eq!(value(&database, loaded), before, "the first piece was not written again");
        assert_eq!(value(&database, "SELECT count(*) FROM _tidemark.loaded"), "0");
        let expected = if mode == WriteMode::Append { "1001" } else { "1000" };
        assert_eq!(value(&database, "SELECT count(*) FROM s"), expected);
        assert_eq!(copy.open(&log()).await.unwrap(), Some(standing(1)));
    }
}

#[tokio::test]
async fn a_new_beginning_voids_what_was_there() {
    let database = database();
    let mut copy = open(&database, WriteMode::Mirror).await;
    copy.apply(&mut unit(0, 1, vec![begins("s", 1), delivery(1, rows("s", 0, 50, 1))])).await.unwrap();
    let again = vec![begins("s", 2), delivery(2, rows("s", 40, 20, 1))];
    copy.apply(&mut unit(1, 2, again)).await.unwrap();
    assert_eq!(value(&database, "SELECT min(id) || ' ' || count(*) FROM s"), "40 20");
    // In a unit that has begun to change tables it happens in the transaction of the position.
    let changes = batch(&plain("other"), &[Change::create([text(1), Said::Null, Said::Null])], 0);
    let changed = Ok(write::delivery(3, changes));
    let mixed = vec![changed, begins("s", 3), delivery(3, rows("s", 0, 10, 2))];
    copy.apply(&mut unit(2, 3, mixed)).await.unwrap();
    assert_eq!(value(&database, "SELECT count(*) FROM s"), "10");
    assert_eq!(value(&database, "SELECT count(*) FROM other"), "1");
}

/// What a new beginning has voided does not come back when its unit is tried again.
#[tokio::test]
async fn a_voided_generation_stays_void_after_a_crash() {
    for mode in [WriteMode::Mirror, WriteMode::SoftDelete, WriteMode::History] {
        a_voided_generation_stays_void(mode).await;
    }
}

async fn a_voided_generation_stays_void(mode: WriteMode) {
    let database = database();
    let mut copy = open(&database, mode).await;
    let pieces = || {
        vec![
            begins("s", 1),
            delivery(1, rows_of("s", 0, 10, 1, "old")),
            begins("s", 2),
            delivery(2, rows_of("s", 5, 10, 1, "new")),
            delivery(3, rows("t", 0, 10, 1)),
        ]
    };
    for last in [2, 3, 4, 5] {
        let mut crashing = pieces();
        crashing.truncate(last);
        crashing.push(Err(Error::unavailable("the staging store is gone")));
        copy.apply(&mut unit(0, 3, crashing)).await.unwrap_err();
        copy.open(&log()).await.unwrap();
    }
    copy.apply(&mut unit(0, 3, pieces())).await.unwrap();
    assert_eq!(copy.open(&log()).await.unwrap(), Some(standing(3)));
    assert_eq!(value(&database, "SELECT min(id) || ' ' || count(*) FROM s WHERE a = 'new'"), "5 10");
    assert_eq!(value(&database, "SELECT count(*) FROM s WHERE a = 'old'"), "0");
    assert_eq!(value(&database, "SELECT count(*) FROM _tidemark.loaded"), "0");
}

/// Pieces are loaded beside one another, and the last row of a key wins all the same.
#[tokio::test]
async fn the_last_of_two_rows_with_one_key_wins_across_pieces() {
    for _ in 0..5 {
        let database = database();
        let mut copy = open(&database, WriteMode::Mirror).await;
        let pieces = vec![
            delivery(1, rows_of("s", 0, 30_000, 0, "old")),
            delivery(1, rows_of("s", 29_990, 10, 30_000, "new")),
            delivery(1, rows_of("s", 29_995, 10, 30_010, "newest")),
        ];
        copy.apply(&mut unit(0, 1, pieces)).await.unwrap();
        assert_eq!(value(&database, "SELECT count(*) FROM s WHERE a = 'new'"), "5");
        assert_eq!(value(&database, "SELECT count(*) FROM s WHERE a = 'newest'"), "10");
        assert_eq!(value(&database, "SELECT count(*) FROM s"), "30005");
    }
}

/// A crash may leave a later piece loaded and an earlier one not.
#[tokio::test]
async fn the_last_row_wins_where_a_crash_has_left_a_gap() {
    for mode in [WriteMode::Mirror, WriteMode::SoftDelete, WriteMode::History] {
        the_last_row_wins(mode).await;
    }
}

async fn the_last_row_wins(mode: WriteMode) {
    let database = database();
    // With one loader the second piece is begun when the first is in.
    let mut config = config(&database);
    config.loaders = 1;
    let mut copy = Destination::new(&config, writing(mode)).unwrap();
    copy.open(&log()).await.unwrap();
    let pieces = || {
        vec![
            delivery(1, rows_of("s", 0, 100, 0, "old")),
            delivery(1, rows_of("s", 90, 10, 100, "new")),
            delivery(1, rows_of("s", 200, 10, 110, "apart")),
        ]
    };
    let mut crashing = pieces();
    drop(crashing.remove(0));
    crashing.push(Err(Error::unavailable("the staging store is gone")));
    copy.apply(&mut unit(0, 1, crashing)).await.unwrap_err();
    assert_ne!(value(&database, "SELECT count(*) FROM _tidemark.loaded"), "0");
    copy.open(&log()).await.unwrap();
    copy.apply(&mut unit(0, 1, pieces())).await.unwrap();
    assert_eq!(value(&database, "SELECT count(*) FROM s WHERE a = 'new'"), "10");
    if mode != WriteMode::History {
        assert_eq!(value(&database, "SELECT count(*) FROM s"), "110");
        return;
    }
    assert_eq!(value(&database, "SELECT count(*) FROM s"), "120", "the first version of ten is over");
    let over =
        "SELECT min(id) || ' ' || max(id) || ' ' || min(a) FROM s WHERE _tidemark_valid_to IS NOT NULL";
    assert_eq!(value(&database, over), "90 99 old");
}

#[tokio::test]
async fn loads_come_before_the_changes_of_their_unit() {
    let database = database();
    let mut copy = open(&database, WriteMode::Mirror).await;
    let mut deliveries =
        (0..8).map(|n| delivery(1, rows("s", n * 100, 100, n as u64 * 100))).collect::<Vec<_>>();
    deliveries.push(delivery(1, rows("t", 0, 100, 800)));
    let updates = (0..800).map(|id| Change::update([text(id), text("changed"), Said::Unchanged]));
    let changes = batch(&plain("s"), &updates.collect::<Vec<_>>(), 0);
    deliveries.push(Ok(write::delivery(2, changes)));
    copy.apply(&mut unit(0, 2, deliveries)).await.unwrap();
    assert_eq!(value(&database, "SELECT count(*) FROM s WHERE a = 'changed'"), "800");
    assert_eq!(value(&database, "SELECT count(*) FROM t"), "100");
}

#[tokio::test]
async fn rows_that_are_there_already_are_merged() {
    let database = database();
    database.execute("CREATE TABLE s (id bigint PRIMARY KEY, a text, b text); INSERT INTO s VALUES (5, 'old', 'old'), (99, 'mine', NULL)");
    let mut adopting = writing(WriteMode::Mirror);
    adopting.adopt = true;
    let mut copy = open_as(&database, adopting).await;
    copy.apply(&mut unit(0, 1, vec![delivery(1, rows("s", 0, 20, 0))])).await.unwrap();
    assert_eq!(value(&database, "SELECT count(*) FROM s WHERE a = 'row'"), "20");
    assert_eq!(value(&database, "SELECT a FROM s WHERE id = 99"), "mine");
    // The same key twice in one piece: the last wins.
    let twice = vec![
        delivery(2, rows("s", 0, 20, 0)),
        delivery(2, rows("u", 0, 20, 20)),
        delivery(2, rows("u", 10, 20, 40)),
    ];
    copy.apply(&mut unit(1, 2, twice)).await.unwrap();
    assert_eq!(value(&database, "SELECT count(*) FROM u"), "30");
}

#[tokio::test]
async fn a_loader_that_has_been_replaced_loads_nothing() {
    let database = database();
    let mut first = open(&database, WriteMode::Mirror).await;
    first.apply(&mut unit(0, 1, vec![delivery(1, rows("s", 0, 10, 0))])).await.unwrap();
    let _second = open(&database, WriteMode::Mirror).await;
    let error = first.apply(&mut unit(1, 2, vec![delivery(2, rows("s", 10, 10, 0))])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert_eq!(value(&database, "SELECT count(*) FROM s"), "10");
}
