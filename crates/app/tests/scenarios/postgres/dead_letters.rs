//! Records that a destination cannot take become dead letters, and are written when it can.

use serde_json::Value as Json;
use tidemark_test_servers::{Database, Postgres};

use super::{comparison::assert_equal, destination, pipeline, value};
use crate::workbench::Workbench;

const ACCOUNTS: &str = "CREATE TABLE accounts (id int PRIMARY KEY, amount int)";
/// A destination whose table takes small amounts only.
const SMALL: &str =
    "CREATE TABLE accounts (id int PRIMARY KEY, amount int, CONSTRAINT small CHECK (amount < 1000))";
const ALL: &str = "ALTER TABLE accounts DROP CONSTRAINT small";

/// A source with `tables`, and a copy that takes small amounts only.
fn made<'s>(server: &'s Postgres, tables: &str) -> (Database<'s>, Database<'s>, Workbench) {
    let (source, copy) = (server.database(), server.database());
    source.execute(&format!("{ACCOUNTS}; {tables}"));
    copy.execute(SMALL);
    let lines = destination("copy", &copy, "mirror, adopt: true, on_error: dead-letter");
    let bench = pipeline(&source, "[\"public.*\"]", &lines);
    (source, copy, bench)
}

/// The dead letters, as `id op behind`, in the order in which they are played.
fn letters(bench: &Workbench) -> Vec<Json> {
    let listed = bench.tidemark("dead-letters pipeline.yaml list --json").succeeds().stdout;
    serde_json::from_str(&listed).unwrap()
}

/// Their operations, those behind others in capitals.
fn ops(bench: &Workbench) -> String {
    let op = |letter: &Json| {
        let op = letter["op"].as_str().unwrap().to_owned();
        if letter["behind"].is_null() { op } else { op.to_uppercase() }
    };
    letters(bench).iter().map(op).collect()
}

fn run_once(bench: &Workbench) -> String {
    bench.tidemark("run pipeline.yaml --once").succeeds().stderr
}

/// Both hold the same accounts, but for those.
fn assert_equal_but(source: &Database<'_>, copy: &Database<'_>, ids: &str) {
    let sql = format!("SELECT id, amount FROM accounts WHERE id NOT IN ({ids}) ORDER BY id");
    assert!(source.query(&sql) == copy.query(&sql), "accounts but {ids} differ");
}

#[test]
fn what_a_constraint_refuses_waits_while_the_rest_goes_on() {
    let (source, copy, bench) = made(
        Postgres::shared(),
        "INSERT INTO accounts SELECT id, CASE WHEN id % 5000 = 0 THEN 5000 ELSE 1 END FROM generate_series(1, 20000) AS id;
         CREATE TABLE others (id int PRIMARY KEY); INSERT INTO others VALUES (1);",
    );
    let said = run_once(&bench);
    assert!(said.contains("dead letter") && said.contains("check constraint"), "{said}");
    assert_eq!(ops(&bench), "rrrr");
    assert_equal_but(&source, &copy, "5000, 10000, 15000, 20000");
    assert_eq!(value(&copy, "SELECT count(*) FROM accounts"), "19996");
    assert_equal(&source, &copy, "public.others");

    // One by itself, one in the middle of ten thousand, and changes of keys that are held.
    source.execute("UPDATE accounts SET amount = 2000 WHERE id = 1");
    source.execute(
        "UPDATE accounts SET amount = CASE WHEN id = 5007 THEN 7777 ELSE 2 END WHERE id BETWEEN 5001 AND 9999 OR id BETWEEN 10001 AND 14999",
    );
    source.execute("UPDATE accounts SET amount = 3 WHERE id = 5000");
    run_once(&bench);
    assert_eq!(ops(&bench), "rrrruuU");
    // A record that moves away holds the key that it comes to; the one it has left is held too.
    source.execute("UPDATE accounts SET id = 50000 WHERE id = 5000; INSERT INTO accounts VALUES (5000, 4); DELETE FROM accounts WHERE id = 1");
    source.execute("UPDATE accounts SET id = 1 WHERE id = 2; INSERT INTO accounts VALUES (30000, 5)");
    run_once(&bench);
    assert_eq!(ops(&bench), "rrrruuUUCDU");
    assert_equal_but(&source, &copy, "1, 2, 5000, 5007, 10000, 15000, 20000, 50000");
    assert_eq!(
        value(
            &copy,
            "SELECT string_agg(amount::text, ' ' ORDER BY id) FROM accounts WHERE id IN (1, 2, 5007)"
        ),
        "1 1 1"
    );
    let status = bench.tidemark("status pipeline.yaml").succeeds().stdout;
    assert!(status.contains("11 dead letters"), "{status}");

    // In vain, while the constraint is there.
    let retried = bench.tidemark("dead-letters pipeline.yaml retry").exits_with(1).stdout;
    assert!(retried.contains("left"), "{retried}");
    assert_eq!(ops(&bench), "rrrruuUUCDU");
    assert_eq!(letters(&bench)[0]["attempts"], 2);

    let first = letters(&bench)[0]["id"].as_str().unwrap().to_owned();
    let shown = bench.tidemark(&format!("dead-letters pipeline.yaml show {first} --json")).succeeds().stdout;
    let shown: Json = serde_json::from_str(&shown).unwrap();
    assert_eq!((&shown["change"]["values"]["amount"], &shown["kind"]), (&5000.into(), &"data".into()));
    let shown = bench.tidemark(&format!("dead-letters pipeline.yaml show {first}")).succeeds().stdout;
    assert!(shown.contains("{\"id\":5000}") && shown.contains("check constraint"), "{shown}");

    copy.execute(ALL);
    bench.tidemark("dead-letters pipeline.yaml retry").succeeds();
    assert_eq!(ops(&bench), "");
    assert_equal(&source, &copy, "public.accounts");
    let listed = bench.tidemark("dead-letters pipeline.yaml list").succeeds().stdout;
    assert_eq!(listed, "there are no dead letters\n");
}

