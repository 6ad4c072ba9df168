//! Web hooks: a sender on this machine, the real binary, and the rows that become of what is sent.

mod bodies;
mod failures;
mod requests;

use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use tidemark_test_servers::{Response, Sender};

use crate::{process::Running, workbench::Workbench};

/// A pipeline whose one stream `orders` verifies what `sender` signs, with more `keys` of the source.
fn pipeline(sender: &Sender, keys: &str) -> String {
    format!(
        "
name: hooks
source:
  type: webhook
  listen: {}
{keys}
  streams:
    orders: {{path: /orders, verify: {{type: standard-webhooks, secret: \"{}\"}}, types: {{n: int64}}}}
destinations:
  all: {{type: sqlite, path: ./all.db, write: append}}
",
        sender.address(),
        sender.secret()
    )
}

/// Starts the pipeline, and returns when it listens.
fn listening(bench: &Workbench) -> Running {
    let running = bench.start("run pipeline.yaml");
    running.until_it_says("listening for web hooks");
    running
}

/// The texts of a query's rows; none when there is no such table yet.
pub(crate) fn rows(database: &Path, query: &str) -> Vec<String> {
    let Ok(connection) = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY) else {
        return Vec::new();
    };
    let Ok(mut statement) = connection.prepare(query) else { return Vec::new() };
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| {
        let cell = |at| format!("{:?}", row.get_unwrap::<_, rusqlite::types::Value>(at));
        Ok((0..columns).map(cell).collect::<Vec<_>>().join(" "))
    };
    statement.query_map([], row).map(|rows| rows.map(Result::unwrap).collect()).unwrap_or_default()
}

/// The orders that have arrived, in their order.
fn orders(bench: &Workbench) -> Vec<i64> {
    let rows = rows(&bench.path("all.db"), "SELECT n FROM orders ORDER BY n");
    rows.iter().map(|row| row.trim_start_matches("Integer(").trim_end_matches(')').parse().unwrap()).collect()
}

/// The value of a header of an answer.
fn header(response: &Response, name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(&response.bytes).into_owned();
    let head = text.split("\r\n\r\n").next()?.to_owned();
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
}
