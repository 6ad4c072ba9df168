//! A destination that goes away in the middle of its work.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use tidemark_test_servers::{Database, Postgres};

use super::{comparison::assert_equal, destination, pipeline, value};
use crate::{growth::Chance, process::pause, workbench::Workbench};

/// A table whose rows are written to all the time.
pub(super) const ITEMS: &str = "CREATE TABLE items (id int PRIMARY KEY, n int NOT NULL);
     INSERT INTO items SELECT i, 0 FROM generate_series(1, 2000) i;";

/// Writes to `source` until `stop`, with a pause after each transaction.
pub(super) fn write_until(stop: &AtomicBool, source: &Database<'_>) {
    let mut chance = Chance::new(7);
    while !stop.load(Ordering::Relaxed) {
        let (id, new) = (chance.below(2_000), 10_000 + chance.below(1_000));
        source.execute(&format!(
            "UPDATE items SET n = n + 1 WHERE id BETWEEN {id} AND {id} + 20;
             INSERT INTO items VALUES ({new}, 1) ON CONFLICT (id) DO UPDATE SET n = items.n + 1;
             DELETE FROM items WHERE id = {new} + 1;"
        ));
        pause(Duration::from_millis(5));
    }
}

/// Fails unless `history` has every change of the log once, none less and none more.
pub(super) fn assert_each_change_once(bench: &Workbench, history: &Database<'_>) {
    assert_each_change_once_in(bench, history, "items");
}

/// The same for the only table that there is.
pub(super) fn assert_each_change_once_in(bench: &Workbench, history: &Database<'_>, table: &str) {
    let changes = bench.tidemark("changes pipeline.yaml --json --from beginning").succeeds().stdout;
    let changes = changes.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let mut staged: Vec<_> = changes.map(|change| change["position"].as_str().unwrap().to_owned()).collect();
    staged.sort_unstable();
    let kept = history.query(&format!("SELECT _tidemark_position FROM {table} ORDER BY 1"));
    let kept: Vec<_> = kept.into_iter().flatten().flatten().collect();
    assert_eq!(kept.len(), staged.len(), "changes are there twice, or not at all");
    assert!(kept == staged, "other changes are there");
}

/// Failure mode 32. The server waits for a standby that never comes: a session that is ended meanwhile has committed, and its
/// client cannot know.
#[test]
fn a_commit_whose_outcome_is_unknown_is_neither_lost_nor_repeated() {
    let server = Postgres::with_settings(&[("synchronous_commit", "local")]);
    let (source, mirror, history) = (server.database(), server.database(), server.database());
    source.execute(ITEMS);
    for database in [&mirror, &history] {
        source.execute(&format!("ALTER DATABASE {} SET synchronous_commit = on", database.name()));
    }
    let standby = |name: &str| {
        source.execute(&format!("ALTER SYSTEM SET synchronous_standby_names = '{name}'"));
        source.execute("SELECT pg_reload_conf()");
    };
    let destinations = destination("mirror", &mirror, "mirror") + &destination("history", &history, "append");
    let bench = pipeline(&source, "[\"public.*\"]", &destinations);
    // From here on each change is delivered once. (Those under way during an initial sync are part of what it reads.)
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let mut unknown = 0;
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let load = scope.spawn(|| write_until(&stop, &source));
        let mut running = bench.start("run pipeline.yaml");
        for _ in 0..15 {
            standby("nobody");
            for _ in 0..8 {
                pause(Duration::from_millis(25));
                let ended = source.query(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE wait_event = 'SyncRep' AND state = 'active' AND query LIKE '%COMMIT%'",
                );
                unknown += ended.len();
            }
            // Sessions that end wait for the standby too, when they drop their temporary tables; nothing wakes them but this.
            standby("");
            pause(Duration::from_millis(100));
        }
        stop.store(true, Ordering::Relaxed);
        load.join().unwrap();
        source.execute("INSERT INTO items VALUES (-1, 0)");
        running.until("both have the last row", || {
            [&mirror, &history]
                .iter()
                .all(|copy| value(copy, "SELECT count(*) FROM items WHERE id = -1") == "1")
        });
        running.terminate().succeeds();
    });
    assert!(unknown > 5, "only {unknown} commits had an unknown outcome");
    assert_equal(&source, &mirror, "public.items");
    assert_each_change_once(&bench, &history);
}

