//! PostgreSQL to PostgreSQL and elsewhere, on servers of the tests' own.

mod access;
mod campaign;
mod changes;
mod comparison;
mod convergence;
mod dead_letters;
mod fencing;
mod kept;
mod load;
mod mariadb;
mod meddled;
mod memory;
mod modes;
mod names;
mod network;
mod outages;
mod redis;
mod refused;
mod replay;
mod restored;
mod resync;
mod retention;
mod schema_changes;
mod slot;
mod snapshot;
mod staged;
mod stopped;
mod stream;
mod tables;
mod types;
mod verify;
mod write_modes;

use tidemark_test_servers::Database;

use crate::workbench::Workbench;

/// A pipeline from `source` to `destination`, with these lines more under `source` and these destinations more.
fn pipeline(source: &Database<'_>, streams: &str, destinations: &str) -> Workbench {
    Workbench::with_pipeline(&format!(
        "name: {}
source:
  type: postgres
  url: \"{}\"
  streams: {streams}
destinations:
{destinations}",
        source.name(),
        source.url(),
    ))
}

/// The lines of a PostgreSQL destination.
fn destination(name: &str, database: &Database<'_>, write: &str) -> String {
    format!("  {name}: {{type: postgres, url: \"{}\", write: {write}}}\n", database.url())
}

/// The one value that `sql` asks for.
fn value(database: &Database<'_>, sql: &str) -> String {
    let rows = database.query(sql);
    rows.into_iter().flatten().next().flatten().unwrap_or_default()
}

#[test]
fn one_line_leads_to_a_first_sync() {
    let database = tidemark_test_servers::Postgres::shared().database();
    database
        .execute("CREATE TABLE orders (id int PRIMARY KEY, note text); INSERT INTO orders VALUES (1, 'a')");
    let bench = Workbench::new();
    bench
        .tidemark(&format!("init --source {} --destination copy.db pipeline.yaml", database.url()))
        .succeeds();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let copy = rusqlite::Connection::open(bench.path("copy.db")).unwrap();
    let note: String =
        copy.query_row("SELECT note FROM \"public.orders\" WHERE id = 1", [], |row| row.get(0)).unwrap();
    assert_eq!(note, "a");

    let listed = bench.tidemark("teardown pipeline.yaml").succeeds().stdout;
    assert!(listed.contains("replication slot") && listed.contains("publication"), "{listed}");
    assert_eq!(
        value(&database, "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()"),
        "1"
    );
    bench.tidemark("teardown pipeline.yaml --yes").succeeds();
    assert_eq!(
        value(&database, "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()"),
        "0"
    );
    assert_eq!(value(&database, "SELECT count(*) FROM pg_publication"), "0");
    let listed = bench.tidemark("teardown pipeline.yaml").succeeds().stdout;
    assert_eq!(listed, "nothing is left to be removed\n");
}
