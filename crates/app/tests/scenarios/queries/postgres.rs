//! A PostgreSQL database without a replication slot.

use tidemark_test_servers::{Database, Postgres};

use super::changes;
use crate::workbench::Workbench;

const ORDERS: &str = "
    CREATE TABLE orders (id int PRIMARY KEY, amount numeric(12,2), note text, updated_at timestamptz DEFAULT now());
    INSERT INTO orders SELECT i, i * 1.5, 'note ' || i, '2013-01-01Z'::timestamptz + i * '1 min'::interval
    FROM generate_series(1, 20000) i;";

fn bench(source: &Database<'_>, copy: &Database<'_>, streams: &str) -> Workbench {
    Workbench::with_pipeline(&format!(
        "
name: {}
source:
  type: postgres-query
  url: \"{}\"
  poll: 50ms
  streams: {streams}
destinations:
  copy: {{type: postgres, url: \"{}\", write: mirror}}
  here: {{type: sqlite, path: ./copy.db, write: mirror}}
",
        source.name(),
        source.url(),
        copy.url()
    ))
}

/// Every order, as text.
fn orders(database: &Database<'_>) -> Vec<Vec<Option<String>>> {
    let there = database.query("SELECT to_regclass('orders') IS NOT NULL");
    match there[0][0].as_deref() {
        Some("t") => database
            .query("SET TimeZone = 'UTC'; SELECT id, amount, note, updated_at FROM orders ORDER BY id"),
        _ => Vec::new(),
    }
}

#[test]
fn what_is_inserted_updated_and_deleted_is_found_by_comparing() {
    let server = Postgres::shared();
    let (source, copy) = (server.database(), server.database());
    source.execute(ORDERS);
    let bench = bench(
        &source,
        &copy,
        "{orders: {}, few: {query: 'SELECT id, note FROM orders WHERE id BETWEEN 1 AND 9;', key: [id]}}",
    );
    bench.tidemark("check pipeline.yaml").succeeds();
    let mut running = bench.start("run pipeline.yaml");
    running.until("what was there has arrived", || orders(&copy) == orders(&source));
    source.execute(
        "INSERT INTO orders VALUES (20001, 'NaN', NULL, 'infinity'); UPDATE orders SET note = 'changed' WHERE id % 100 = 0;
         DELETE FROM orders WHERE id % 101 = 0; UPDATE orders SET id = -id WHERE id % 1000 = 7",
    );
    running.until("the changes have arrived", || orders(&copy) == orders(&source));
    source.execute("ALTER TABLE orders ADD extra jsonb; UPDATE orders SET extra = '[1]' WHERE id = 1");
    let extra = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attname = 'extra'";
    running.until("a column that came has arrived", || copy.query(extra)[0][0].as_deref() == Some("1"));
    running.terminate().succeeds();
    let slots = source.query("SELECT count(*) FROM pg_replication_slots WHERE database = current_database()");
    assert_eq!(slots[0][0].as_deref(), Some("0"));
    let few = changes(&bench, "few");
    assert_eq!((few.len(), few.last().map(String::as_str)), (10, Some("d 7")), "{few:?}");
}

#[test]
fn a_watermark_finds_what_has_reached_it() {
    let server = Postgres::shared();
    let (source, copy) = (server.database(), server.database());
    source.execute(ORDERS);
    let bench = bench(&source, &copy, "{orders: {watermark: updated_at, overlap: 1h}}");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(orders(&copy), orders(&source));
    let before = changes(&bench, "orders").len();
    source.execute(
        "UPDATE orders SET note = 'now', updated_at = now() WHERE id IN (5, 6);
         INSERT INTO orders VALUES (20001, 1, 'late', (SELECT max(updated_at) FROM orders WHERE id = 20000) - '30 min'::interval);
         UPDATE orders SET note = 'unseen' WHERE id = 7",
    );
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let mut came = changes(&bench, "orders")[before..].to_vec();
    came.sort();
    assert_eq!(came, ["c 20001", "u 5", "u 6"]);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(changes(&bench, "orders").len(), before + 3, "what is known is not staged again");
}

#[test]
fn a_run_that_is_killed_is_gone_on_with() {
    let server = Postgres::shared();
    let (source, copy) = (server.database(), server.database());
    source.execute(ORDERS);
    let bench = bench(&source, &copy, "{orders: {}}");
    for round in 0..4 {
        let mut running = bench.start("run pipeline.yaml");
        running.until("something is staged", || {
            let status = bench.tidemark("status pipeline.yaml --json");
            status.code() == 0 && !status.stdout.contains(r#""commit": 0"#)
        });
        running.kill().was_killed();
        source.execute(&format!(
            "DELETE FROM orders WHERE id % 1000 = {round}; UPDATE orders SET note = '{round}' WHERE id % 77 = {round}"
        ));
    }
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(orders(&copy), orders(&source));
}

#[test]
fn what_is_wrong_is_said_with_its_stream() {
    let server = Postgres::shared();
    let (source, copy) = (server.database(), server.database());
    source.execute(ORDERS);
    let streams = r#"
    gone: {table: nowhere}
    misspelt: {table: orders, key: [idd]}
    text: {table: orders, watermark: note}
    two: {query: "SELECT 1 AS id; DROP TABLE orders", key: [id]}"#;
    let said = bench(&source, &copy, streams).tidemark("check pipeline.yaml").exits_with(2).stderr;
    for expected in [
        "cannot read stream `gone`: relation \"nowhere\" does not exist",
        "stream `misspelt` has no column `idd`, which its `key` names",
        "the watermark `note` of stream `text` is of type `text`",
        "cannot read stream `two`",
    ] {
        assert!(said.contains(expected), "`{expected}` is not in:\n{said}");
    }

    source.execute("CREATE SEQUENCE counter");
    let writes = r#"{writes: {query: "SELECT nextval('counter') AS id", key: [id]}}"#;
    let ended = bench(&source, &copy, writes).tidemark("run pipeline.yaml --once").exits_with(2);
    assert!(ended.stderr.contains("stream `writes` does not only read"), "{}", ended.stderr);
    let twice = r#"{twice: {query: "SELECT 1 AS id, note FROM orders", key: [id]}}"#;
    let ended = bench(&source, &copy, twice).tidemark("run pipeline.yaml --once");
    assert!(ended.stderr.contains("two records of stream `twice` have the same key"), "{}", ended.stderr);
    let here = source.query("SELECT count(*) FROM orders");
    assert_eq!(here[0][0].as_deref(), Some("20000"));
}

#[test]
fn the_example_runs() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/postgres-query/pipeline.yaml");
    let server = Postgres::shared();
    let source = server.database();
    source.execute(
        "CREATE TABLE customers (id int PRIMARY KEY, name text); INSERT INTO customers VALUES (1, 'Ada');
         CREATE TABLE orders (day date, amount numeric); INSERT INTO orders VALUES ('2013-01-01', 1.5), ('2013-01-01', 2);",
    );
    let bench = Workbench::with_pipeline(&std::fs::read_to_string(example).unwrap());
    bench.tidemark_with(&[("SHOP_URL", &source.url())], "run pipeline.yaml --once").succeeds();
    let copy = rusqlite::Connection::open(bench.path("copy.db")).unwrap();
    let total: String =
        copy.query_row("SELECT day || ' ' || total FROM totals", [], |row| row.get(0)).unwrap();
    assert_eq!(total, "2013-01-01 3.5");
}
