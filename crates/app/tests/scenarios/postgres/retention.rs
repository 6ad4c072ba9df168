//! What is old is dropped while a database goes on: whoever begins then has the tables as they are.

use std::{fs, thread, time::Duration};

use serde_json::Value as Json;
use tidemark_test_servers::{Database, Postgres};

use super::{
    comparison::assert_equal,
    destination,
    load::{self, Load, TABLES},
    pipeline, value,
};
use crate::{process::pause, workbench::Workbench};

/// Long texts are stored out of line: an update that leaves them alone does not tell them.
const TABLES_OF_ALL_KINDS: &str = "
    CREATE TABLE documents (id int PRIMARY KEY, title text, body text);
    ALTER TABLE documents ALTER body SET STORAGE EXTERNAL;
    INSERT INTO documents SELECT i, 'title ' || i, repeat('body ' || i, 1000) FROM generate_series(1, 30) i;
    CREATE TABLE pairs (a int, b text, note text, PRIMARY KEY (a, b));
    INSERT INTO pairs SELECT i % 3, 'b' || i, 'note' FROM generate_series(1, 20) i;
    CREATE TABLE emptied (id int PRIMARY KEY);
    INSERT INTO emptied VALUES (1), (2);
    CREATE TABLE ranked (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, name text);
    ALTER TABLE ranked REPLICA IDENTITY FULL;
    INSERT INTO ranked SELECT i, 'name ' || i FROM generate_series(1, 6) i;";

const STEPS: [&str; 6] = [
    "UPDATE documents SET title = title || '!' WHERE id < 10; UPDATE documents SET id = id + 100 WHERE id BETWEEN 3 AND 6",
    "DELETE FROM documents WHERE id = 1; INSERT INTO documents VALUES (1, 'again', repeat('again', 1000)), (3, 'new', 'short');
     UPDATE documents SET id = 200, body = repeat('whole', 900) WHERE id = 8; UPDATE pairs SET b = b || 'x' WHERE a = 1",
    "TRUNCATE emptied; INSERT INTO emptied VALUES (7); DELETE FROM pairs WHERE a = 2; UPDATE ranked SET id = 7 - id",
    "ALTER TABLE documents ADD COLUMN pages int; UPDATE documents SET pages = id WHERE id % 2 = 0",
    "UPDATE documents SET id = 300 + id WHERE id > 100; INSERT INTO pairs VALUES (2, 'b2', 'back'); UPDATE ranked SET id = id + 1",
    "UPDATE documents SET title = 'last' WHERE id = 1; DELETE FROM ranked WHERE id = 3",
];

const OF_ALL_KINDS: [&str; 4] = ["documents", "pairs", "emptied", "ranked"];

/// Has `bench` drop whatever it can, and write to `destinations` too.
fn dropping(bench: &Workbench, destinations: &str) {
    let file = fs::read_to_string(bench.path("pipeline.yaml")).unwrap();
    let staging = "staging: {path: ./staging, fold_after: 1ms, retention: {age: 1ms}}\n";
    let file = if file.contains("retention") {
        file
    } else {
        file.replace("destinations:\n", &format!("{staging}destinations:\n"))
    };
    bench.write("pipeline.yaml", &format!("{file}{destinations}"));
}

fn status(bench: &Workbench) -> Json {
    serde_json::from_str(&bench.tidemark("status pipeline.yaml --json").succeeds().stdout).unwrap()
}

fn assert_alike(source: &Database<'_>, copy: &Database<'_>) {
    for table in OF_ALL_KINDS {
        assert_equal(source, copy, &format!("public.{table}"));
    }
}

