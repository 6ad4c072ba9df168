//! Rows that another row's key change has displaced.
//!
//! A source that checks its keys at the end of a transaction may swap two of them: 1 becomes 2, then 2 becomes 1. In
//! between two rows have the key 2. The one that was there first must leave before the transaction ends, so it waits
//! in a temporary table for the change that moves or deletes it, and changes that leave a key look there first.

use rusqlite::{CachedStatement, Connection};

use super::{incoming::Incoming, rebuild, table::Table};
use crate::sqlite::failure::Result;

const ID: &str = "_tidemark_parked";

/// The rows of one table that wait.
#[derive(Debug)]
pub(super) struct Parking {
    /// The temporary table's name as SQL.
    name: String,
    /// The columns it was made with, once it was: names as SQL and the types that the table declares.
    made: Option<Vec<(String, String)>>,
    waiting: usize,
}

impl Parking {
    /// A place for the rows of the table numbered `number`.
    pub(super) fn new(number: usize) -> Self {
        Self { name: format!("temp._tidemark_parking_{number}"), made: None, waiting: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Forgets every waiting row: at the end of a unit nothing can ask for it any more.
    pub(super) fn clear(&mut self, connection: &Connection) -> Result<()> {
        if self.made.is_some() {
            connection.execute_batch(&format!("DROP TABLE {}", self.name))?;
        }
        (self.made, self.waiting) = (None, 0);
        Ok(())
    }

    /// Has waiting rows follow `table`, which has grown or widened.
    pub(super) fn follow(&mut self, connection: &Connection, table: &Table) -> Result<()> {
        if let Some(before) = &mut self.made {
            rebuild::refit(connection, (&self.name, ID), &table.name, before, &table.columns)?;
            before.clone_from(&table.columns);
        }
        Ok(())
    }

    /// Deletes the waiting row with the key of `row`, if there is one.
    pub(super) fn delete(&mut self, rows: &Incoming<'_>, row: usize) -> Result<bool> {
        let mut find = self.find_statement(rows)?;
        rows.bind_key(&mut find, 1, row, &mut String::new())?;
        let Some(id) = first(&mut find)? else { return Ok(false) };
        self.remove(rows.connection, id)?;
        Ok(true)
    }

    /// Moves a row from its old key to its new one, with what the update in `row` carries, and keeps the rest. A row that
    /// stands there already is parked. `false` when there is no row under the old key.
    pub(super) fn move_row(&mut self, rows: &Incoming<'_>, row: usize) -> Result<bool> {
        let connection = rows.connection;
        let carried = rows.carried(row);
        let mut scratch = String::new();
        if let Some(id) = self.find(rows, row)? {
            let sql = format!("UPDATE {} {} WHERE {ID} = {id}", self.name, rows.set(&carried));
            let mut update = connection.prepare_cached(&sql)?;
            rows.bind_fields(&mut update, &carried, row, &mut scratch)?;
            update.raw_execute()?;
            self.park(rows, row)?;
            let (table, columns) = (&rows.table.name, rows.table.column_list());
            let sql = format!(
                "INSERT INTO {table} ({columns}) SELECT {columns} FROM {} WHERE {ID} = ?1",
                self.name
            );
            connection.execute(&sql, [id])?;
            self.remove(connection, id)?;
            return Ok(true);
        }
        let table = &rows.table.name;
        let mut exists =
            connection.prepare_cached(&format!("SELECT 1 FROM {table} WHERE {}", rows.key_is(1)))?;
        rows.bind_old_key(&mut exists, 1, row, &mut scratch)?;
        if first(&mut exists)?.is_none() {
            return Ok(false);
        }
        self.park(rows, row)?;
        let condition = rows.key_is(carried.len() + 1);
        let sql = format!("UPDATE {table} {} WHERE {condition}", rows.set(&carried));
        let mut update = connection.prepare_cached(&sql)?;
        rows.bind_fields(&mut update, &carried, row, &mut scratch)?;
        rows.bind_old_key(&mut update, carried.len() + 1, row, &mut scratch)?;
        update.raw_execute()?;
        Ok(true)
    }

    /// The longest waiting row under the old key of `row`.
    fn find(&self, rows: &Incoming<'_>, row: usize) -> Result<Option<i64>> {
        if self.is_empty() {
            return Ok(None);
        }
        let mut find = self.find_statement(rows)?;
        rows.bind_old_key(&mut find, 1, row, &mut String::new())?;
        first(&mut find)
    }

    fn find_statement<'m>(&self, rows: &Incoming<'m>) -> Result<CachedStatement<'m>> {
        let sql = format!("SELECT {ID} FROM {} WHERE {} ORDER BY {ID} LIMIT 1", self.name, rows.key_is(1));
        Ok(rows.connection.prepare_cached(&sql)?)
    }

    /// Parks the row that stands under the new key of `row`, if there is one.
    fn park(&mut self, rows: &Incoming<'_>, row: usize) -> Result<()> {
        let table = &rows.table.name;
        let mut scratch = String::new();
        let is_deleted =
            rows.table.deleted_at().map_or("0".to_owned(), |deleted_at| format!("{deleted_at} IS NOT NULL"));
        let sql = format!("SELECT {is_deleted} FROM {table} WHERE {}", rows.key_is(1));
        let mut exists = rows.connection.prepare_cached(&sql)?;
        rows.bind_key(&mut exists, 1, row, &mut scratch)?;
        let Some(is_deleted) = first(&mut exists)? else { return Ok(()) };
        let (condition, columns) = (rows.key_is(1), rows.table.column_list());
        let keep =
            format!("INSERT INTO {} ({columns}) SELECT {columns} FROM {table} WHERE {condition}", self.name);
        let delete = format!("DELETE FROM {table} WHERE {condition}");
        // In a replay what stands there is most likely the same row as it became later, and nothing will ask for it. Nor for
        // one that was deleted before.
        let waits = !rows.replayed && is_deleted == 0;
        let steps = if waits { vec![keep, delete] } else { vec![delete] };
        if waits {
            self.make(rows.connection, rows.table)?;
            self.waiting += 1;
        }
        for sql in steps {
            let mut statement = rows.connection.prepare_cached(&sql)?;
            rows.bind_key(&mut statement, 1, row, &mut scratch)?;
            statement.raw_execute()?;
        }
        Ok(())
    }

    /// Makes the temporary table. Its columns have no types, so values keep their form.
    fn make(&mut self, connection: &Connection, table: &Table) -> Result<()> {
        if self.made.is_none() {
            let (name, columns) = (&self.name, table.column_list());
            connection
                .execute_batch(&format!("CREATE TABLE {name} ({ID} INTEGER PRIMARY KEY, {columns})"))?;
            self.made = Some(table.columns.clone());
        }
        Ok(())
    }

    fn remove(&mut self, connection: &Connection, id: i64) -> Result<()> {
        connection.execute(&format!("DELETE FROM {} WHERE {ID} = ?1", self.name), [id])?;
        self.waiting -= 1;
        Ok(())
    }
}

/// The integer in the first row, when there is one.
fn first(statement: &mut CachedStatement<'_>) -> Result<Option<i64>> {
    Ok(statement.raw_query().next()?.map(|row| row.get(0)).transpose()?)
}
