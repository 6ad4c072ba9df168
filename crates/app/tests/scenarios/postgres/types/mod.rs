//! A column of every type, from PostgreSQL to every kind of destination at once: what was there at the initial sync, and what came by the stream.

mod canonical;
mod columns;
mod copies;

use tidemark_test_servers::{Database, Postgres};

use self::{
    canonical::Cell,
    columns::{BINARY, Column, TEXTUAL, TYPES, change, create, names},
    copies::History,
};
use super::{destination, pipeline, value, verify::Found};
use crate::workbench::Workbench;

/// A source, and a copy of it everywhere.
struct Copies<'s> {
    source: Database<'s>,
    mirror: Database<'s>,
    history: Database<'s>,
    bench: Workbench,
}

impl<'s> Copies<'s> {
    /// Of a database that `prepare` fills.
    fn of(server: &'s Postgres, prepare: &str) -> Self {
        Self::read_by(server, prepare, |source, destinations| {
            pipeline(source, "[\"public.*\"]", destinations)
        })
    }

    /// The same, by another pipeline.
    fn read_by(
        server: &'s Postgres,
        prepare: &str,
        pipeline: impl Fn(&Database<'s>, &str) -> Workbench,
    ) -> Self {
        let (source, mirror, history) = (server.database(), server.database(), server.database());
        source.execute(&format!("{TYPES}{prepare}"));
        for copy in [&mirror, &history] {
            copy.execute("CREATE EXTENSION hstore; CREATE EXTENSION citext;");
        }
        let destinations = destination("mirror", &mirror, "mirror")
            + &destination("history", &history, "append")
            + "  copy: {type: sqlite, path: ./copy.db, write: mirror, table: \"{stream}\"}
  archive: {type: files, path: ./archive, format: parquet, write: append, linger: 100ms}
";
        let bench = pipeline(&source, &destinations);
        Self { source, mirror, history, bench }
    }

    /// Fails unless all copies of `table` equal it.
    fn assert_equal(&self, table: &str, columns: &[Column]) {
        let names = names(columns).join(", ");
        let shown = |database: &Database<'_>, from: &str| {
            database.query(&format!("SET TimeZone = 'UTC'; SELECT id, {names} FROM {from} ORDER BY id"))
        };
        let expected = shown(&self.source, table);
        compare("the mirror", columns, &expected, &shown(&self.mirror, table));
        let last = format!(
            "(SELECT DISTINCT ON (id) * FROM {table} ORDER BY id, _tidemark_position DESC) AS t WHERE _tidemark_op <> 'd'"
        );
        compare("append", columns, &expected, &shown(&self.history, &last));
        let expected = canonical::of_the_source(&self.source, table, columns);
        let copy = copies::of_sqlite(&self.bench.path("copy.db"), &format!("\"public.{table}\""), columns);
        compare("SQLite", columns, &without_negative_zero(&expected, columns), &copy);
        compare("Parquet", columns, &expected, &self.archived(table, columns).at_the_end());
    }

    fn archived(&self, table: &str, columns: &[Column]) -> History {
        History::of_parquet(&self.bench.path(&format!("archive/public.{table}")), columns)
    }
}

/// SQLite stores a float that is a whole number as an integer, which has no negative zero.
fn without_negative_zero(rows: &[Vec<Cell>], columns: &[Column]) -> Vec<Vec<Cell>> {
    let mut rows = rows.to_vec();
    for cell in rows.iter_mut().flat_map(|row| row[1..].iter_mut().zip(columns)) {
        if matches!(cell.1.1, canonical::Class::Float32 | canonical::Class::Float64)
            && cell.0.as_deref() == Some("-0.0")
        {
            *cell.0 = Some("0.0".to_owned());
        }
    }
    rows
}

