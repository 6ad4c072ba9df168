//! An SQLite database that the test writes to meanwhile.

use rusqlite::Connection;
use tidemark_test_servers::Postgres;

use super::changes;
use crate::workbench::Workbench;

const SHOP: &str = "
    CREATE TABLE orders (id INTEGER PRIMARY KEY, amount REAL, note TEXT, raw BLOB, at TEXT, big INTEGER, mixed);
    INSERT INTO orders VALUES
        (1, 10.5, 'a, \"b\"', x'00ff', '2013-01-01 10:00:00', 9223372036854775807, 5),
        (2, 5, '2013-01-01', x'', '2013-01-01T11:00:00', -9223372036854775808, 1.5),
        (3, 1e300, '', NULL, '2013-01-02', 0, 'five'),
        (4, NULL, NULL, x'5c78', '2013-01-03 00:00', 9007199254740993, x'0a'),
        (5, 9e999, '007', x'00', NULL, NULL, NULL);
    CREATE VIEW large AS SELECT id, amount FROM orders WHERE amount > 7;";

fn shop(bench: &Workbench) -> Connection {
    let shop = Connection::open(bench.path("shop.db")).unwrap();
    shop.busy_timeout(std::time::Duration::from_secs(60)).unwrap();
    shop
}

fn bench(streams: &str, more: &str) -> Workbench {
    let bench = Workbench::with_pipeline(&format!(
        "
name: shop
source:
  type: sqlite
  path: ./shop.db
  poll: 50ms
  streams: {streams}
destinations:
  copy: {{type: sqlite, path: ./copy.db, write: mirror}}
{more}"
    ));
    shop(&bench).execute_batch(SHOP).unwrap();
    bench
}

/// What `sql` finds in a database, as SQLite quotes it.
fn found(bench: &Workbench, database: &str, sql: &str) -> Vec<String> {
    let connection = Connection::open(bench.path(database)).unwrap();
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

const ALL: &str =
    "SELECT quote(id) || ' ' || quote(note) || ' ' || quote(raw) || ' ' || quote(at) || ' ' || quote(big)
                   FROM orders ORDER BY id";
const AMOUNTS: &str = "SELECT quote(amount) FROM orders ORDER BY id";
const MIXED: &str = "SELECT quote(mixed) FROM orders ORDER BY id";

#[test]
fn every_value_is_what_it_is_in_sqlite() {
    let server = Postgres::shared();
    let database = server.database();
    let more = format!("  there: {{type: postgres, url: \"{}\", write: mirror}}\n", database.url());
    let bench = bench("{orders: {}}", &more);
    bench.tidemark("check pipeline.yaml").succeeds();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(found(&bench, "copy.db", ALL), found(&bench, "shop.db", ALL));
    // An infinite number is a text, and makes its column one.
    assert_eq!(found(&bench, "copy.db", AMOUNTS), ["'10.5'", "'5.0'", "'1e300'", "NULL", "'Infinity'"]);
    assert_eq!(found(&bench, "copy.db", MIXED), ["'5'", "'1.5'", "'five'", "'\\x0a'", "NULL"]);
    let there = database.query("SELECT id, note, encode(raw, 'hex'), at, big, mixed FROM orders ORDER BY id");
    let there: Vec<_> = there
        .into_iter()
        .map(|row| row.into_iter().map(|cell| cell.unwrap_or("NULL".into())).collect::<Vec<_>>())
        .collect();
    assert_eq!(there[0], ["1", "a, \"b\"", "00ff", "2013-01-01 10:00:00", "9223372036854775807", "5"]);
    assert_eq!(there[1], ["2", "2013-01-01", "", "2013-01-01T11:00:00", "-9223372036854775808", "1.5"]);
    assert_eq!(there[4], ["5", "007", "00", "NULL", "NULL", "NULL"]);

    shop(&bench)
        .execute_batch("UPDATE orders SET amount = 7 WHERE id = 5; DELETE FROM orders WHERE id = 1")
        .unwrap();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(found(&bench, "copy.db", ALL), found(&bench, "shop.db", ALL));
    assert_eq!(changes(&bench, "orders"), ["r 1", "r 2", "r 3", "r 4", "r 5", "u 5", "d 1"]);
}

#[test]
fn kinds_that_are_declared_are_those() {
    let types = r#"{orders: {query: "SELECT id, at, note FROM orders WHERE at IS NOT NULL -- all of them",
                             types: {at: timestamp, note: text}, key: [id]}}"#;
    let bench = bench(types, "");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let at = found(&bench, "copy.db", "SELECT quote(at) FROM orders ORDER BY id");
    assert_eq!(
        at,
        ["'2013-01-01T10:00:00'", "'2013-01-01T11:00:00'", "'2013-01-02T00:00:00'", "'2013-01-03T00:00:00'"]
    );
}

