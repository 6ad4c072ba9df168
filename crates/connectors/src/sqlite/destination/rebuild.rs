//! A table written anew with wider columns: SQLite cannot change a column's type in place.

use rusqlite::{
    Connection,
    types::{ToSqlOutput, Value as Stored, ValueRef},
};
use tidemark_engine::Error;

use super::{
    START_ANEW,
    declared::{Declared, declared, find, key_columns},
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
                Some(step) => wider(stored, *step, (table, &before[index].name), &mut scratch)?,
            };
            insert.raw_bind_parameter(index + 1, ToSqlOutput::Borrowed(converted))?;
        }
        insert.raw_execute()?;
    }
    Ok(())
}

/// `stored` by the first storage, as the second has it.
fn wider<'a>(
    stored: ValueRef<'a>,
    (from, to): (Storage, Storage),
    (table, column): (&str, &str),
    scratch: &'a mut String,
) -> Result<ValueRef<'a>> {
    let Some((value, kind)) = from.value(stored) else { return Ok(stored) };
    to.store(&value, &kind, scratch).ok_or_else(|| {
        Error::data(format!("column `{column}` of table `{table}` holds a value that cannot be widened"))
            .hint(START_ANEW)
            .into()
    })
}

/// Gives rows that wait beside `table`, in the temporary table `waiting` under the number `id`, the columns `after` instead of
/// `before`: names as SQL and declared types. The temporary table's own columns have no types.
pub(super) fn refit(
    connection: &Connection,
    (waiting, id): (&str, &str),
    table: &str,
    before: &[(String, String)],
    after: &[(String, String)],
) -> Result<()> {
    for (name, declared) in after {
        let Some((_, former)) = find(before.iter().map(|column| (column.0.as_str(), column)), name) else {
            connection.execute_batch(&format!("ALTER TABLE {waiting} ADD COLUMN {name}"))?;
            continue;
        };
        let step = (Storage::from_declared(former), Storage::from_declared(declared));
        let (Some(from), Some(to)) = step else { continue };
        if from == to {
            continue;
        }
        let mut select = connection.prepare(&format!("SELECT {id}, {name} FROM {waiting}"))?;
        let mut update = connection.prepare(&format!("UPDATE {waiting} SET {name} = ?2 WHERE {id} = ?1"))?;
        // A row that is rewritten while others are read may be met again.
        let rows = select.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Stored>(1)?)))?;
        for (id, stored) in rows.collect::<Result<Vec<_>, _>>()? {
            let mut scratch = String::new();
            let wide = wider(ValueRef::from(&stored), (from, to), (table, name), &mut scratch)?;
            update.execute((id, ToSqlOutput::Borrowed(wide)))?;
        }
    }
    Ok(())
}