fn compare(place: &str, columns: &[Column], expected: &[Vec<Cell>], found: &[Vec<Cell>]) {
    let ids = |rows: &[Vec<Cell>]| rows.iter().map(|row| row[0].clone()).collect::<Vec<_>>();
    assert_eq!(ids(expected), ids(found), "other rows in {place}");
    let differences: Vec<_> = expected
        .iter()
        .zip(found)
        .flat_map(|(expected, found)| expected.iter().zip(found).skip(1).zip(columns))
        .filter(|((expected, found), _)| expected != found)
        .map(|((expected, found), (declared, ..))| format!("{declared}: {found:?} instead of {expected:?}"))
        .collect();
    assert!(differences.is_empty(), "{place} differs:\n{}", differences.join("\n"));
}

/// Failure mode 14.
#[test]
fn every_type_arrives_everywhere_by_a_stream_in_binary() {
    let copies = Copies::of(Postgres::shared(), &create("kinds", BINARY));
    copies.bench.tidemark("run pipeline.yaml --once").succeeds();
    copies.assert_equal("kinds", BINARY);
    let before = canonical::of_the_source(&copies.source, "kinds", BINARY);

    copies.source.execute(&change("kinds", BINARY));
    copies.bench.tidemark("run pipeline.yaml --once").succeeds();
    copies.assert_equal("kinds", BINARY);
    compare("Parquet", BINARY, &before, &copies.archived("kinds", BINARY).read());
}

/// Failure mode 14: one table with a type that has no binary form makes the stream one of texts, for all tables.
#[test]
fn every_type_arrives_everywhere_by_a_stream_in_text() {
    let prepare = create("kinds", BINARY) + &create("others", TEXTUAL);
    let copies = Copies::of(Postgres::shared(), &prepare);
    copies.bench.tidemark("run pipeline.yaml --once").succeeds();
    copies.assert_equal("others", TEXTUAL);

    copies.source.execute(&(change("kinds", BINARY) + &change("others", TEXTUAL)));
    copies.bench.tidemark("run pipeline.yaml --once").succeeds();
    copies.assert_equal("kinds", BINARY);
    copies.assert_equal("others", TEXTUAL);
}

/// Failure mode 14: what a query finds is what the log of changes would have told.
#[test]
fn every_type_arrives_everywhere_by_queries() {
    let prepare = create("kinds", BINARY) + &create("others", TEXTUAL);
    let copies = Copies::read_by(Postgres::shared(), &prepare, |source, destinations| {
        Workbench::with_pipeline(&format!(
            "name: {}
source:
  type: postgres-query
  url: \"{}\"
  streams: {{public.kinds: {{}}, public.others: {{query: SELECT * FROM others, key: [id]}}}}
destinations:
{destinations}",
            source.name(),
            source.url(),
        ))
    });
    copies.bench.tidemark("run pipeline.yaml --once").succeeds();
    copies.assert_equal("kinds", BINARY);
    copies.assert_equal("others", TEXTUAL);

    copies.source.execute(&(change("kinds", BINARY) + &change("others", TEXTUAL)));
    copies.bench.tidemark("run pipeline.yaml --once").succeeds();
    copies.assert_equal("kinds", BINARY);
    copies.assert_equal("others", TEXTUAL);
}