#[test]
fn a_discarded_record_is_never_written_and_what_came_after_it_is() {
    let (source, copy, bench) =
        made(Postgres::shared(), "INSERT INTO accounts VALUES (1, 1), (2, 5000), (3, 3000)");
    run_once(&bench);
    source.execute("UPDATE accounts SET amount = 7 WHERE id = 2");
    run_once(&bench);
    assert_eq!(ops(&bench), "rrU");
    let first = letters(&bench)[0]["id"].as_str().unwrap().to_owned();
    bench.tidemark("dead-letters pipeline.yaml discard").exits_with(2);
    bench.tidemark("dead-letters pipeline.yaml discard 99-1").exits_with(2);
    bench.tidemark(&format!("dead-letters pipeline.yaml discard {first} --destination copy")).succeeds();
    assert_eq!(ops(&bench), "r");
    assert_eq!(
        value(&copy, "SELECT string_agg(id || ':' || amount, ' ' ORDER BY id) FROM accounts"),
        "1:1 2:7"
    );
    // A truncate makes void what came before it.
    source.execute("TRUNCATE accounts; INSERT INTO accounts VALUES (3, 4), (4, 4000)");
    run_once(&bench);
    assert_eq!(ops(&bench), "c");
    assert_equal_but(&source, &copy, "4");
}

#[test]
fn a_process_that_is_killed_while_it_retries_has_lost_nothing() {
    let (source, copy, bench) = made(
        Postgres::shared(),
        "INSERT INTO accounts SELECT id, CASE WHEN id % 10 = 0 THEN 5000 ELSE 1 END FROM generate_series(1, 600) AS id",
    );
    run_once(&bench);
    source.execute("UPDATE accounts SET amount = amount + 1");
    run_once(&bench);
    assert_eq!(ops(&bench).len(), 120);
    copy.execute(ALL);
    // A running process does what it is asked for by another.
    let mut running = bench.start("run pipeline.yaml");
    running.until_it_says("running `");
    bench.tidemark("dead-letters pipeline.yaml retry").succeeds();
    let folder = bench.path(&format!("staging/{}/dead-letters/copy", source.name()));
    let left = || std::fs::read_dir(&folder).map_or(0, Iterator::count);
    running.until("some are written", || left() < 120);
    running.kill().was_killed();
    for _ in 0..3 {
        let before = left();
        let mut retrying = bench.start("run pipeline.yaml");
        retrying.until("more are written, or none is left", || left() == 0 || left() < before);
        retrying.kill().was_killed();
    }
    run_once(&bench);
    assert_eq!(ops(&bench), "");
    assert_equal(&source, &copy, "public.accounts");
}

#[test]
fn too_many_hold_their_stream() {
    let (source, copy, bench) = made(
        Postgres::shared(),
        "INSERT INTO accounts SELECT id, 5000 FROM generate_series(1, 150) AS id;
         CREATE TABLE others (id int PRIMARY KEY); INSERT INTO others VALUES (1);",
    );
    let said = bench.tidemark("run pipeline.yaml --once").exits_with(1).stderr;
    assert!(said.contains("more than 100 changes could not be written"), "{said}");
    assert_eq!(letters(&bench).len(), 100);
    assert_equal(&source, &copy, "public.others");
    copy.execute(ALL);
    bench.tidemark("dead-letters pipeline.yaml retry").succeeds();
    run_once(&bench);
    assert_eq!(ops(&bench), "");
    assert_equal(&source, &copy, "public.accounts");
}

#[test]
fn every_change_is_appended_but_the_one_that_is_refused() {
    let server = Postgres::shared();
    let (source, copy) = (server.database(), server.database());
    source.execute(&format!("{ACCOUNTS}; INSERT INTO accounts VALUES (1, 1), (2, 5000), (3, 3)"));
    copy.execute("CREATE TABLE accounts (_tidemark_position text COLLATE \"C\" PRIMARY KEY, _tidemark_op text NOT NULL,
         _tidemark_source_time timestamptz, _tidemark_unchanged text, id int, amount int CHECK (amount < 1000))");
    let lines = destination("copy", &copy, "append, adopt: true, on_error: dead-letter");
    let bench = pipeline(&source, "[\"public.*\"]", &lines);
    run_once(&bench);
    source.execute(
        "UPDATE accounts SET amount = amount + 1 WHERE id < 3; INSERT INTO accounts VALUES (4, 4000)",
    );
    run_once(&bench);
    assert_eq!(ops(&bench), "rUc");
    let all = "SELECT string_agg(id || ':' || amount, ' ' ORDER BY _tidemark_position) FROM accounts";
    assert_eq!(value(&copy, all), "1:1 3:3 1:2");
    copy.execute("ALTER TABLE accounts DROP CONSTRAINT accounts_amount_check");
    bench.tidemark("dead-letters pipeline.yaml retry").succeeds();
    assert_eq!(value(&copy, all), "1:1 2:5000 3:3 1:2 2:5001 4:4000");
}

