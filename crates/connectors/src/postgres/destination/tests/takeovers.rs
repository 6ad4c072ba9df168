//! Destinations that are filled out of sight and take the place of another, which may be in use.

use futures::stream;
use tidemark_engine::{
    ErrorKind,
    change::ChangeBatch,
    contract::write::{delivery, log, position, standing},
    schema::StreamName,
    write::{Delivery, Standing, Takeover, Unit, WriteMode, WriteStrategy},
};
use tidemark_test_servers::Database;

use super::{
    Destination, apply,
    changes::{Change, Said, batch, plain, text},
    config, database, destination, open, open_as, value, writing,
};
use crate::config::Writing;

const MODES: [WriteMode; 4] =
    [WriteMode::Append, WriteMode::Mirror, WriteMode::SoftDelete, WriteMode::History];

fn hidden(database: &Database<'_>, mode: WriteMode) -> Destination {
    let mut writing = writing(mode);
    writing.shadow = true;
    destination(database, writing)
}

async fn open_hidden(database: &Database<'_>, mode: WriteMode) -> Destination {
    let mut hidden = hidden(database, mode);
    hidden.open(&log()).await.unwrap();
    hidden
}

/// What commit `sequence` brings stream `stream`: a row, and a change and a deletion of the rows before.
fn commit(stream: &str, sequence: u64) -> ChangeBatch {
    let id = sequence as i64;
    let mut changes = vec![Change::create([text(id), text("row"), text(format!("of {id}"))])];
    if id > 1 {
        changes.push(Change::update([text(id - 1), text("changed"), Said::Unchanged]));
    }
    if id > 2 {
        changes.push(Change::delete([text(id - 2), Said::Unchanged, Said::Unchanged]));
    }
    batch(&plain(stream), &changes, if stream == "s" { 0 } else { 10 })
}

async fn play(destination: &mut Destination, streams: &[&str], commits: std::ops::RangeInclusive<u64>) {
    for sequence in commits {
        let batches = streams.iter().map(|stream| commit(stream, sequence)).collect();
        apply(destination, sequence - 1, sequence, batches).await.unwrap();
    }
}

/// Plays up a stream that is held.
async fn play_up(destination: &mut Destination, from: &Standing, stream: &str) -> Standing {
    let name = StreamName::new(stream);
    let mut to = from.clone();
    let after = to.held.remove(&name).unwrap().after;
    let missed =
        (after + 1..=from.position.sequence).map(|at| Ok::<Delivery, _>(delivery(at, commit(stream, at))));
    let mut unit = Unit::new(from.clone(), to.clone(), stream::iter(missed.collect::<Vec<_>>()));
    destination.apply(&mut unit).await.unwrap();
    to
}

/// The table as text, with everything that its mode keeps.
fn content(database: &Database<'_>, table: &str) -> String {
    let columns = "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attname) FROM pg_attribute
                   WHERE attrelid = '{}'::regclass AND attnum > 0 AND NOT attisdropped";
    let columns = value(database, &columns.replace("{}", table));
    value(
        database,
        &format!(
            "SELECT string_agg(r::text, '|' ORDER BY r::text) FROM (SELECT {columns} FROM {table}) AS r"
        ),
    )
}

fn nothing_hidden(database: &Database<'_>) {
    let left = "SELECT (SELECT count(*) FROM pg_class WHERE relname LIKE 'shadow%' AND relkind = 'r')
              + (SELECT count(*) FROM _tidemark.tables WHERE destination <> 'copy')
              + (SELECT count(*) FROM _tidemark.positions WHERE destination <> 'copy')
              + (SELECT count(*) FROM _tidemark.loaded)";
    assert_eq!(value(database, left), "0");
}

fn takeover(sequence: u64, streams: &[&str], goes_on: bool) -> Takeover {
    let streams = streams.iter().map(|stream| StreamName::new(*stream)).collect();
    Takeover { standing: standing(sequence), streams, goes_on, adds: false }
}

