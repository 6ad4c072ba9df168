//! The replication stream, by itself: places, open transactions, silence, size.

use std::{collections::BTreeSet, thread, time::Duration};

use tidemark_test_servers::Postgres;

use super::{
    kept::{Kept, of_slot, ops, staged},
    slot::UNTIL_THE_GATE_OPENS,
    value,
};
use crate::{process::pause, rows::count_in_sqlite, workbench::Workbench};

const MIB: u64 = 1 << 20;

/// Failure mode 4: changes of one transaction share their place in the server's log, and still each has its own.
#[test]
fn changes_of_one_transaction_have_places_of_their_own() {
    let kept = Kept::of(
        Postgres::shared(),
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)",
    );
    kept.catch_up();
    kept.source.execute(
        "BEGIN; INSERT INTO a SELECT generate_series(1, 5); INSERT INTO b VALUES (1);
         UPDATE a SET id = id + 10; DELETE FROM b; COMMIT;",
    );
    kept.source.execute("INSERT INTO a VALUES (6)");
    kept.catch_up();

    let mut places = BTreeSet::new();
    let mut commits = BTreeSet::new();
    for change in [staged(&kept.bench, "a"), staged(&kept.bench, "b")].concat() {
        let place = change["source_position"].as_str().unwrap().to_owned();
        commits.insert(place[..16].to_owned());
        assert!(places.insert(place), "two changes have one place: {change}");
    }
    assert_eq!((places.len(), commits.len()), (13, 2));
    let in_order: Vec<_> =
        staged(&kept.bench, "a").iter().map(|change| change["source_position"].to_string()).collect();
    assert!(in_order.is_sorted(), "the order is not the source's: {in_order:?}");
    kept.assert_mirrored(&["a", "b"]);
}

/// Failure mode 5: a transaction that was open all the time while others were read and acknowledged.
#[test]
fn a_transaction_that_was_open_through_kills_is_not_lost() {
    let kept = Kept::of(
        Postgres::shared(),
        "CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (0); CREATE TABLE gate (id int PRIMARY KEY)",
    );
    kept.catch_up();
    thread::scope(|scope| {
        let open = scope.spawn(|| {
            let open =
                "INSERT INTO orders VALUES (100); SAVEPOINT s; INSERT INTO orders VALUES (101); RELEASE s";
            kept.source.execute(&format!(
                "BEGIN; {open}; {UNTIL_THE_GATE_OPENS}; INSERT INTO orders VALUES (102); COMMIT"
            ));
        });
        for order in 1..=3 {
            let mut running = kept.bench.start("run pipeline.yaml");
            kept.source.execute(&format!("INSERT INTO orders VALUES ({order})"));
            let acknowledged = kept.of_source("SELECT pg_current_wal_lsn()");
            running.until("the order has arrived and is acknowledged", || {
                kept.of_mirror("SELECT count(*) FROM orders") == (order + 1).to_string()
                    && of_slot(&kept.source, &format!("confirmed_flush_lsn >= '{acknowledged}'")) == "t"
            });
            running.kill().was_killed();
        }
        kept.source.execute("INSERT INTO gate VALUES (1)");
        open.join().unwrap();
    });
    kept.catch_up();
    kept.assert_mirrored(&["orders", "gate"]);
    assert_eq!(ops(&kept.bench, "orders"), "rcccccc");
}

/// Failure mode 6: what others write to the server is not kept for us, though no table of ours changes.
#[test]
fn the_log_of_a_busy_server_is_let_go_while_our_tables_are_idle() {
    let server = Postgres::start();
    let kept = Kept::streams(
        &server,
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE busy (t text)",
        "[public.a]",
    );
    let elsewhere = server.database();
    elsewhere.execute("CREATE TABLE busy (t text)");
    let mut running = kept.bench.start("run pipeline.yaml");
    running.until("the stream is open", || of_slot(&kept.source, "active") == "t");
    let (restart, before) =
        (of_slot(&kept.source, "restart_lsn"), kept.of_source("SELECT pg_current_wal_lsn()"));
    running.until("the log up to here is let go", || {
        for database in [&kept.source, &elsewhere] {
            database.execute("INSERT INTO busy SELECT repeat('x', 1000) FROM generate_series(1, 500)");
        }
        kept.source.execute("CHECKPOINT");
        pause(Duration::from_millis(200));
        of_slot(&kept.source, &format!("confirmed_flush_lsn > '{before}' AND restart_lsn > '{restart}'"))
            == "t"
    });
    running.terminate().succeeds();
}