#[test]
fn sqlite_tells_which_record_it_refuses() {
    let source = Postgres::shared().database();
    source.execute(&format!("{ACCOUNTS}; INSERT INTO accounts VALUES (1, 1), (2, 5000), (3, 3)"));
    let lines =
        "  copy: {type: sqlite, path: ./copy.db, write: mirror, adopt: true, on_error: dead-letter}\n";
    let bench = pipeline(&source, "[\"public.*\"]", lines);
    let copy = rusqlite::Connection::open(bench.path("copy.db")).unwrap();
    copy.execute_batch("CREATE TABLE \"public.accounts\" (id INTEGER PRIMARY KEY NOT NULL, amount INTEGER CHECK (amount < 1000))").unwrap();
    run_once(&bench);
    source.execute("UPDATE accounts SET amount = amount + 1; UPDATE accounts SET id = 20 WHERE id = 2; INSERT INTO accounts VALUES (4, 4000)");
    run_once(&bench);
    assert_eq!(ops(&bench), "rUUc");
    let all = || -> String {
        let sql = "SELECT group_concat(id || ':' || amount, ' ') FROM (SELECT * FROM \"public.accounts\" ORDER BY id)";
        copy.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(all(), "1:2 3:4");
    source.execute("UPDATE accounts SET amount = 5 WHERE id = 4");
    run_once(&bench);
    let last = letters(&bench)[3]["id"].as_str().unwrap().to_owned();
    bench.tidemark(&format!("dead-letters pipeline.yaml discard {last}")).succeeds();
    assert_eq!((all().as_str(), ops(&bench).as_str()), ("1:2 3:4 4:5", "rUU"));
    // What a constraint refuses still is refused, whatever came later.
    bench.tidemark("dead-letters pipeline.yaml retry").exits_with(1);
    copy.execute_batch(
        "PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET sql = replace(sql, ' CHECK (amount < 1000)', '') WHERE name = 'public.accounts';
         PRAGMA writable_schema = RESET;",
    )
    .unwrap();
    bench.tidemark("dead-letters pipeline.yaml retry").succeeds();
    assert_eq!((all().as_str(), ops(&bench).as_str()), ("1:2 3:4 4:5 20:5001", ""));
}

#[test]
fn every_mode_comes_to_what_it_is_without_a_refusal() {
    let server = Postgres::shared();
    let source = server.database();
    source
        .execute(&format!("{ACCOUNTS}; INSERT INTO accounts SELECT id, 1 FROM generate_series(1, 20) AS id"));
    let modes = ["mirror", "soft-delete", "history", "append"];
    let free = modes.map(|_| server.database());
    let strict = modes.map(|_| server.database());
    let lines = modes.iter().zip(free.iter().zip(&strict)).map(|(mode, (free, strict))| {
        destination(&format!("free-{mode}"), free, mode)
            + &destination(&format!("strict-{mode}"), strict, &format!("{mode}, on_error: dead-letter"))
    });
    let bench = pipeline(&source, "[\"public.*\"]", &lines.collect::<String>());
    run_once(&bench);
    for database in &strict {
        database.execute("ALTER TABLE accounts ADD CONSTRAINT small CHECK (amount < 1000)");
    }
    source.execute("UPDATE accounts SET amount = 5000 WHERE id = 3; UPDATE accounts SET amount = 2");
    source.execute("UPDATE accounts SET id = 40 WHERE id = 4; UPDATE accounts SET amount = 6000 WHERE id = 40; DELETE FROM accounts WHERE id = 40");
    source.execute("INSERT INTO accounts VALUES (4, 3), (50, 7000); UPDATE accounts SET id = 51 WHERE id = 50; DELETE FROM accounts WHERE id = 5");
    run_once(&bench);
    assert!(letters(&bench).len() > 4 * modes.len());
    source.execute("INSERT INTO accounts VALUES (5, 4); UPDATE accounts SET amount = 9 WHERE id IN (3, 51)");
    run_once(&bench);
    for database in &strict {
        database.execute(ALL);
    }
    bench.tidemark("dead-letters pipeline.yaml retry").succeeds();
    assert_eq!(ops(&bench), "");
    for (mode, (free, strict)) in modes.iter().zip(free.iter().zip(&strict)) {
        let all = "SELECT a::text FROM accounts AS a ORDER BY 1";
        assert_eq!(strict.query(all), free.query(all), "{mode}");
    }
}
