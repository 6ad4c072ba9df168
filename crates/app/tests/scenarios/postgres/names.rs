//! Names as people give them, and names that cannot be kept: failure mode 48.

use tidemark_test_servers::{Database, Postgres};

use super::{destination, pipeline, value};
use crate::rows::files_below;

/// Schemas and tables, not quoted yet.
const TABLES: [(&str, &str); 8] = [
    ("public", "select"),
    ("public", "Mixed Case"),
    ("public", "it's \"quoted\"; DROP TABLE x; --"),
    ("public", "dot.ted"),
    ("my schema", "table"),
    ("my schema", "naïve 🦀"),
    ("User", "%s $1 {} \\ /"),
    ("User", "sixty-three-bytes-are-the-most-that-a-name-may-have-in-postgres"),
];

const COLUMNS: [&str; 9] = [
    "order",
    "a b",
    "Mixed",
    "\"",
    "it's",
    "ünï",
    "$1",
    "a.b,c;--",
    "another-name-of-sixty-three-bytes-01234567890123456789012345678",
];

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn full(schema: &str, table: &str) -> String {
    format!("{}.{}", quoted(schema), quoted(table))
}

fn rows(database: &Database<'_>, table: &str) -> Vec<Vec<Option<String>>> {
    let columns = COLUMNS.map(quoted).join(", ");
    database.query(&format!("SELECT \"key id\", {columns} FROM {table} ORDER BY 1"))
}

