//! What a pipeline does to changes on their way, before staging and to one destination, while it is killed again and again.

mod letters;
mod mirrors;
mod tools;

use std::path::Path;

use rusqlite::{Connection, types::Value};
use tidemark_test_servers::Database;

use crate::workbench::Workbench;

/// A pipeline from `source` with these lines more.
fn pipeline(source: &Database<'_>, lines: &str) -> String {
    let (name, url) = (source.name(), source.url());
    format!("name: {name}\nsource: {{type: postgres, url: \"{url}\", streams: [\"public.*\"]}}\n{lines}")
}

fn bench(source: &Database<'_>, lines: &str) -> Workbench {
    Workbench::with_pipeline(&pipeline(source, lines))
}

/// The rows that `sql` asks a SQLite database for, each value as text.
fn sqlite(path: &Path, sql: &str) -> Vec<Vec<Option<String>>> {
    let database = Connection::open(path).unwrap();
    let mut statement = database.prepare(sql).unwrap();
    let columns = statement.column_count();
    let mut rows = statement.query([]).unwrap();
    let mut found = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        let text = |index| match row.get(index).unwrap() {
            Value::Null => None,
            Value::Integer(value) => Some(value.to_string()),
            Value::Real(value) => Some(value.to_string()),
            Value::Text(text) => Some(text),
            Value::Blob(_) => panic!("a blob"),
        };
        found.push((0..columns).map(text).collect());
    }
    found
}