#[tokio::test]
async fn a_shadow_keeps_the_contract_and_is_not_seen() {
    for mode in MODES {
        let database = database();
        tidemark_engine::contract::write::all(|| hidden(&database, mode)).await;
        let seen = "SELECT count(*) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace WHERE nspname = 'public'";
        assert_eq!(value(&database, seen), "0");
    }
}

/// What has drifted is put right while another process writes, which then goes on where it was.
#[tokio::test]
async fn a_process_that_is_writing_goes_on() {
    for mode in MODES {
        let (database, twin) = (database(), database());
        let mut copy = open(&database, mode).await;
        play(&mut copy, &["s", "t"], 1..=6).await;
        database.execute("DELETE FROM s; CREATE VIEW seen AS SELECT * FROM s");
        let mut hidden = open_hidden(&database, mode).await;
        play(&mut hidden, &["s"], 1..=4).await;
        hidden.take_place(&takeover(4, &["s"], true)).await.unwrap();
        nothing_hidden(&database);

        let error = apply(&mut copy, 6, 7, vec![commit("t", 7)]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains("was filled anew by a replay"), "{error}");
        let found = copy.open(&log()).await.unwrap().unwrap();
        assert_eq!((found.position.sequence, found.held[&StreamName::new("s")].after), (6, 4));
        let now = play_up(&mut copy, &found, "s").await;
        assert_eq!(now, standing(6));
        play(&mut copy, &["s", "t"], 7..=8).await;

        let mut whole = open(&twin, mode).await;
        play(&mut whole, &["s", "t"], 1..=8).await;
        for table in ["s", "t"] {
            assert_eq!(content(&database, table), content(&twin, table), "{mode:?} {table}");
        }
        assert_eq!(content(&database, "seen"), content(&twin, "s"), "{mode:?}");
    }
}

