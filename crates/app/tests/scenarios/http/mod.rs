//! HTTP from the outside: servers that nobody here wrote, servers that behave badly, and the rows that become of what they answer.

mod api;
mod cap;
mod children;
mod examples;
mod following;
mod paging;
mod roundup;
mod sockets;
mod tokens;
mod troubles;
mod webdav;

use std::path::Path;

use rusqlite::{Connection, OpenFlags, types::Value};
use serde_json::Value as Json;

use crate::{process::Running, workbench::Workbench};

/// A pipeline from an API at `url` into a mirror in SQLite, and every change into another table there.
fn pipeline(url: &str, keys: &str, streams: &str) -> String {
    format!(
        "
name: api
source:
  type: http
  url: {url}
  allow_hosts: [127.0.0.1]
{keys}
  streams:
{streams}
staging: ./staging
destinations:
  copy: {{type: sqlite, path: ./copy.db, write: mirror}}
"
    )
}

/// The rows of a query's answer, as text in which types show; none when there is no such table yet.
fn rows(database: &Path, query: &str) -> Vec<String> {
    let Ok(connection) = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY) else {
        return Vec::new();
    };
    let Ok(mut statement) = connection.prepare(query) else { return Vec::new() };
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| {
        let cell = |at| match row.get_unwrap::<_, Value>(at) {
            Value::Null => "NULL".to_owned(),
            Value::Integer(value) => value.to_string(),
            Value::Real(value) => format!("{value:?}"),
            Value::Text(value) => value,
            Value::Blob(_) => "bytes".to_owned(),
        };
        Ok((0..columns).map(cell).collect::<Vec<_>>().join(" | "))
    };
    statement.query_map([], row).map(|rows| rows.map(Result::unwrap).collect()).unwrap_or_default()
}

/// The rows of a query over the copy.
fn copied(bench: &Workbench, query: &str) -> Vec<String> {
    rows(&bench.path("copy.db"), query)
}

/// A cell of a JSON record as [`rows`] shows it: to the letter.
fn shown(record: &Json, column: &str) -> String {
    match &record[column] {
        Json::Null => "NULL".to_owned(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Runs the pipeline `--once`, and kills it each time when so many requests have come; in the end it runs through.
fn run_with_kills(bench: &Workbench, requests: &dyn Fn() -> usize, kills: &[usize]) {
    for more in kills {
        let before = requests();
        let mut running: Running = bench.start("run pipeline.yaml --once");
        running.until("requests have come", || requests() >= before + more);
        running.kill().was_killed();
    }
    bench.tidemark("run pipeline.yaml --once").succeeds();
}