#[test]
fn what_is_inserted_updated_and_deleted_is_found_by_comparing() {
    let bench = bench("{orders: {}, large: {key: [id], ignore: [amount]}}", "");
    let mut running = bench.start("run pipeline.yaml");
    let arrives = |running: &mut crate::process::Running, what: &str| {
        running.until(what, || found_if_there(&bench, ALL) == found(&bench, "shop.db", ALL));
    };
    arrives(&mut running, "what was there has arrived");
    shop(&bench)
        .execute_batch(
            "INSERT INTO orders (id, amount) VALUES (6, 8), (7, 1);
             UPDATE orders SET note = 'changed', mixed = NULL WHERE id = 2;
             UPDATE orders SET amount = 11 WHERE id = 1;
             DELETE FROM orders WHERE id = 3",
        )
        .unwrap();
    arrives(&mut running, "the changes have arrived");
    shop(&bench)
        .execute_batch("DELETE FROM orders; INSERT INTO orders (id, note) VALUES (2, 'again')")
        .unwrap();
    arrives(&mut running, "everything has changed");
    running.terminate().succeeds();
    let large = changes(&bench, "large");
    assert!(large.contains(&"c 6".to_owned()) && !large.contains(&"u 1".to_owned()), "{large:?}");
}

fn found_if_there(bench: &Workbench, sql: &str) -> Vec<String> {
    let copy = Connection::open(bench.path("copy.db")).unwrap();
    if copy.prepare("SELECT 1 FROM orders").is_err() { Vec::new() } else { found(bench, "copy.db", sql) }
}

#[test]
fn a_watermark_finds_what_has_reached_it_however_moments_are_written() {
    let bench = bench(
        "{orders: {watermark: at, overlap: 10m, query: 'SELECT id, at, note FROM orders', key: [id]}}",
        "",
    );
    bench.tidemark("run pipeline.yaml --once").succeeds();
    shop(&bench)
        .execute_batch(
            "INSERT INTO orders (id, at) VALUES (6, '2013-01-03 00:00:00'), (7, '2013-01-03T00:05'), (8, '2013-01-02 23:55'),
                                                (9, '2013-01-02 12:00'), (10, NULL);
             UPDATE orders SET note = 'late' WHERE id = 1;",
        )
        .unwrap();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let came = changes(&bench, "orders")[5..].to_vec();
    assert_eq!(came, ["c 6", "c 7", "c 8"], "what is before the mark, or has none, is not seen");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(changes(&bench, "orders").len(), 8, "what is known is not staged again");
}

#[test]
fn a_watermark_of_numbers_finds_texts_that_are_numbers_too() {
    let bench = bench("{marks: {watermark: mark}}", "");
    shop(&bench)
        .execute_batch(
            "CREATE TABLE marks (id INTEGER PRIMARY KEY, mark TEXT); INSERT INTO marks VALUES (1, '9')",
        )
        .unwrap();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    shop(&bench).execute_batch("INSERT INTO marks VALUES (2, '10'), (3, '8'), (4, '100')").unwrap();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(changes(&bench, "marks"), ["r 1", "c 2", "c 4"]);
}

