//! `mirror`: the table looks like the source. Changes are applied one by one in source order, so whatever order of
//! values the source's own constraints allowed is allowed here.
//!
//! `soft-delete` is the same with changes that say when a record was deleted: a deletion is then an update of a row that stays.

use rusqlite::{CachedStatement, Connection};
use tidemark_engine::{
    change::{ChangeBatch, Op},
    read::Phase,
};

use super::{incoming::Incoming, parking::Parking, table::Table};
use crate::sqlite::failure::Result;

/// Applies every change of `changes` to `table`. When they are `replayed`, the table has seen them before and may hold rows
/// as they became later. `at` is the row that is being written.
pub(super) fn apply(
    connection: &Connection,
    table: &Table,
    (changes, phase): (&ChangeBatch, Phase),
    replayed: bool,
    parking: &mut Parking,
    at: &mut Option<usize>,
) -> Result<()> {
    let rows = Incoming::new(connection, table, changes, replayed);
    let mut upserting = connection.prepare_cached(&rows.upsert_sql())?;
    let mut scratch = String::new();
    for row in 0..changes.rows() {
        *at = Some(row);
        match changes.op(row)? {
            Op::Truncate => {
                truncate(&rows, row, phase, &mut scratch)?;
                parking.clear(connection)?;
            }
            op if op == Op::Delete || rows.is_deletion(row) => {
                rows.check_key(row)?;
                if parking.is_empty() || !parking.delete(&rows, row)? {
                    if op == Op::Delete { delete(&rows, row) } else { mark_deleted(&rows, row) }?;
                }
            }
            Op::Update if rows.moves(row) => {
                rows.check_key(row)?;
                if !parking.move_row(&rows, row)? {
                    update(&rows, &mut upserting, row, &mut scratch)?;
                }
            }
            Op::Update => update(&rows, &mut upserting, row, &mut scratch)?,
            // What a created record is missing is NULL.
            Op::Read | Op::Create | Op::Delete => upsert(&rows, &mut upserting, row, &mut scratch)?,
        }
    }
    Ok(())
}

/// Inserts the record in `row`, or replaces every value of the one that has its key.
fn upsert(
    rows: &Incoming<'_>,
    statement: &mut CachedStatement<'_>,
    row: usize,
    scratch: &mut String,
) -> Result<()> {
    rows.check_key(row)?;
    for (index, cells) in rows.fields.iter().enumerate() {
        cells.bind(statement, index + 1, row, scratch)?;
    }
    statement.raw_execute()?;
    Ok(())
}

/// Applies an update that keeps its key.
fn update(
    rows: &Incoming<'_>,
    upserting: &mut CachedStatement<'_>,
    row: usize,
    scratch: &mut String,
) -> Result<()> {
    if rows.is_whole(row) {
        return upsert(rows, upserting, row, scratch);
    }
    rows.check_key(row)?;
    let mut carried = rows.carried(row);
    if carried.len() > rows.key().len() {
        carried.retain(|index| !rows.key().contains(index));
    }
    // In a replay the row may be gone because a later change removes it.
    if set_where_key_is(rows, &carried, row, "", scratch)? > 0 || rows.replayed {
        return Ok(());
    }
    Err(rows.nothing_to_update().into())
}

fn delete(rows: &Incoming<'_>, row: usize) -> Result<()> {
    let sql = format!("DELETE FROM {} WHERE {}", rows.table.name, rows.key_is(1));
    let mut delete = rows.connection.prepare_cached(&sql)?;
    rows.bind_key(&mut delete, 1, row, &mut String::new())?;
    delete.raw_execute()?;
    Ok(())
}

/// Says of a row that it was deleted, with what the deletion knows of it. A row that is not there, or was deleted before, is
/// left alone.
fn mark_deleted(rows: &Incoming<'_>, row: usize) -> Result<()> {
    let mut carried = rows.carried(row);
    carried.retain(|index| !rows.key().contains(index));
    let still_there =
        rows.table.deleted_at().map_or(String::new(), |deleted_at| format!(" AND {deleted_at} IS NULL"));
    set_where_key_is(rows, &carried, row, &still_there, &mut String::new())?;
    Ok(())
}

/// Sets the fields `carried` by `row` where the key is that of `row`, and `condition` holds. Returns how many rows that were.
fn set_where_key_is(
    rows: &Incoming<'_>,
    carried: &[usize],
    row: usize,
    condition: &str,
    scratch: &mut String,
) -> Result<usize> {
    let (set, key_is) = (rows.set(carried), rows.key_is(carried.len() + 1));
    let sql = format!("UPDATE {} {set} WHERE {key_is}{condition}", rows.table.name);
    let mut update = rows.connection.prepare_cached(&sql)?;
    rows.bind_fields(&mut update, carried, row, scratch)?;
    rows.bind_key(&mut update, carried.len() + 1, row, scratch)?;
    Ok(update.raw_execute()?)
}

/// Every row is gone. Where deleted rows stay they say so, unless it is an initial sync that begins anew: it never was complete.
fn truncate(rows: &Incoming<'_>, row: usize, phase: Phase, scratch: &mut String) -> Result<()> {
    let table = &rows.table.name;
    match (rows.table.deleted_at(), rows.fields.last()) {
        (Some(deleted_at), Some(mark)) if phase == Phase::Changes => {
            let sql = format!("UPDATE {table} SET {deleted_at} = ?1 WHERE {deleted_at} IS NULL");
            let mut update = rows.connection.prepare_cached(&sql)?;
            mark.bind(&mut update, 1, row, scratch)?;
            update.raw_execute()?;
        }
        _ => drop(rows.connection.execute(&format!("DELETE FROM {table}"), [])?),
    }
    Ok(())
}
