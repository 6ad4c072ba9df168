//! Tables that were there before us: when they may be written to, and what they must have.

use std::collections::BTreeSet;

use rusqlite::Connection;
use tidemark_engine::{Error, write::WriteMode};

use super::{
    declared::{Declared, declared, key_columns, object_type},
    shape::{Shape, metadata_of},
};
use crate::{
    config::Writing,
    sqlite::{
        failure::Result,
        identifier::{fold, quote},
        storage::Storage,
    },
};

/// Whether `table` is there and may be adopted: it is empty, or the pipeline file says so.
pub(super) fn claim(connection: &Connection, writing: &Writing, table: &str) -> Result<bool> {
    match object_type(connection, table)?.as_deref() {
        None => return Ok(false),
        Some("table") => {}
        Some(other) => {
            return Err(Error::config(format!("`{table}` is a {other}, not a table"))
                .hint("choose another name with `table`")
                .into());
        }
    }
    let sql = format!("SELECT EXISTS (SELECT 1 FROM {})", quote(table)?);
    let filled: bool = connection.query_row(&sql, [], |row| row.get(0))?;
    if filled && !writing.adopt {
        return Err(Error::config(format!("table `{table}` holds rows that Tidemark did not write"))
            .hint("choose another name with `table`, or set `adopt: true` to write to it all the same")
            .into());
    }
    Ok(true)
}

/// Checks that an adopted table can hold `shape` as it is, and tells how each column is stored.
pub(super) fn check(connection: &Connection, table: &str, shape: &Shape) -> Result<Vec<Storage>> {
    let columns = declared(connection, table)?;
    let find = |name: &str| columns.iter().find(|column| fold(&column.name) == fold(name));
    let mut lacking = Vec::new();
    for (name, declared) in metadata_of(shape.mode) {
        if find(name).is_none() {
            lacking.push(format!("{} {declared}", quote(name)?));
        }
    }
    for wanted in &shape.columns {
        if find(&wanted.name).is_none() {
            lacking.push(format!("{} {}", quote(&wanted.name)?, wanted.storage.declared()).trim_end().into());
        }
    }
    if !lacking.is_empty() {
        return Err(Error::config(format!("table `{table}`, which Tidemark did not make, lacks columns"))
            .hint(format!("add them: {}", lacking.join(", ")))
            .into());
    }
    let key = shape.primary_key();
    if !key.is_empty() {
        check_key(connection, table, &columns, &key)?;
    }
    if shape.mode == WriteMode::History {
        check_lookup(connection, table, &shape.key)?;
    }
    let storages = shape.columns.iter().map(|wanted| {
        let column = find(&wanted.name).map_or("", |column| column.declared.as_str());
        fitting(column, wanted.storage).ok_or_else(|| {
            let (name, declared) = (&wanted.name, wanted.storage.declared());
            let declared = if declared.is_empty() { "no type" } else { declared };
            Error::config(format!(
                "column `{name}` of table `{table}` is declared `{column}`, which would alter values of kind `{}`",
                wanted.kind
            ))
            .hint(format!("declare it with {declared}"))
            .into()
        })
    });
    storages.collect()
}

/// Every change of a history looks for the valid version of its key: without an index it would read the whole table.
fn check_lookup(connection: &Connection, table: &str, key: &[String]) -> Result<()> {
    let set = |names: &[String]| names.iter().map(|name| fold(name)).collect::<BTreeSet<_>>();
    let mut indexes = connection.prepare("SELECT name FROM pragma_index_list(?1)")?;
    let mut columns =
        connection.prepare("SELECT coalesce(name, '') FROM pragma_index_info(?1) ORDER BY seqno")?;
    let indexes =
        indexes.query_map([table], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    for index in indexes {
        let names = columns.query_map([index], |row| row.get::<_, String>(0))?;
        let names = names.take(key.len()).collect::<Result<Vec<_>, _>>()?;
        if set(&names) == set(key) {
            return Ok(());
        }
    }
    let quoted = key.iter().map(|name| quote(name)).collect::<Result<Vec<_>, _>>()?.join(", ");
    let key = key.join("`, `");
    Err(Error::config(format!("table `{table}`, which Tidemark did not make, has no index on `{key}`"))
        .hint(format!("add one: CREATE INDEX ... ON {} ({quoted})", quote(table)?))
        .into())
}

/// What SQLite makes of values in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Affinity {
    Integer,
    Text,
    Blob,
    Real,
    Numeric,
}