/// It is not a new epoch that makes a process go on, but that nobody else has come.
#[tokio::test]
async fn a_process_that_was_replaced_stays_replaced() {
    let database = database();
    let mut first = open(&database, WriteMode::Mirror).await;
    play(&mut first, &["s"], 1..=2).await;
    let mut second = open(&database, WriteMode::Mirror).await;
    for _ in 0..2 {
        let mut hidden = open_hidden(&database, WriteMode::Mirror).await;
        play(&mut hidden, &["s"], 1..=2).await;
        hidden.take_place(&takeover(2, &[], true)).await.unwrap();
    }
    let error = apply(&mut first, 2, 3, vec![commit("s", 3)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    // Twice filled anew, and still the second's.
    let error = apply(&mut second, 2, 3, vec![commit("s", 3)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert_eq!(second.open(&log()).await.unwrap(), Some(standing(2)));
    play(&mut second, &["s"], 3..=3).await;
    let mut third = open(&database, WriteMode::Mirror).await;
    let error = second.open(&log()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    play(&mut third, &["s"], 4..=4).await;
}

/// A destination that has nothing takes what is there; one that does not go on stands where the shadow does.
#[tokio::test]
async fn the_place_may_be_empty_or_given_up() {
    for mode in MODES {
        let (database, twin) = (database(), database());
        let mut hidden = open_hidden(&database, mode).await;
        play(&mut hidden, &["s"], 1..=5).await;
        assert_eq!(value(&database, "SELECT to_regclass('s')"), "NULL");
        hidden.take_place(&takeover(5, &[], true)).await.unwrap();
        nothing_hidden(&database);
        let mut copy = destination(&database, writing(mode));
        assert_eq!(copy.open(&log()).await.unwrap(), Some(standing(5)));
        play(&mut copy, &["s"], 6..=7).await;
        apply(&mut copy, 7, 8, vec![commit("t", 1)]).await.unwrap();

        let mut hidden = open_hidden(&database, mode).await;
        play(&mut hidden, &["s"], 1..=3).await;
        hidden.take_place(&takeover(3, &[], false)).await.unwrap();
        let found = copy.open(&log()).await.unwrap();
        assert_eq!(found, Some(standing(3)));
        let left = if mode == WriteMode::Append { "1" } else { "0" };
        assert_eq!(value(&database, "SELECT count(*) FROM t"), left);
        play(&mut copy, &["s"], 4..=7).await;
        let mut whole = open(&twin, mode).await;
        play(&mut whole, &["s"], 1..=7).await;
        assert_eq!(content(&database, "s"), content(&twin, "s"), "{mode:?}");
    }
}

/// Whoever dies before the end has changed nothing; what was filled is there to take the place once more.
#[tokio::test]
async fn a_takeover_happens_as_a_whole_or_not_at_all() {
    let database = database();
    let mut copy = open(&database, WriteMode::Mirror).await;
    play(&mut copy, &["s", "t"], 1..=4).await;
    database.execute("UPDATE s SET a = 'drifted'");
    let mut hidden = open_hidden(&database, WriteMode::Mirror).await;
    play(&mut hidden, &["s", "t"], 1..=4).await;
    // Somebody reads one of the tables, so that it waits, and is dropped.
    let reader = crate::postgres::connection::Server::parse(&database.url()).unwrap();
    let reader = reader.connect("reader").await.unwrap();
    reader.batch_execute("BEGIN; LOCK TABLE t IN SHARE MODE").await.unwrap();
    let waits = async {
        let sql = "SELECT count(*) FROM pg_locks WHERE NOT granted";
        while reader.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            tokio::task::yield_now().await;
        }
    };
    database.execute("DELETE FROM s WHERE id = 3");
    let place = takeover(4, &[], true);
    // A row of `t` has to be written as well.
    reader.batch_execute("UPDATE t SET a = 'drifted'").await.unwrap();
    tokio::select! {
        taken = hidden.take_place(&place) => panic!("it did not wait: {taken:?}"),
        () = waits => {}
    }
    drop(hidden);
    reader.batch_execute("COMMIT").await.unwrap();
    assert_eq!(value(&database, "SELECT string_agg(DISTINCT a, ' ') FROM s"), "drifted");
    assert_eq!(copy.open(&log()).await.unwrap(), Some(standing(4)));
    assert_eq!(
        value(&database, "SELECT count(*) FROM _tidemark.tables WHERE destination = 'copy:replay'"),
        "2"
    );

    let mut hidden = destination(&database, Writing { shadow: true, ..writing(WriteMode::Mirror) });
    assert_eq!(hidden.open(&log()).await.unwrap(), Some(standing(4)));
    hidden.take_place(&place).await.unwrap();
    assert_eq!(value(&database, "SELECT string_agg(a, ' ' ORDER BY id) FROM s"), "changed row");
    assert_eq!(value(&database, "SELECT string_agg(a, ' ' ORDER BY id) FROM t"), "changed row");
    nothing_hidden(&database);
}

/// A replay may have taken hours: it does not give up because somebody is in the way at its end.
#[tokio::test]
async fn a_takeover_that_is_given_up_for_others_is_tried_again() {
    let database = database();
    // What waits longer than this looks whether it waits for ever.
    let name = value(&database, "SELECT current_database()");
    database.execute(&format!("ALTER DATABASE {name} SET deadlock_timeout = '3s'"));
    let mut copy = open(&database, WriteMode::Mirror).await;
    play(&mut copy, &["s", "t"], 1..=4).await;
    database.execute("UPDATE s SET a = 'drifted'; UPDATE t SET a = 'drifted'");
    let mut hidden = open_hidden(&database, WriteMode::Mirror).await;
    play(&mut hidden, &["s", "t"], 1..=4).await;
    let other = crate::postgres::connection::Server::parse(&database.url()).unwrap();
    let other = other.connect("other").await.unwrap();
    // It never finds out, so that it is the takeover that has to give way.
    other
        .batch_execute("SET deadlock_timeout = '1h'; BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let in_the_way = async {
        let sql = "SELECT count(*) FROM pg_locks WHERE NOT granted";
        while other.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            tokio::task::yield_now().await;
        }
        other.batch_execute("SELECT FROM _tidemark.positions FOR UPDATE; COMMIT").await.unwrap();
    };
    let takeover = takeover(4, &[], true);
    let taken = async { hidden.take_place(&takeover).await.unwrap() };
    tokio::join!(taken, in_the_way);
    assert_eq!(value(&database, "SELECT string_agg(a, ' ' ORDER BY id) FROM s"), "changed row");
    assert_eq!(value(&database, "SELECT string_agg(a, ' ' ORDER BY id) FROM t"), "changed row");
    nothing_hidden(&database);
}

/// One that is ahead of the destination would have it skip what other streams lack.
#[tokio::test]
async fn what_is_ahead_or_incomplete_takes_no_place() {
    let database = database();
    let mut copy = open(&database, WriteMode::Mirror).await;
    play(&mut copy, &["s"], 1..=2).await;
    let mut hidden = open_hidden(&database, WriteMode::Mirror).await;
    play(&mut hidden, &["s"], 1..=3).await;
    let error = hidden.take_place(&takeover(3, &["s"], true)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    hidden.open(&log()).await.unwrap();
    let mut held = takeover(3, &[], true);
    let hold = tidemark_engine::write::Hold::new(1, &tidemark_engine::Error::data("no"));
    held.standing.held.insert(StreamName::new("s"), hold);
    let error = hidden.take_place(&held).await.unwrap_err();
    assert!(error.to_string().contains("was not filled to its end"), "{error}");
    play(&mut copy, &["s"], 3..=3).await;
    // What was given up goes with `teardown`, and leaves the destination alone.
    let shadow = Writing { shadow: true, ..writing(WriteMode::Mirror) };
    assert_eq!(Destination::teardown(&config(&database), &shadow).await.unwrap().len(), 2);
    nothing_hidden(&database);
    play(&mut copy, &["s"], 4..=4).await;
}

/// What a replay leaves behind that was interrupted does not get into the way of the next.
#[tokio::test]
async fn what_was_filled_out_of_sight_can_be_abandoned() {
    let database = database();
    let mut copy = open(&database, WriteMode::Mirror).await;
    play(&mut copy, &["s"], 1..=3).await;
    let mut hidden = open_hidden(&database, WriteMode::Mirror).await;
    play(&mut hidden, &["s", "t"], 1..=2).await;
    hidden.abandon().await.unwrap();
    nothing_hidden(&database);
    assert_eq!(hidden.open(&log()).await.unwrap(), None);
    play(&mut hidden, &["s"], 1..=3).await;
    hidden.take_place(&takeover(3, &[], true)).await.unwrap();
    nothing_hidden(&database);
    // Only what is out of sight can be.
    assert_eq!(copy.open(&log()).await.unwrap(), Some(standing(3)));
    assert_eq!(copy.abandon().await.unwrap_err().kind(), ErrorKind::Internal);
    assert_eq!(copy.open(&log()).await.unwrap(), Some(standing(3)));
}

/// A table that was there before Tidemark is filled as it is.
#[tokio::test]
async fn an_adopted_table_stays_what_it_is() {
    let database = database();
    database.execute(
        "CREATE TABLE s (mine text DEFAULT 'kept', b text, a text NOT NULL, id bigint UNIQUE);
         CREATE VIEW seen AS SELECT id, a, mine FROM s",
    );
    let mut adopting = writing(WriteMode::Mirror);
    adopting.adopt = true;
    let mut copy = open_as(&database, adopting.clone()).await;
    play(&mut copy, &["s"], 1..=4).await;
    database.execute("UPDATE s SET mine = 'own', a = 'drifted' WHERE id = 3");
    let mut hidden = open_as(&database, Writing { shadow: true, ..adopting }).await;
    play(&mut hidden, &["s"], 1..=4).await;
    hidden.take_place(&takeover(4, &[], true)).await.unwrap();
    assert_eq!(
        value(&database, "SELECT string_agg(id || a || mine, ' ' ORDER BY id) FROM seen"),
        "3changedown 4rowkept"
    );
    assert_eq!(copy.open(&log()).await.unwrap(), Some(position(4).into()));
    play(&mut copy, &["s"], 5..=5).await;
}