/// Failure mode 6: our own progress is not activity: where nothing happens, the log does not grow by us.
#[test]
fn an_idle_server_stays_idle() {
    let server = Postgres::with_settings(&[("autovacuum", "off")]);
    let source = server.database();
    source.execute("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)");
    let bench = Workbench::with_pipeline(&format!(
        "name: idle
source: {{type: postgres, url: \"{}\"}}
destinations: {{copy: {{type: sqlite, path: ./copy.db, write: mirror}}}}",
        source.url()
    ));
    let mut running = bench.start("run pipeline.yaml");
    running.until("the table is there", || count_in_sqlite(&bench.path("copy.db"), "public.a") == 1);
    source.execute("CHECKPOINT");
    let before = value(&source, "SELECT pg_current_wal_lsn()");
    // Mere progress is told every ten seconds.
    pause(Duration::from_secs(12));
    let grown = value(&source, &format!("SELECT pg_current_wal_lsn() - '{before}'"));
    // The server itself notes what is running, now and then.
    assert!(grown.parse::<u64>().unwrap() < 1_000, "the log grew by {grown} bytes");
    running.terminate().succeeds();
}

/// Failure mode 7: the server's patience is a second, and the staging store takes four for a commit.
#[test]
fn a_slow_store_does_not_break_the_stream() {
    let server = Postgres::with_settings(&[("wal_sender_timeout", "1s")]);
    let source = server.database();
    source.execute("CREATE TABLE a (id int PRIMARY KEY, t text)");
    let bench = Workbench::with_pipeline(&format!(
        "name: slow
source: {{type: postgres, url: \"{}\"}}
staging: {{path: ./staging, max_delay: 4s, memory: 1MiB}}
destinations: {{copy: {{type: sqlite, path: ./copy.db, write: mirror}}}}",
        source.url()
    ));
    let copy = bench.path("copy.db");
    let mut running = bench.start("run pipeline.yaml");
    running.until("the stream is open", || {
        value(&source, "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == "1"
    });
    let connection = "SELECT pid FROM pg_stat_replication WHERE application_name LIKE '%replication%'";
    let first = value(&source, connection);
    for _ in 0..4 {
        source.execute("INSERT INTO a SELECT coalesce(max(id), 0) + 1, repeat('x', 300000) FROM a");
        source.execute(
            "INSERT INTO a SELECT (SELECT max(id) FROM a) + i, md5(i::text) FROM generate_series(1, 10000) i",
        );
    }
    running.until("all of it has arrived", || count_in_sqlite(&copy, "public.a") == 40_004);
    assert_eq!(value(&source, connection), first, "the stream was opened again");
    let said = running.terminate().succeeds().stderr;
    assert!(!said.contains("trying again"), "{said}");
}

/// Failure mode 15: a transaction larger than memory passes through it piece by piece, and is seen whole or not at all.
#[test]
fn a_huge_transaction_takes_little_memory_and_appears_at_once() {
    const ROWS: &str = "200000";
    let kept = Kept::of(
        Postgres::shared(),
        "CREATE TABLE a (id int PRIMARY KEY, t text); INSERT INTO a VALUES (0, '')",
    );
    kept.catch_up();
    kept.source.execute(&format!(
        "INSERT INTO a SELECT i, repeat(md5(i::text), 8) FROM generate_series(1, {ROWS}) i; DELETE FROM a WHERE id = 0"
    ));
    let mut running = kept.bench.start("run pipeline.yaml");
    let mut seen = BTreeSet::new();
    running.until("it has arrived", || {
        let count = kept.of_mirror("SELECT count(*) FROM a");
        seen.insert(count.clone());
        count == ROWS
    });
    let peak = running.terminate().succeeds().peak_memory / MIB;
    assert!(seen.is_subset(&["1".to_owned(), ROWS.to_owned()].into()), "half of it was seen: {seen:?}");
    assert!(peak <= 128, "it took {peak} MiB of memory");
    kept.assert_mirrored(&["a"]);
    assert_eq!(kept.of_history("SELECT count(*) FROM a"), "200002");
}