#[test]
fn whoever_begins_with_what_is_kept_has_the_tables_as_they_are() {
    let server = Postgres::start();
    let (source, first) = (server.database(), server.database());
    source.execute(TABLES_OF_ALL_KINDS);
    let bench = pipeline(&source, "[\"public.*\"]", &destination("first", &first, "mirror"));
    dropping(&bench, "");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let mut last = 0;
    let mut others = Vec::new();
    for (number, step) in STEPS.iter().enumerate() {
        source.execute(&format!("BEGIN; {step}; COMMIT"));
        if number == 3 {
            bench.tidemark("resync pipeline.yaml --stream public.pairs").succeeds();
        }
        bench.tidemark("run pipeline.yaml --once").succeeds();
        let kept = status(&bench)["kept"]["after_commit"].as_u64().unwrap_or_default();
        assert!(kept >= last, "what is kept begins later and later");
        last = kept;
        // Another begins at every step.
        let other = server.database();
        dropping(&bench, &destination(&format!("other{number}"), &other, "mirror"));
        bench.tidemark("run pipeline.yaml --once").succeeds();
        assert_alike(&source, &first);
        assert_alike(&source, &other);
        others.push(other);
    }
    assert!(last > 4, "it has dropped what was before {last}");
    source.execute("UPDATE documents SET title = title || '?'; UPDATE ranked SET id = 100 - id");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    for copy in others.iter().chain([&first]) {
        assert_alike(&source, copy);
    }
    bench.tidemark("verify pipeline.yaml --against staging").succeeds();
    bench.tidemark("verify pipeline.yaml").succeeds();
}

#[test]
fn every_mode_that_is_made_of_states_begins_with_what_is_kept() {
    let server = Postgres::start();
    let (source, first) = (server.database(), server.database());
    source.execute(TABLES_OF_ALL_KINDS);
    let bench = pipeline(&source, "[\"public.*\"]", &destination("first", &first, "mirror"));
    dropping(&bench, "");
    let titles = |database: &Database<'_>| {
        value(
            database,
            "SELECT string_agg(concat_ws(':', id, title, md5(body)), ' ' ORDER BY id) FROM documents",
        )
    };
    let mut seen = Vec::new();
    for step in ["SELECT 1"].iter().chain(&STEPS[..4]) {
        source.execute(step);
        seen.push(titles(&source));
        bench.tidemark("run pipeline.yaml --once").succeeds();
    }
    assert!(status(&bench)["kept"]["after_commit"].as_u64() > Some(2));
    let copies = ["soft-delete", "history", "replace"].map(|mode| (mode, server.database()));
    for (mode, copy) in &copies {
        dropping(&bench, &destination(&mode.replace('-', "_"), copy, mode));
    }
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let sum = |database: &Database<'_>, which: &str| {
        let sql = format!(
            "SELECT string_agg(concat_ws(':', id, title, md5(body), pages), ' ' ORDER BY id) FROM documents {which}"
        );
        value(database, &sql)
    };
    let expected = sum(&source, "");
    let which = ["WHERE _tidemark_deleted_at IS NULL", "WHERE _tidemark_valid_to IS NULL"];
    for ((mode, copy), which) in copies.iter().zip(which) {
        assert_eq!(sum(copy, which), expected, "{mode}");
    }
    assert!(seen.contains(&titles(&copies[2].1)), "the last whole state there is");
    source.execute("DELETE FROM documents WHERE id = 1; UPDATE documents SET title = 'later' WHERE id = 21");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let (soft, history) = (&copies[0].1, &copies[1].1);
    assert_eq!(sum(soft, which[0]), sum(&source, ""));
    assert_eq!(sum(history, which[1]), sum(&source, ""));
    assert_eq!(value(history, "SELECT count(*) FROM documents WHERE id = 21"), "2", "both of its versions");
}

#[test]
fn a_run_that_is_killed_again_and_again_drops_what_is_old_and_loses_nothing() {
    let server = Postgres::start();
    let (source, first, last) = (server.database(), server.database(), server.database());
    load::prepare(&source);
    let bench = pipeline(&source, "[\"public.*\"]", &destination("first", &first, "mirror"));
    dropping(&bench, "");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    thread::scope(|scope| {
        let load = Load::start(scope, &source, 2);
        for life in 0..12 {
            let running = bench.start("run pipeline.yaml --once");
            pause(Duration::from_millis(150 + 120 * life));
            running.kill();
        }
        load.stop();
    });
    for _ in 0..3 {
        bench.tidemark("run pipeline.yaml --once").succeeds();
    }
    assert!(status(&bench)["kept"]["after_commit"].as_u64().is_some(), "something is dropped");
    dropping(&bench, &destination("last", &last, "mirror"));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    for table in TABLES {
        assert_equal(&source, &first, table);
        assert_equal(&source, &last, table);
    }
}