#[test]
fn hostile_names_arrive_as_they_are() {
    let server = Postgres::shared();
    let (source, mirror, history) = (server.database(), server.database(), server.database());
    let columns = COLUMNS.map(|name| format!("{} text", quoted(name))).join(", ");
    source
        .execute("CREATE SCHEMA \"my schema\"; CREATE SCHEMA \"User\"; CREATE TABLE x (id int PRIMARY KEY); INSERT INTO x VALUES (1)");
    for (schema, table) in TABLES {
        let table = full(schema, table);
        source.execute(&format!(
            "CREATE TABLE {table} (\"key id\" int PRIMARY KEY, {columns});
             INSERT INTO {table} (\"key id\", \"a b\") VALUES (1, 'one'), (2, 'two'), (3, 'three')"
        ));
    }
    let destinations = destination("mirror", &mirror, "mirror")
        + &destination("history", &history, "append")
        + "  copy: {type: sqlite, path: ./copy.db, write: mirror}
  archive: {type: files, path: ./archive, format: jsonl, write: append, linger: 100ms}
";
    let bench = pipeline(&source, "[\"*\"]", &destinations);
    bench.tidemark("check pipeline.yaml").succeeds();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    for (schema, table) in TABLES {
        let table = full(schema, table);
        let sets = COLUMNS.map(|name| format!("{} = 'set'", quoted(name))).join(", ");
        source.execute(&format!(
            "UPDATE {table} SET {sets} WHERE \"key id\" = 1; DELETE FROM {table} WHERE \"key id\" = 2;
             UPDATE {table} SET \"key id\" = 30 WHERE \"key id\" = 3;
             INSERT INTO {table} (\"key id\") SELECT i FROM generate_series(100, 130) i"
        ));
    }
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let sqlite = rusqlite::Connection::open(bench.path("copy.db")).unwrap();
    for (schema, table) in TABLES {
        let id = full(schema, table);
        assert_eq!(rows(&source, &id), rows(&mirror, &id), "{id}");
        // Read, updated, deleted, moved, made.
        assert_eq!(value(&history, &format!("SELECT count(*) FROM {id}")), "37", "{id}");
        let name = quoted(&format!("{schema}.{table}"));
        let columns = COLUMNS.map(quoted).join(" || ");
        let sql = format!("SELECT count(*), max({columns}) FROM {name}");
        let found: (i64, String) = sqlite.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!(found, (33, "set".repeat(COLUMNS.len())), "{name}");
    }
    let lines = files_below(&bench.path("archive"), "jsonl")
        .iter()
        .map(|file| std::fs::read_to_string(file).unwrap().lines().count())
        .sum::<usize>();
    assert_eq!(lines, 37 * TABLES.len() + 1);
    assert_eq!(value(&mirror, "SELECT count(*) FROM x"), "1");
}

/// Cut off at 63 bytes these would be one table.
#[test]
fn names_that_would_be_cut_off_are_refused_and_hold_their_streams_alone() {
    let server = Postgres::shared();
    let (source, copy) = (server.database(), server.database());
    let long = "a".repeat(60);
    source.execute(&format!(
        "CREATE TABLE {long}1 (id int PRIMARY KEY); INSERT INTO {long}1 VALUES (1);
         CREATE TABLE {long}2 (id int PRIMARY KEY); INSERT INTO {long}2 VALUES (2);
         CREATE TABLE short (id int PRIMARY KEY); INSERT INTO short VALUES (3);"
    ));
    let lines = destination("copy", &copy, "mirror, table: \"copy_of_{stream}\"");
    let bench = pipeline(&source, "[\"public.*\"]", &lines);
    let ended = bench.tidemark("run pipeline.yaml --once").exits_with(2);
    for stream in [format!("public.{long}1"), format!("public.{long}2")] {
        assert!(ended.stderr.contains(&stream), "{}", ended.stderr);
    }
    assert!(
        ended.stderr.contains("63") && ended.stderr.contains("choose another with `table`"),
        "{}",
        ended.stderr
    );
    assert_eq!(value(&copy, "SELECT id FROM copy_of_short"), "3");
    assert_eq!(value(&copy, "SELECT count(*) FROM pg_tables WHERE tablename LIKE '%aaa%'"), "0");
}

/// Two streams whose tables would be one.
#[test]
fn streams_that_meet_in_one_table_are_not_mixed() {
    let server = Postgres::shared();
    let (source, copy) = (server.database(), server.database());
    source.execute(
        "CREATE SCHEMA one; CREATE SCHEMA two;
         CREATE TABLE one.orders (id int PRIMARY KEY, v text); INSERT INTO one.orders VALUES (1, 'one');
         CREATE TABLE two.orders (id int PRIMARY KEY, v text); INSERT INTO two.orders VALUES (1, 'two'), (2, 'two');
         CREATE TABLE two.other (id int PRIMARY KEY); INSERT INTO two.other VALUES (1);",
    );
    let lines = destination("copy", &copy, "mirror, schema: \"all of them\"");
    let bench = pipeline(&source, "[\"one.*\", \"two.*\"]", &lines);
    let ended = bench.tidemark("run pipeline.yaml --once").exits_with(2);
    assert!(ended.stderr.contains(".orders") && ended.stderr.contains("hint:"), "{}", ended.stderr);
    let mixed = value(&copy, "SELECT count(DISTINCT v) FROM \"all of them\".orders");
    assert!(mixed == "1", "rows of {mixed} streams are in one table");
    assert_eq!(value(&copy, "SELECT count(*) FROM \"all of them\".other"), "1");
}

#[test]
fn a_schema_of_its_own_is_made_and_used_also_in_the_sources_database() {
    let source = Postgres::shared().database();
    source.execute("CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (1)");
    let bench =
        pipeline(&source, "[\"public.*\"]", &destination("copy", &source, "mirror, schema: \"the Copy\""));
    bench.tidemark("check pipeline.yaml").succeeds();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    source.execute("INSERT INTO orders VALUES (2)");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(value(&source, "SELECT count(*) FROM \"the Copy\".orders"), "2");
}

#[test]
fn what_is_read_is_not_written_to_whatever_it_is_called() {
    let source = Postgres::shared().database();
    source.execute("CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (1)");
    let same = destination("copy", &source, "mirror");
    for (lines, streams) in [
        (same.clone(), "[\"public.*\"]"),
        (same.replace("127.0.0.1", "localhost"), "[\"public.*\"]"),
        (
            same.replace("127.0.0.1", "localhost").replace("mirror", "mirror, schema: public"),
            "[\"public.*\"]",
        ),
        (same.replace("write: mirror", "write: append, adopt: true"), "[\"public.orders\"]"),
    ] {
        let bench = pipeline(&source, streams, &lines);
        for command in ["check pipeline.yaml", "run pipeline.yaml --once"] {
            let ended = bench.tidemark(command).exits_with(2);
            assert!(ended.stderr.contains("destination `copy` writes to"), "{lines}{}", ended.stderr);
        }
    }
    assert_eq!(value(&source, "SELECT to_regnamespace('_tidemark') IS NULL"), "t", "something was written");
}