/// Equal values are equal to `verify` whatever they are kept as; and a value that stands in another row is found to differ in each
/// column in which it does.
#[test]
fn every_type_is_verified() {
    let prepare = create("kinds", BINARY) + &create("others", TEXTUAL);
    let copies = Copies::of(Postgres::shared(), &prepare);
    let Copies { source, mirror, bench, .. } = &copies;
    bench.tidemark("run pipeline.yaml --once").succeeds();
    source.execute(&(change("kinds", BINARY) + &change("others", TEXTUAL)));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    for against in ["source", "staging"] {
        let found = Found::of(bench, &format!("--against {against}"), 0);
        let rows = value(source, "SELECT (SELECT count(*) FROM kinds) + (SELECT count(*) FROM others)");
        found.assert_equal(rows.parse().unwrap());
        // Between two servers every type has one text; elsewhere rows are read.
        let by = if against == "source" { "servers" } else { "tidemark" };
        for table in ["public.kinds", "public.others"] {
            assert_eq!(found.stream("mirror", table)["hashed_by"], by, "{table} against {against}");
            assert_eq!(found.stream("copy", table)["hashed_by"], "tidemark", "{table} against {against}");
        }
    }

    let copy = rusqlite::Connection::open(bench.path("copy.db")).unwrap();
    let mut expected = Vec::new();
    for (table, columns) in [("kinds", BINARY), ("others", TEXTUAL)] {
        let names = names(columns);
        let ids = source.query(&format!("SELECT id FROM {table} ORDER BY id LIMIT 2"));
        let [id, other] = [0, 1].map(|row: usize| ids[row][0].clone().unwrap());
        let differs = names.iter().filter(|name| {
            let of = |id: &String| format!("(SELECT {name}::text FROM {table} WHERE id = {id})");
            value(source, &format!("SELECT {} IS DISTINCT FROM {}", of(&id), of(&other))) == "t"
        });
        let differs: Vec<_> = differs.cloned().collect();
        assert!(differs.len() * 2 > columns.len(), "{differs:?}");
        expected.push(vec![format!("different id={id} in {}", differs.join(", "))]);
        let (all, from) = (names.join(", "), format!("WHERE id = {other}) WHERE id = {id}"));
        mirror.execute(&format!("UPDATE {table} SET ({all}) = (SELECT {all} FROM {table} {from}"));
        let table = format!("\"public.{table}\"");
        copy.execute_batch(&format!("UPDATE {table} SET ({all}) = (SELECT {all} FROM {table} {from}"))
            .unwrap();
    }
    for against in ["source", "staging"] {
        let found = Found::of(bench, &format!("--against {against}"), 1);
        for destination in ["mirror", "copy"] {
            for (table, expected) in ["public.kinds", "public.others"].iter().zip(&expected) {
                assert_eq!(&found.differences(destination, table).0, expected, "{destination} {against}");
            }
        }
    }
}

/// Failure modes 12 and 14.
#[test]
fn a_stream_in_binary_goes_on_in_text_when_a_column_comes_that_has_no_binary_form() {
    let columns: &[Column] = &[BINARY[1], BINARY[7], BINARY[12], TEXTUAL[16], TEXTUAL[17]];
    let copies = Copies::of(Postgres::shared(), &create("kinds", &columns[..3]));
    let Copies { source, mirror, .. } = &copies;
    let is_binary = || {
        let sql = "SELECT query LIKE '%binary ''true''%' FROM pg_stat_activity
                   WHERE backend_type = 'walsender' AND datname = current_database() AND query LIKE 'START_REPLICATION%'";
        value(source, sql)
    };
    let mut running = copies.bench.start("run pipeline.yaml");
    running.until("the stream is in binary", || is_binary() == "t");
    source.execute(&change("kinds", &columns[..3]));
    source.execute(
        "ALTER TABLE kinds ADD c3 inet, ADD c4 inet[];
         UPDATE kinds SET c3 = '1.2.3.4/8', c4 = '{::1,NULL}' WHERE id % 2 = 0;
         INSERT INTO kinds SELECT 1000 + i, i, i, i, '::1', '{}' FROM generate_series(1, 5) i;",
    );
    running.until("the mirror has them", || {
        value(
            mirror,
            "SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass('kinds') AND attname = 'c4'",
        ) == "1"
            && value(mirror, "SELECT count(*) FROM kinds WHERE id > 1000") == "5"
    });
    running.until("the stream is in text", || is_binary() == "f");
    source.execute("UPDATE kinds SET c3 = 'fe80::1/64' WHERE id % 3 = 0");
    running.terminate().succeeds();
    copies.bench.tidemark("run pipeline.yaml --once").succeeds();
    let names = names(columns).join(", ");
    let shown =
        |database: &Database<'_>| database.query(&format!("SELECT id, {names} FROM kinds ORDER BY id"));
    compare("the mirror", columns, &shown(source), &shown(mirror));
}
