//! PostgreSQL to PostgreSQL and elsewhere, on servers of the tests' own.

mod comparison;
mod convergence;
mod load;
mod memory;
mod source;

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
