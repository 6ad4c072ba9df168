//! `mirror`: the table looks like the source. Changes are applied one by one in source order, so whatever order of
//! values the source's own constraints allowed is allowed here.

use rusqlite::{CachedStatement, Connection};
use tidemark_engine::{
    Error,
    change::{Cell, ChangeBatch, Op},
};

use super::{START_ANEW, bind::Cells, parking::Parking, table::Table};
use crate::sqlite::failure::Result;

/// Applies every change of `changes` to `table`. When they are `replayed`, the table has seen them before and may hold rows
/// as they became later. `at` is the row that is being written.
pub(super) fn apply(
    connection: &Connection,
    table: &Table,
    changes: &ChangeBatch,
    replayed: bool,
    parking: &mut Parking,
    at: &mut Option<usize>,
) -> Result<()> {
    let mirror = Mirror::new(connection, table, changes, replayed);
    let mut upsert = connection.prepare_cached(&mirror.upsert_sql())?;
    let mut delete =
        connection.prepare_cached(&format!("DELETE FROM {} WHERE {}", table.name, mirror.key_is(1)))?;
    let mut scratch = String::new();
    for row in 0..changes.rows() {
        *at = Some(row);
        match changes.op(row)? {
            Op::Truncate => {
                connection.execute(&format!("DELETE FROM {}", table.name), [])?;
                parking.clear(connection)?;
            }
            Op::Delete => {
                mirror.check_key(row)?;
                if parking.is_empty() || !parking.delete(&mirror, row)? {
                    mirror.bind_key(&mut delete, 1, row, &mut scratch)?;
                    delete.raw_execute()?;
                }
            }
            // What a created record is missing is NULL.
            Op::Read | Op::Create => mirror.upsert(&mut upsert, row, &mut scratch)?,
            Op::Update if mirror.moves(row) => {
                mirror.check_key(row)?;
                if !parking.move_row(&mirror, row)? {
                    mirror.update(&mut upsert, row, &mut scratch)?;
                }
            }
            Op::Update => mirror.update(&mut upsert, row, &mut scratch)?,
        }
    }
    Ok(())
}

/// A batch on its way into a table.
pub(super) struct Mirror<'a> {
    pub(super) connection: &'a Connection,
    pub(super) table: &'a Table,
    changes: &'a ChangeBatch,
    fields: Vec<Cells<'a>>,
    old_key: Option<Vec<Cells<'a>>>,
    /// Whether the table has seen these changes before.
    pub(super) replayed: bool,
}

impl<'a> Mirror<'a> {
    fn new(connection: &'a Connection, table: &'a Table, changes: &'a ChangeBatch, replayed: bool) -> Self {
        let (fields, old_key) = (Cells::all(changes, table), Cells::old_key(changes, table));
        Self { connection, table, changes, fields, old_key, replayed }
    }