impl Affinity {
    /// Of a column declared `declared`. <https://sqlite.org/datatype3.html#determination_of_column_affinity>
    fn of(declared: &str) -> Self {
        let upper = declared.to_ascii_uppercase();
        let has = |parts: &[&str]| parts.iter().any(|part| upper.contains(part));
        if has(&["INT"]) {
            Self::Integer
        } else if has(&["CHAR", "CLOB", "TEXT"]) {
            Self::Text
        } else if upper.is_empty() || has(&["BLOB"]) {
            Self::Blob
        } else if has(&["REAL", "FLOA", "DOUB"]) {
            Self::Real
        } else {
            Self::Numeric
        }
    }
}

/// How a column declared `declared`, which is not ours, is to be read that was given what is stored as `storage` elsewhere.
pub(in crate::sqlite) fn read_as(declared: &str, storage: Storage) -> Option<Storage> {
    let fitting = fitting(declared, storage)?;
    // Nothing there tells an integer from a float that is whole.
    let tells = !matches!(Affinity::of(declared), Affinity::Numeric | Affinity::Blob);
    let is_number = matches!(fitting, Storage::Integer | Storage::Float | Storage::Double);
    Some(if is_number && !tells { Storage::Mixed } else { fitting })
}

/// Whether a column declared `declared` makes integers of some floats, which are stored as `storage` elsewhere.
pub(super) fn alters_floats(declared: &str, storage: Storage) -> bool {
    Affinity::of(declared) == Affinity::Numeric && matches!(storage, Storage::Float | Storage::Double)
}

/// How a column declared `declared` can hold what is stored as `storage` elsewhere, unaltered.
fn fitting(declared: &str, storage: Storage) -> Option<Storage> {
    use Storage::{Blob, Boolean, Date, Double, Float, Integer, Json, Number, Text, Timestamp};
    if storage == Blob {
        return Some(storage);
    }
    match Affinity::of(declared) {
        Affinity::Integer => matches!(storage, Integer | Boolean).then_some(storage),
        Affinity::Text => {
            let is_text = matches!(storage, Number | Json | Date | Timestamp | Text);
            Some(if is_text { storage } else { Text })
        }
        Affinity::Blob => Some(storage),
        Affinity::Real => matches!(storage, Float | Double).then_some(storage),
        Affinity::Numeric => matches!(storage, Integer | Boolean | Float | Double).then_some(storage),
    }
}

/// An upsert needs a unique index over exactly the key's columns, which compares bytes.
fn check_key(connection: &Connection, table: &str, columns: &[Declared], key: &[String]) -> Result<()> {
    let set = |names: &[String]| names.iter().map(|name| fold(name)).collect::<BTreeSet<_>>();
    let wanted = set(key);
    let primary = key_columns(columns);
    let is_row_id = |name: &String| {
        columns.iter().any(|column| &column.name == name && column.declared.eq_ignore_ascii_case("INTEGER"))
    };
    if primary.len() == 1 && primary.iter().all(is_row_id) && set(&primary) == wanted {
        return Ok(());
    }
    let mut indexes =
        connection.prepare("SELECT name FROM pragma_index_list(?1) WHERE \"unique\" = 1 AND partial = 0")?;
    let mut index_columns = connection
        .prepare("SELECT coalesce(name, ''), coll FROM pragma_index_xinfo(?1) WHERE \"key\" = 1")?;
    let indexes =
        indexes.query_map([table], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    for index in indexes {
        let rows = index_columns
            .query_map([index], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        let binary = rows.iter().all(|(_, collation)| collation == "BINARY");
        let names = rows.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        if binary && set(&names) == wanted {
            return Ok(());
        }
    }
    let quoted = key.iter().map(|name| quote(name)).collect::<Result<Vec<_>, _>>()?.join(", ");
    let key = key.join("`, `");
    Err(Error::config(format!(
        "table `{table}`, which Tidemark did not make, has no unique index on `{key}`"
    ))
    .hint(format!("add one: CREATE UNIQUE INDEX ... ON {} ({quoted})", quote(table)?))
    .into())
}
