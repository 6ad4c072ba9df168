//! What each write mode shows while a database is written to all the time and the process is killed all the time.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use rusqlite::Connection;
use tidemark_test_servers::{Database, Postgres};

use super::{
    comparison::assert_equal,
    destination,
    load::{self, Load},
    pipeline, value,
};
use crate::{growth::Chance, process::pause, workbench::Workbench};

/// The tables of the load, with their keys.
const KEYS: [(&str, &str); 8] = [
    ("accounts", "id"),
    ("savings", "id"),
    ("items", "id"),
    ("wide", "id"),
    ("codes", "code"),
    ("orders", "id, day"),
    ("scratch", "id"),
    ("changing", "id"),
];

/// Versions that begin before the one before them ends, or end before they begin. `{table}` and `{key}` are to be named.
const UNSOUND: &str = "
    SELECT count(*) FROM (
        SELECT _tidemark_valid_from AS f, _tidemark_valid_to AS t, lead(_tidemark_valid_from) OVER (
            PARTITION BY {key} ORDER BY _tidemark_valid_from, _tidemark_valid_to NULLS LAST, _tidemark_position
        ) AS following FROM {table}
    ) v WHERE t < f OR t > following OR (t IS NULL AND following IS NOT NULL)";

fn unsound(table: &str, key: &str) -> String {
    UNSOUND.replace("{table}", table).replace("{key}", key)
}

/// A source with the tables of the load, few enough rows to be kept many times.
fn loaded(server: &Postgres) -> Database<'_> {
    let source = server.database();
    load::prepare(&source);
    source.execute("DELETE FROM items WHERE id > 4000");
    source
}

/// Everything is kept while clients write and the process is killed `kills` times; in the middle, `between` happens.
fn keep(bench: &Workbench, source: &Database<'_>, kills: usize, between: impl Fn()) {
    let mut chance = Chance::from_the_environment();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    thread::scope(|scope| {
        let load = Load::start(scope, source, chance.below(u64::MAX));
        for kill in 0..kills {
            if kill == kills / 2 {
                between();
            }
            let running = bench.start("run pipeline.yaml");
            pause(Duration::from_millis(50 + chance.below(900)));
            running.kill().was_killed();
        }
        load.stop();
    });
    bench.tidemark("run pipeline.yaml --once").succeeds();
}

/// Has the schema `now` show those rows of every table that meet `condition`.
fn show_now(database: &Database<'_>, condition: &str) {
    database.execute("CREATE SCHEMA now");
    for (table, _) in KEYS {
        database
            .execute(&format!("CREATE VIEW now.{table} AS SELECT * FROM public.{table} WHERE {condition}"));
    }
}

#[test]
fn what_is_there_now_is_told_from_what_was_through_kills_and_a_resync() {
    let server = Postgres::shared();
    let source = loaded(server);
    let (soft, history, twin) = (server.database(), server.database(), server.database());
    let destinations = destination("soft", &soft, "soft-delete")
        + &destination("history", &history, "history")
        + &destination("twin", &twin, "history, live: false")
        + "  local: {type: sqlite, path: ./local.db, write: history, table: \"{stream}\"}\n";
    let bench = pipeline(&source, "[\"public.*\"]", &destinations);
    keep(&bench, &source, 10, || {
        bench.tidemark("resync pipeline.yaml --stream public.items").succeeds();
    });
    bench.tidemark("replay pipeline.yaml --to twin").succeeds();

    show_now(&source, "true");
    show_now(&soft, "_tidemark_deleted_at IS NULL");
    show_now(&history, "_tidemark_valid_to IS NULL");
    show_now(&twin, "_tidemark_valid_to IS NULL");
    let local = Connection::open(bench.path("local.db")).unwrap();
    for (table, key) in KEYS {
        for copy in [&soft, &history, &twin] {
            assert_equal(&source, copy, &format!("now.{table}"));
        }
        for versions in [&history, &twin] {
            assert_eq!(value(versions, &unsound(table, key)), "0", "`{table}` has versions that overlap");
        }
        let sql = unsound(&format!("\"public.{table}\""), key);
        let found: i64 = local.query_row(&sql, [], |row| row.get(0)).unwrap();
        assert_eq!(found, 0, "`{table}` has versions that overlap in SQLite");
    }
    for (database, ended) in [(&soft, "_tidemark_deleted_at"), (&history, "_tidemark_valid_to")] {
        let sql = format!("SELECT count(*) > 0 FROM items WHERE {ended} IS NOT NULL");
        assert_eq!(value(database, &sql), "t", "nothing ended");
    }
    bench.tidemark("verify pipeline.yaml").succeeds();
}

