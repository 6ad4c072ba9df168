//! Compares the records of a double with the table that became of them: every one, every column.

use std::{collections::BTreeMap, path::Path};

use rusqlite::{Connection, OpenFlags, types::ValueRef};
use serde_json::Value;

use crate::workbench::Workbench;

/// The table has these records and no others, each with these values; columns `without` are not looked at.
pub(super) fn equal(bench: &Workbench, table: &str, key: &str, records: &[Value], without: &[&str]) {
    let found = read(&bench.path("copy.db"), table, key);
    let expected = records.iter().map(|record| {
        let cells = record.as_object().unwrap().iter().filter(|(name, _)| !without.contains(&name.as_str()));
        (
            text(&record[key]),
            cells.map(|(name, value)| (name.clone(), text(value))).collect::<BTreeMap<_, _>>(),
        )
    });
    let expected = expected.collect::<BTreeMap<_, _>>();
    assert_eq!(expected.len(), records.len(), "the double has a key twice");
    for (key, cells) in &expected {
        let row = found.get(key).unwrap_or_else(|| panic!("`{table}` has no record {key}"));
        let cells = cells.iter().filter(|(_, value)| *value != "NULL");
        let missing = cells.filter(|(name, value)| row.get(*name) != Some(value)).collect::<Vec<_>>();
        assert!(missing.is_empty(), "record {key} of `{table}` should have {missing:?}; it is {row:?}");
    }
    let more = found.keys().filter(|key| !expected.contains_key(*key)).collect::<Vec<_>>();
    assert!(more.is_empty(), "`{table}` has records that are gone: {more:?}");
    for row in found.values() {
        let odd = row.keys().filter(|name| without.contains(&name.as_str())).collect::<Vec<_>>();
        assert!(odd.is_empty(), "`{table}` has the columns {odd:?}");
    }
}

/// The rows of a table by their key: texts by column, without NULLs.
fn read(database: &Path, table: &str, key: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut statement = connection.prepare(&format!(r#"SELECT * FROM "{table}""#)).unwrap();
    let names = statement.column_names().map(str::to_owned).collect::<Vec<_>>();
    let mut rows = statement.query([]).unwrap();
    let mut found = BTreeMap::new();
    while let Some(row) = rows.next().unwrap() {
        let mut cells = BTreeMap::new();
        for (at, name) in names.iter().enumerate().filter(|(_, name)| !name.starts_with("_tidemark")) {
            let cell = match row.get_ref(at).unwrap() {
                ValueRef::Null => continue,
                ValueRef::Integer(value) => value.to_string(),
                ValueRef::Real(value) => value.to_string(),
                ValueRef::Text(value) => String::from_utf8(value.to_vec()).unwrap(),
                ValueRef::Blob(value) => format!("{value:?}"),
            };
            cells.insert(name.clone(), cell);
        }
        let former = found.insert(cells[key].clone(), cells);
        assert!(former.is_none(), "`{table}` has a record twice: {former:?}");
    }
    found
}

/// A value as SQLite keeps it.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Bool(value) => i64::from(*value).to_string(),
        Value::Number(number) => {
            number.as_f64().filter(|_| !number.is_i64()).map_or(number.to_string(), |real| real.to_string())
        }
        Value::String(text) => text.clone(),
        nested => nested.to_string(),
    }
}