    fn key(&self) -> &'a [usize] {
        self.changes.schema().key()
    }

    /// The condition that the key is the parameters from `at` on.
    pub(super) fn key_is(&self, at: usize) -> String {
        let parts =
            self.key().iter().zip(at..).map(|(&index, at)| format!("{} = ?{at}", self.table.fields[index].0));
        parts.collect::<Vec<_>>().join(" AND ")
    }

    /// Inserts the record in `row`, or replaces every value of the one that has its key.
    fn upsert(&self, statement: &mut CachedStatement<'_>, row: usize, scratch: &mut String) -> Result<()> {
        self.check_key(row)?;
        for (index, cells) in self.fields.iter().enumerate() {
            cells.bind(statement, index + 1, row, scratch)?;
        }
        statement.raw_execute()?;
        Ok(())
    }

    /// Applies an update that keeps its key.
    fn update(&self, upsert: &mut CachedStatement<'_>, row: usize, scratch: &mut String) -> Result<()> {
        let unchanged = self.changes.columns().unchanged.as_ref();
        if unchanged.is_none_or(|unchanged| unchanged.is_empty(row)) {
            return self.upsert(upsert, row, scratch);
        }
        self.check_key(row)?;
        let mut carried = self.carried(row);
        if carried.len() > self.key().len() {
            carried.retain(|index| !self.key().contains(index));
        }
        let sql = format!(
            "UPDATE {} {} WHERE {}",
            self.table.name,
            self.set(&carried),
            self.key_is(carried.len() + 1)
        );
        let mut update = self.connection.prepare_cached(&sql)?;
        self.bind_fields(&mut update, &carried, row, scratch)?;
        self.bind_key(&mut update, carried.len() + 1, row, scratch)?;
        // In a replay the row may be gone because a later change removes it.
        if update.raw_execute()? > 0 || self.replayed {
            return Ok(());
        }
        Err(Error::data(format!(
            "an update of stream `{}` leaves columns as they are in a row that table {} does not have",
            self.table.stream, self.table.name
        ))
        .hint(START_ANEW)
        .into())
    }

    /// Whether the update in `row` is known to have changed the key.
    fn moves(&self, row: usize) -> bool {
        let Some(old_key) = &self.old_key else { return false };
        self.key().iter().zip(old_key).any(|(&index, old)| {
            match (old.cell(row), self.fields[index].cell(row)) {
                (Cell::Unchanged, _) => false,
                (old, new) if old == new => false,
                // NaN is not equal to itself.
                (Cell::Value(old), Cell::Value(new)) => old.to_string() != new.to_string(),
                _ => true,
            }
        })
    }

    /// The fields that `row` carries.
    pub(super) fn carried(&self, row: usize) -> Vec<usize> {
        let carried = |index: &usize| !matches!(self.fields[*index].cell(row), Cell::Unchanged);
        (0..self.fields.len()).filter(carried).collect()
    }

    /// The SET clause for `fields`, with parameters from 1 on.
    pub(super) fn set(&self, fields: &[usize]) -> String {
        let parts =
            fields.iter().zip(1..).map(|(&index, at)| format!("{} = ?{at}", self.table.fields[index].0));
        format!("SET {}", parts.collect::<Vec<_>>().join(", "))
    }

    pub(super) fn bind_fields(
        &self,
        statement: &mut CachedStatement<'_>,
        fields: &[usize],
        row: usize,
        scratch: &mut String,
    ) -> Result<()> {
        self.bind_from(statement, 1, fields, row, scratch)
    }

    pub(super) fn bind_key(
        &self,
        statement: &mut CachedStatement<'_>,
        at: usize,
        row: usize,
        scratch: &mut String,
    ) -> Result<()> {
        self.bind_from(statement, at, self.key(), row, scratch)
    }

    /// Binds `fields` to the parameters from `at` on.
    fn bind_from(
        &self,
        statement: &mut CachedStatement<'_>,
        at: usize,
        fields: &[usize],
        row: usize,
        scratch: &mut String,
    ) -> Result<()> {
        let mut parameters = fields.iter().zip(at..);
        parameters.try_for_each(|(&index, at)| self.fields[index].bind(statement, at, row, scratch))
    }

    /// Binds the key before the change. Parts of it that are not known have not changed.
    pub(super) fn bind_old_key(
        &self,
        statement: &mut CachedStatement<'_>,
        at: usize,
        row: usize,
        scratch: &mut String,
    ) -> Result<()> {
        let Some(old_key) = &self.old_key else { return self.bind_key(statement, at, row, scratch) };
        self.key().iter().zip(old_key).zip(at..).try_for_each(|((&index, old), at)| {
            let known = !matches!(old.cell(row), Cell::Unchanged);
            (if known { old } else { &self.fields[index] }).bind(statement, at, row, scratch)
        })
    }

    /// Refuses a key that cannot tell rows apart.
    fn check_key(&self, row: usize) -> Result<()> {
        let is_null = |index: &&usize| matches!(self.fields[**index].cell(row), Cell::Null | Cell::Unchanged);
        let Some(&index) = self.key().iter().find(is_null) else { return Ok(()) };
        let (column, stream) = (self.fields[index].name(), &self.table.stream);
        Err(Error::data(format!("key column `{column}` of stream `{stream}` is NULL in a record"))
            .hint("choose a key without NULLs, or use `write: append`")
            .into())
    }

    fn upsert_sql(&self) -> String {
        let names = self.table.fields.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>();
        let key = self.key().iter().map(|&index| names[index]).collect::<Vec<_>>();
        let others = names.iter().enumerate().filter(|(index, _)| !self.key().contains(index));
        let sets = others.map(|(_, name)| format!("{name} = excluded.{name}")).collect::<Vec<_>>();
        let action =
            if sets.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {}", sets.join(", ")) };
        format!(
            "INSERT INTO {} ({}) VALUES ({}) ON CONFLICT ({}) DO {action}",
            self.table.name,
            names.join(", "),
            vec!["?"; names.len()].join(", "),
            key.join(", ")
        )
    }
}