/// Without a re-sync a replay knows everything that those knew who were there.
#[test]
fn a_history_is_the_same_when_it_is_replayed() {
    let server = Postgres::shared();
    let (source, history, twin) = (loaded(server), server.database(), server.database());
    let destinations =
        destination("history", &history, "history") + &destination("twin", &twin, "history, live: false");
    let bench = pipeline(&source, "[\"public.*\"]", &destinations);
    keep(&bench, &source, 5, || {});
    bench.tidemark("replay pipeline.yaml --to twin").succeeds();
    for (table, _) in KEYS {
        assert_equal(&history, &twin, &format!("public.{table}"));
    }
}

#[test]
fn replace_shows_whole_readings_and_nothing_between() {
    let server = Postgres::shared();
    let (source, copy) = (server.database(), server.database());
    source.execute(
        "CREATE TABLE orders (id int PRIMARY KEY, n int); INSERT INTO orders SELECT i, i FROM generate_series(1, 20000) i;
         CREATE TABLE logs (n int, t text); INSERT INTO logs SELECT i / 2, 'x' FROM generate_series(1, 20000) i",
    );
    let bench = pipeline(&source, "[\"public.*\"]", &destination("copy", &copy, "replace"));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let tables = ["orders", "logs"];
    let shown = |database: &Database<'_>| {
        tables.map(|table| value(database, &format!("SELECT count(*) || ' ' || sum(n) FROM {table}")))
    };
    for _ in 0..2 {
        for table in tables {
            assert_equal(&source, &copy, &format!("public.{table}"));
        }
        let old = shown(&source);
        source.execute(
            "UPDATE orders SET n = n + 1 WHERE id % 2 = 0; DELETE FROM orders WHERE id % 7 = 0;
             INSERT INTO orders SELECT 1 + max(id), 1 FROM orders; INSERT INTO logs SELECT n, 'y' FROM logs LIMIT 1000",
        );
        let new = shown(&source);
        bench.tidemark("run pipeline.yaml --once").succeeds();
        assert_eq!(shown(&copy), old, "changes were shown");

        bench.tidemark("resync pipeline.yaml").succeeds();
        let is_over = AtomicBool::new(false);
        let seen = thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut seen = [BTreeSet::new(), BTreeSet::new()];
                while !is_over.load(Ordering::Relaxed) {
                    for (seen, shown) in seen.iter_mut().zip(shown(&copy)) {
                        seen.insert(shown);
                    }
                }
                seen
            });
            let outcome = bench.tidemark("run pipeline.yaml --once");
            is_over.store(true, Ordering::Relaxed);
            outcome.succeeds();
            reader.join().unwrap()
        });
        for (index, seen) in seen.iter().enumerate() {
            assert!(seen.contains(&old[index]), "nobody looked before");
            let strange: Vec<_> = seen.iter().filter(|it| **it != old[index] && **it != new[index]).collect();
            assert!(strange.is_empty(), "half of it was seen: {strange:?}");
        }
        assert_eq!(shown(&copy), new);
    }
    for table in tables {
        assert_equal(&source, &copy, &format!("public.{table}"));
    }
}
