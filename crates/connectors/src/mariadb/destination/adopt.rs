//! Tables that were there before us: when they may be written to, and what they must have.

use std::collections::BTreeSet;

use tidemark_engine::{Error, write::WriteMode};

use super::{
    declared::{Declared, declared, find, indexes},
    ledger,
    shape::{Shape, list, metadata_of},
    writer::Writer,
};
use crate::{
    config::Writing,
    mariadb::{
        failure::Result,
        identifier::{fold, quote},
        storage::Storage,
    },
};

/// Whether `table` is there and may be adopted: it is empty, or the pipeline file says so.
pub(super) async fn claim(writer: &mut Writer, writing: &Writing, table: &str) -> Result<bool> {
    let sql =
        "SELECT TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ?";
    match writer.first::<String>(sql, (table,)).await?.as_deref() {
        None => return Ok(false),
        Some("BASE TABLE") => {}
        Some(other) => {
            let other = other.to_lowercase();
            return Err(Error::config(format!("`{table}` is a {other}, not a table"))
                .hint("choose another name with `table`")
                .into());
        }
    }
    ledger::check_engine(writer, table).await?;
    let filled = writer.first::<i64>(&format!("SELECT 1 FROM {} LIMIT 1", quote(table)?), ()).await?;
    if filled.is_some() && !writing.adopt {
        return Err(Error::config(format!("table `{table}` holds rows that Tidemark did not write"))
            .hint("choose another name with `table`, or set `adopt: true` to write to it all the same")
            .into());
    }
    Ok(true)
}

/// Checks that an adopted table can hold `shape` as it is.
pub(super) async fn check(writer: &mut Writer, table: &str, shape: &Shape) -> Result<()> {
    ledger::check_engine(writer, table).await?;
    let columns = declared(writer, table).await?;
    let mut lacking = Vec::new();
    for (name, declared) in metadata_of(shape.mode) {
        if find(&columns, name).is_none() {
            lacking.push(format!("{} {declared}", quote(name)?));
        }
    }
    for wanted in &shape.columns {
        if find(&columns, &wanted.name).is_none() {
            lacking.push(format!("{} {}", quote(&wanted.name)?, wanted.storage.declared()));
        }
    }
    if !lacking.is_empty() {
        return Err(Error::config(format!("table `{table}`, which Tidemark did not make, lacks columns"))
            .hint(format!("add them: {}", lacking.join(", ")))
            .into());
    }
    let key = shape.primary_key();
    if !key.is_empty() {
        check_index(writer, table, (&columns, &key), true).await?;
    }
    if shape.mode == WriteMode::History {
        // Every change of a history looks for the versions of its key.
        check_index(writer, table, (&columns, &shape.key), false).await?;
    }
    for wanted in &shape.columns {
        let Some(column) = find(&columns, &wanted.name) else { continue };
        if !column.storage().is_some_and(|stored| holds(stored, wanted.storage)) {
            let (name, told, declared) = (&wanted.name, &column.told, wanted.storage.declared());
            return Err(Error::config(format!(
                "column `{name}` of table `{table}` is declared `{told}`, which would alter values of kind `{}`",
                wanted.kind
            ))
            .hint(format!("declare it with {declared}"))
            .into());
        }
    }
    Ok(())
}

/// Whether what is declared for `wanted` can be kept by `stored`; how long texts and bytes may be is looked at value by value.
fn holds(stored: Storage, wanted: Storage) -> bool {
    let long = |storage| match storage {
        Storage::ShortText(_) => Storage::Text,
        Storage::ShortBlob(_) => Storage::Blob,
        other => other,
    };
    long(stored).widen(long(wanted)) == Some(long(stored))
}

/// An index over exactly the key's columns, or with them first, that compares bytes.
async fn check_index(
    writer: &mut Writer,
    table: &str,
    (columns, key): (&[Declared], &[String]),
    unique: bool,
) -> Result<()> {
    let set = |names: &[String]| names.iter().map(|name| fold(name)).collect::<BTreeSet<_>>();
    let (quoted, shown) = (list(key)?, key.join("`, `"));
    for name in key {
        let collation =
            find(columns, name).and_then(|column| column.collation.as_deref()).unwrap_or("binary");
        if collation != "binary" && !collation.ends_with("_nopad_bin") {
            return Err(Error::config(format!(
                "key column `{name}` of table `{table}`, which Tidemark did not make, takes different texts for one, by `{collation}`"
            ))
            .hint("give the column the collation `utf8mb4_nopad_bin`")
            .into());
        }
    }
    let serves = indexes(writer, table).await?.into_iter().any(|index| {
        let first = index.columns.get(..key.len()).unwrap_or_default();
        let is_exact = index.unique && index.columns.len() == key.len();
        index.whole && set(first) == set(key) && (is_exact || !unique)
    });
    if serves {
        return Ok(());
    }
    let (kind, adjective) = if unique { ("UNIQUE INDEX", "unique ") } else { ("INDEX", "") };
    Err(Error::config(format!(
        "table `{table}`, which Tidemark did not make, has no {adjective}index on `{shown}`"
    ))
    .hint(format!("add one: CREATE {kind} ... ON {} ({quoted})", quote(table)?))
    .into())
}