#[test]
fn a_sweep_that_was_killed_is_made_whole_by_the_next() {
    let bench = bench("{many: {}}", "");
    shop(&bench)
        .execute_batch(
            "CREATE TABLE many (id INTEGER PRIMARY KEY, note TEXT);
             WITH RECURSIVE n (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 200000)
             INSERT INTO many SELECT value, 'note ' || value FROM n;",
        )
        .unwrap();
    for round in 0..4 {
        let mut running = bench.start("run pipeline.yaml");
        running.until("something is staged", || {
            let status = bench.tidemark("status pipeline.yaml --json");
            status.code() == 0 && !status.stdout.contains(r#""commit": 0"#)
        });
        running.kill().was_killed();
        shop(&bench)
            .execute_batch(&format!(
                "DELETE FROM many WHERE id % 1000 = {round}; UPDATE many SET note = 'round {round}' WHERE id % 777 = {round}"
            ))
            .unwrap();
    }
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let all = "SELECT id || note FROM many ORDER BY id";
    assert_eq!(found(&bench, "copy.db", all), found(&bench, "shop.db", all));
}

#[test]
fn what_is_wrong_is_said_by_check_with_its_stream() {
    let streams = r#"
    gone: {table: nowhere}
    misspelt: {table: orders, watermark: att}
    twice: {query: "SELECT o.id, p.id FROM orders o, orders p", key: [id]}
    writes: {query: "DELETE FROM orders RETURNING id", key: [id]}
    two: {query: "SELECT 1 AS id; DROP TABLE orders", key: [id]}"#;
    let bench = bench(streams, "");
    let said = bench.tidemark("check pipeline.yaml").exits_with(2).stderr;
    for expected in [
        "stream `gone` cannot be read: no such table: nowhere",
        "stream `misspelt` has no column `att`, which its `watermark` names",
        "did you mean `at`?",
        "stream `twice` has two columns `id`",
        "the `query` of stream `writes` does not only read",
        "stream `two` cannot be read: its `query` is more than one statement",
    ] {
        assert!(said.contains(expected), "`{expected}` is not in:\n{said}");
    }
    assert_eq!(found(&bench, "shop.db", "SELECT count(*) || '' FROM orders"), ["5"]);
}

#[test]
fn a_key_that_is_not_one_is_refused() {
    let bench = bench(r#"{orders: {query: "SELECT 1 AS id, note FROM orders", key: [id]}}"#, "");
    let ended = bench.tidemark("run pipeline.yaml --once");
    assert_ne!(ended.code(), 0);
    assert!(
        ended.stderr.contains("two records of stream `orders` have the same key (`id`)"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_database_in_use_is_waited_for() {
    let bench = bench("{orders: {}}", "");
    let writer = shop(&bench);
    writer
        .execute_batch("PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE; UPDATE orders SET note = 'new'")
        .unwrap();
    let mut running = bench.start("run pipeline.yaml");
    running.until_it_says("is in use by another process");
    writer.execute_batch("COMMIT").unwrap();
    running.until("it has arrived", || found_if_there(&bench, ALL) == found(&bench, "shop.db", ALL));
    running.terminate().succeeds();
}

#[test]
fn somebody_who_asks_does_not_wait_for_the_next_look() {
    let bench = bench("{orders: {}}", "");
    let pipeline = std::fs::read_to_string(bench.path("pipeline.yaml")).unwrap();
    bench.write("pipeline.yaml", &pipeline.replace("poll: 50ms", "poll: 30d"));
    let mut running = bench.start("run pipeline.yaml");
    running.until("it has arrived", || found_if_there(&bench, ALL) == found(&bench, "shop.db", ALL));
    shop(&bench).execute_batch("UPDATE orders SET note = 'now'").unwrap();
    bench.tidemark("trigger pipeline.yaml").succeeds();
    running.until("that has arrived", || found_if_there(&bench, ALL) == found(&bench, "shop.db", ALL));
    running.terminate().succeeds();
}

#[test]
fn the_example_runs() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/sqlite/pipeline.yaml");
    let bench = Workbench::with_pipeline(&std::fs::read_to_string(example).unwrap());
    shop(&bench)
        .execute_batch(
            "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO customers VALUES (1, 'Ada');
             CREATE TABLE orders (id INTEGER PRIMARY KEY, amount REAL, updated_at TEXT DEFAULT (datetime('now')));
             INSERT INTO orders (id, amount) VALUES (1, 10), (2, 2000);",
        )
        .unwrap();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(found(&bench, "copy.db", "SELECT name FROM customers"), ["Ada"]);
    assert_eq!(found(&bench, "copy.db", "SELECT id || '' FROM large"), ["2"]);
    assert_eq!(found(&bench, "copy.db", "SELECT count(*) || '' FROM orders"), ["2"]);
}