/// Failure mode 32, with the usual outcome: the session ends at any moment of its work.
#[test]
fn sessions_that_end_at_any_moment_lose_nothing_and_repeat_nothing() {
    let server = Postgres::shared();
    let (source, mirror, history) = (server.database(), server.database(), server.database());
    source.execute(ITEMS);
    let destinations = destination("mirror", &mirror, "mirror") + &destination("history", &history, "append");
    let bench = pipeline(&source, "[\"public.*\"]", &destinations);
    let mut chance = Chance::from_the_environment();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let load = scope.spawn(|| write_until(&stop, &source));
        let running = bench.start("run pipeline.yaml");
        for _ in 0..40 {
            pause(Duration::from_millis(20 + chance.below(100)));
            for copy in [&mirror, &history] {
                copy.query(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE datname = current_database() AND pid <> pg_backend_pid()",
                );
            }
        }
        stop.store(true, Ordering::Relaxed);
        load.join().unwrap();
        running.terminate();
    });
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_equal(&source, &mirror, "public.items");
    assert_each_change_once(&bench, &history);
}

#[test]
fn a_destination_that_is_killed_while_it_is_loaded_is_loaded_to_the_end() {
    let server = Postgres::shared();
    let own = Postgres::start();
    let (source, mirror) = (server.database(), own.database());
    source.execute(
        "CREATE TABLE items (id int PRIMARY KEY, t text);
         INSERT INTO items SELECT i, repeat('x', 200) FROM generate_series(1, 100000) i;",
    );
    let bench = pipeline(&source, "[\"public.*\"]", &destination("mirror", &mirror, "mirror"));
    let mut running = bench.start("run pipeline.yaml");
    let count = || {
        let exists = value(&mirror, "SELECT to_regclass('items') IS NOT NULL") == "t";
        exists.then(|| value(&mirror, "SELECT count(*) FROM items").parse::<u64>().unwrap())
    };
    running.until("the load has begun", || count().is_some());
    own.kill();
    source.execute("UPDATE items SET t = 'changed' WHERE id % 100 = 0");
    own.restart();
    running.until("the load goes on", || count().is_some_and(|count| count > 0));
    own.stop();
    source.execute("INSERT INTO items VALUES (-1, 'last'); DELETE FROM items WHERE id % 100 = 1");
    own.restart();
    running
        .until("the last row is there", || value(&mirror, "SELECT count(*) FROM items WHERE id = -1") == "1");
    running.terminate().succeeds();
    assert_equal(&source, &mirror, "public.items");
}

/// Failure mode 38: what was loaded before is gone, and nothing of it is mixed with what came after.
#[test]
fn a_table_that_is_truncated_while_it_is_loaded_ends_as_its_source_does() {
    let server = Postgres::shared();
    let (source, mirror) = (server.database(), server.database());
    source.execute(
        "CREATE TABLE items (id int PRIMARY KEY, t text);
         INSERT INTO items SELECT i, repeat('x', 200) FROM generate_series(1, 100000) i;",
    );
    let bench = pipeline(&source, "[\"public.*\"]", &destination("mirror", &mirror, "mirror"));
    let mut running = bench.start("run pipeline.yaml");
    running.until("the load has begun", || value(&mirror, "SELECT to_regclass('items') IS NOT NULL") == "t");
    source.execute("TRUNCATE items; INSERT INTO items SELECT i * 7, 'new' FROM generate_series(1, 500) i");
    source.execute("INSERT INTO items VALUES (-1, 'last')");
    running
        .until("the last row is there", || value(&mirror, "SELECT count(*) FROM items WHERE id = -1") == "1");
    running.terminate().succeeds();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_equal(&source, &mirror, "public.items");
}

/// A destination that is away hears of everything later, in its order and under the schema of its time.
#[test]
fn a_table_that_is_emptied_and_altered_while_a_destination_is_away_arrives_as_it_is() {
    let (server, own) = (Postgres::shared(), Postgres::start());
    let (source, mirror) = (server.database(), own.database());
    source.execute(ITEMS);
    let bench = pipeline(&source, "[\"public.*\"]", &destination("mirror", &mirror, "mirror"));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let mut running = bench.start("run pipeline.yaml");
    own.stop();
    source.execute("UPDATE items SET n = 1; TRUNCATE items; INSERT INTO items VALUES (1, 1), (2, 2)");
    source.execute("ALTER TABLE items ADD COLUMN note text");
    source.execute("UPDATE items SET note = 'new' WHERE id = 1; INSERT INTO items VALUES (3, 3, 'new')");
    source.execute("TRUNCATE items; INSERT INTO items VALUES (4, 4, 'kept'), (5, 5, NULL)");
    source.execute("ALTER TABLE items DROP COLUMN n; INSERT INTO items VALUES (-1, 'last')");
    running.until_it_says("mirror");
    own.restart();
    running
        .until("the last row is there", || value(&mirror, "SELECT count(*) FROM items WHERE id = -1") == "1");
    running.terminate().succeeds();
    assert_equal(&source, &mirror, "public.items");
}
