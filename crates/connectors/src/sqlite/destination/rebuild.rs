//! A table written anew with wider columns: SQLite cannot change a column's type in place.

use rusqlite::{Connection, types::ToSqlOutput};
use tidemark_engine::Error;

use super::{
    START_ANEW,
    declared::{Declared, declared, key_columns},
    shape::create_sql,
};
use crate::sqlite::{failure::Result, identifier::quote, storage::Storage};

const SHADOW: &str = "_tidemark_rebuild";

/// Gives `table` the declared types of `columns`, which are its own, and their key. Every value is rewritten in the form its new type has
/// for it. Indexes and triggers of others are made anew. Call it inside a transaction.
pub(super) fn rebuild(connection: &Connection, table: &str, columns: &[Declared]) -> Result<()> {
    connection.flush_prepared_statement_cache();
    let before = declared(connection, table)?;
    let definitions =
        columns.iter().map(|column| (column.name.clone(), column.definition())).collect::<Vec<_>>();
    let key = key_columns(columns);
    let others = {
        let mut statement = connection.prepare(
            "SELECT sql FROM sqlite_schema
             WHERE tbl_name = ?1 COLLATE NOCASE AND type IN ('index', 'trigger') AND sql IS NOT NULL",
        )?;
        let others = statement.query_map([table], |row| row.get::<_, String>(0))?;
        others.collect::<Result<Vec<_>, _>>()?
    };
    connection.execute_batch(&create_sql(SHADOW, &definitions, &key)?)?;
    copy(connection, table, &before, columns)?;
    let (quoted, shadow) = (quote(table)?, quote(SHADOW)?);
    connection.execute_batch(&format!("DROP TABLE {quoted}; ALTER TABLE {shadow} RENAME TO {quoted}"))?;
    for sql in others {
        connection.execute_batch(&sql)?;
    }
    Ok(())
}

fn copy(connection: &Connection, table: &str, before: &[Declared], after: &[Declared]) -> Result<()> {
    let names = before.iter().map(|column| quote(&column.name)).collect::<Result<Vec<_>, _>>()?.join(", ");
    let marks = vec!["?"; before.len()].join(", ");
    let mut select = connection.prepare(&format!("SELECT {names} FROM {}", quote(table)?))?;
    let mut insert =
        connection.prepare(&format!("INSERT INTO {} ({names}) VALUES ({marks})", quote(SHADOW)?))?;
    // Both storages of each column that changes. A column whose old type is not ours is read as text.
    let steps = before.iter().zip(after).map(|(before, after)| {
        let from = Storage::from_declared(&before.declared);
        let to = Storage::from_declared(&after.declared).filter(|to| from != Some(*to));
        to.map(|to| (from.unwrap_or(Storage::Text), to))
    });
    let steps = steps.collect::<Vec<_>>();
    let mut scratch = String::new();
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        for (index, step) in steps.iter().enumerate() {
            let stored = row.get_ref(index)?;
            let converted = match step {
                None => stored,
                Some((from, to)) => match from.value(stored) {
                    None => stored,
                    Some((value, kind)) => to.store(&value, &kind, &mut scratch).ok_or_else(|| {
                        let column = &before[index].name;
                        Error::data(format!(
                            "column `{column}` of table `{table}` holds a value that cannot be widened"
                        ))
                        .hint(START_ANEW)
                    })?,
                },
            };
            insert.raw_bind_parameter(index + 1, ToSqlOutput::Borrowed(converted))?;
        }
        insert.raw_execute()?;
    }
    Ok(())
}
