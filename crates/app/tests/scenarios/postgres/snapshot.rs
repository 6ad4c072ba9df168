//! The initial sync: in chunks, under load, through kills, and beside what happens to its tables meanwhile.

use std::{collections::BTreeMap, thread, time::Duration};

use tidemark_test_servers::{Database, Postgres};

use super::{
    destination,
    kept::{Kept, commit, of_slot, ops, staged},
    pipeline, value,
};
use crate::{
    process::{Running, pause},
    workbench::Workbench,
};

/// Several chunks on the server's disk, and little in the log.
const BIG: &str = "CREATE TABLE big (id int PRIMARY KEY, n int, filler text);
    ALTER TABLE big ALTER filler SET STORAGE PLAIN;
    INSERT INTO big SELECT i, 0, repeat('x', 3500) FROM generate_series(1, 24000) i; ANALYZE big";
const ROWS: usize = 24_000;

/// The pipeline of that table. Commits are so far apart (`max_delay`) that a test can act between two chunks.
fn big(source: &Database<'_>, mirror: &Database<'_>, max_delay: &str) -> Workbench {
    source.execute(BIG);
    source.execute("CREATE TABLE other (id int PRIMARY KEY); INSERT INTO other VALUES (1)");
    Workbench::with_pipeline(&format!(
        "name: {}
source: {{type: postgres, url: \"{}\", readers: 1, streams: {{public.big: {{exclude: [filler]}}, public.other: {{}}}}}}
staging: {{path: ./staging, max_delay: {max_delay}}}
destinations:
{}",
        source.name(),
        source.url(),
        destination("mirror", mirror, "mirror")
    ))
}

/// Waits until a chunk is staged.
fn until_a_chunk_is_staged(bench: &Workbench, running: &mut Running) {
    running.until("a chunk is staged", || {
        let changes = bench.tidemark("changes pipeline.yaml --json --stream public.big");
        changes.stdout.contains("\"op\":\"r\"")
    });
}

fn assert_big_is_mirrored(source: &Database<'_>, mirror: &Database<'_>) {
    let sql = "SELECT count(*), sum(id), sum(n), md5(string_agg(id || ' ' || n, ',' ORDER BY id)) FROM big";
    assert_eq!(mirror.query(sql), source.query(sql));
}

/// Failure mode 16: what is staged is not read again.
#[test]
fn an_initial_sync_that_was_killed_under_load_goes_on_at_the_next_chunk() {
    let server = Postgres::shared();
    let (source, mirror) = (server.database(), server.database());
    let bench = big(&source, &mirror, "2s");
    let mut at_the_kill = 0;
    thread::scope(|scope| {
        let load = scope.spawn(|| {
            for i in 0..150 {
                let (a, b, c) = (i * 37 % ROWS + 1, i * 101 % ROWS + 1, ROWS + i + 1);
                source.execute(&format!(
                    "UPDATE big SET n = n + 1 WHERE id IN ({a}, {b}); DELETE FROM big WHERE id = {};
                     INSERT INTO big VALUES ({c}, 1, ''); UPDATE big SET id = -{a} WHERE id = {a} AND {i} % 5 = 0",
                    (a + b) % ROWS
                ));
                pause(Duration::from_millis(10));
            }
        });
        let mut running = bench.start("run pipeline.yaml");
        until_a_chunk_is_staged(&bench, &mut running);
        running.kill().was_killed();
        at_the_kill = commit(&bench);
        bench.tidemark("run pipeline.yaml --once").succeeds();
        load.join().unwrap();
    });
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_big_is_mirrored(&source, &mirror);

    let mut read = BTreeMap::new();
    let mut before_the_kill = 0;
    for change in staged(&bench, "big").iter().filter(|change| change["op"] == "r") {
        *read.entry(change["values"]["id"].as_i64().unwrap()).or_insert(0) += 1;
        let position = change["position"].as_str().unwrap();
        before_the_kill += usize::from(sequence(position) <= at_the_kill);
    }
    assert!(before_the_kill > 0 && before_the_kill < ROWS, "it was killed too late: {before_the_kill}");
    let again: Vec<_> = read.iter().filter(|(_, times)| **times > 1).collect();
    // A record that got another key may have been in both chunks.
    assert!(again.is_empty(), "read twice: {again:?}");
}

/// The number of the commit in the position of a change.
fn sequence(position: &str) -> u64 {
    let digits = position.rsplit(['-', '/', ':']).nth(1).unwrap();
    digits.parse().unwrap_or_else(|_| panic!("{position}"))
}

/// Failure mode 16: a snapshot does not keep out a truncate or a new definition.
#[test]
fn a_table_that_is_emptied_or_altered_while_it_is_read_is_read_anew() {
    for what in [
        "TRUNCATE big; INSERT INTO big VALUES (1, 7, ''), (2, 8, '')",
        "ALTER TABLE big ADD COLUMN more text; UPDATE big SET n = 1, more = 'x' WHERE id % 3 = 0",
        "ALTER TABLE big ALTER n TYPE bigint; UPDATE big SET n = 9000000000 WHERE id % 3 = 0",
    ] {
        let server = Postgres::shared();
        let (source, mirror) = (server.database(), server.database());
        let bench = big(&source, &mirror, "500ms");
        let mut running = bench.start("run pipeline.yaml");
        until_a_chunk_is_staged(&bench, &mut running);
        source.execute(what);
        source.execute("INSERT INTO big SELECT max(id) + 1, 5 FROM big");
        running.until("the last record has arrived", || {
            value(&mirror, "SELECT to_regclass('big')") == "big"
                && value(&mirror, "SELECT count(*) FROM big WHERE n = 5") == "1"
        });
        running.terminate().succeeds();
        assert_big_is_mirrored(&source, &mirror);
        assert_eq!(ops(&bench, "other"), "r", "a table that nothing happened to was read again");
    }
}

/// Failure mode 16: a table that comes to match is synced by the next run, while the stream of the others goes on.
#[test]
fn a_new_table_that_matches_is_synced_while_the_others_go_on() {
    let kept = Kept::of(Postgres::shared(), "CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)");
    kept.catch_up();
    kept.source.execute(
        "CREATE TABLE b (id int PRIMARY KEY); INSERT INTO b VALUES (1), (2); INSERT INTO a VALUES (2)",
    );
    let mut running = kept.bench.start("run pipeline.yaml");
    running.until("the new table is there", || {
        kept.of_mirror("SELECT to_regclass('b')") == "b" && kept.of_mirror("SELECT count(*) FROM b") == "2"
    });
    kept.source.execute("INSERT INTO a VALUES (3); INSERT INTO b VALUES (3)");
    running.until("both go on", || {
        kept.of_mirror("SELECT (SELECT count(*) FROM a) + (SELECT count(*) FROM b)") == "6"
    });
    running.terminate().succeeds();
    kept.assert_mirrored(&["a", "b"]);
    assert_eq!((ops(&kept.bench, "a"), ops(&kept.bench, "b")), ("rcc".to_owned(), "rrc".to_owned()));
}

/// Failure mode 16: a snapshot is taken when open transactions have ended; which one it waits for is said.
#[test]
fn an_initial_sync_waits_for_open_transactions_and_says_for_which() {
    let kept = Kept::of(
        Postgres::shared(),
        "CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (0); CREATE TABLE gate (id int PRIMARY KEY)",
    );
    // The slot is there, so that only the snapshot waits.
    kept.catch_up();
    kept.source.execute("CREATE TABLE b (id int PRIMARY KEY); INSERT INTO b VALUES (1)");
    thread::scope(|scope| {
        let open = scope.spawn(|| {
            let wait = super::slot::UNTIL_THE_GATE_OPENS;
            kept.source.execute(&format!("BEGIN; INSERT INTO b VALUES (2); {wait}; COMMIT"));
        });
        pause(Duration::from_millis(300));
        let mut running = kept.bench.start("run pipeline.yaml");
        running.until_it_says("waits for a transaction of the source to end");
        kept.source.execute("INSERT INTO a VALUES (1)");
        running.until("the other table goes on", || kept.of_mirror("SELECT count(*) FROM a") == "2");
        kept.source.execute("INSERT INTO gate VALUES (1)");
        open.join().unwrap();
        running.until("the new table is there", || {
            kept.of_mirror("SELECT to_regclass('b')") == "b"
                && kept.of_mirror("SELECT count(*) FROM b") == "2"
        });
        running.terminate().succeeds();
    });
    kept.assert_mirrored(&["a", "b"]);
}

/// Failure mode 16: what is staged is enough for a destination that comes later, though the source is gone.
#[test]
fn a_destination_that_comes_later_is_filled_while_the_source_is_down() {
    let server = Postgres::start();
    let source = server.database();
    let shared = Postgres::shared();
    let (mirror, later) = (shared.database(), shared.database());
    source.execute("CREATE TABLE a (id int PRIMARY KEY, t text); INSERT INTO a SELECT i, i FROM generate_series(1, 1000) i");
    let bench = pipeline(&source, "[\"public.*\"]", &destination("mirror", &mirror, "mirror"));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    source.execute("UPDATE a SET t = 'x' WHERE id % 2 = 0; DELETE FROM a WHERE id % 3 = 0");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    server.kill();

    bench.append("pipeline.yaml", &destination("later", &later, "mirror"));
    let sql = "SELECT count(*), md5(string_agg(id || t, ',' ORDER BY id)) FROM a";
    let expected = mirror.query(sql);
    let mut running = bench.start("run pipeline.yaml");
    running.until("the new destination has everything", || {
        value(&later, "SELECT to_regclass('a')") == "a" && later.query(sql) == expected
    });
    running.until_it_says("trying again");
    server.restart();
    source.execute("INSERT INTO a VALUES (5000, 'new')");
    running.until("the stream goes on", || value(&later, "SELECT count(*) FROM a WHERE id = 5000") == "1");
    running.terminate().succeeds();
    assert_eq!(of_slot(&source, "active"), "f");
}

/// Sessions of ours are idle for long while others work: a server's time limits must not end them.
#[test]
fn a_servers_time_limits_do_not_end_an_initial_sync() {
    let server = Postgres::shared();
    let (source, mirror) = (server.database(), server.database());
    let bench = big(&source, &mirror, "500ms");
    for (limit, time) in [
        ("idle_in_transaction_session_timeout", "300ms"),
        ("idle_session_timeout", "300ms"),
        ("statement_timeout", "50ms"),
        ("lock_timeout", "10ms"),
    ] {
        source.execute(&format!("ALTER DATABASE {} SET {limit} = '{time}'", source.name()));
    }
    let said = bench.tidemark("run pipeline.yaml --once").succeeds().stderr;
    assert!(!said.contains("trying again"), "{said}");
    source.execute(&format!("SET statement_timeout = 0; ALTER DATABASE {} RESET ALL", source.name()));
    assert_big_is_mirrored(&source, &mirror);
}
