//! A batch on its way into a table: its rows as the parameters of statements.

use rusqlite::{CachedStatement, Connection};
use tidemark_engine::{
    Error,
    change::{Cell, ChangeBatch},
};

use super::{START_ANEW, bind::Cells, table::Table};
use crate::sqlite::failure::Result;

/// A batch on its way into a table.
pub(super) struct Incoming<'a> {
    pub(super) connection: &'a Connection,
    pub(super) table: &'a Table,
    pub(super) changes: &'a ChangeBatch,
    pub(super) fields: Vec<Cells<'a>>,
    old_key: Option<Vec<Cells<'a>>>,
    /// Whether the table has seen these changes before.
    pub(super) replayed: bool,
}

impl<'a> Incoming<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        table: &'a Table,
        changes: &'a ChangeBatch,
        replayed: bool,
    ) -> Self {
        let (fields, old_key) = (Cells::all(changes, table), Cells::old_key(changes, table));
        Self { connection, table, changes, fields, old_key, replayed }
    }

    pub(super) fn key(&self) -> &'a [usize] {
        self.changes.schema().key()
    }

    /// The condition that the key is the parameters from `at` on.
    pub(super) fn key_is(&self, at: usize) -> String {
        let parts =
            self.key().iter().zip(at..).map(|(&index, at)| format!("{} = ?{at}", self.table.fields[index].0));
        parts.collect::<Vec<_>>().join(" AND ")
    }

    /// Whether the update in `row` is known to have changed the key.
    pub(super) fn moves(&self, row: usize) -> bool {
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

    /// Whether the update in `row` says of a record that it was deleted.
    pub(super) fn is_deletion(&self, row: usize) -> bool {
        let mark = self.fields.last().filter(|_| self.table.deleted_at().is_some());
        mark.is_some_and(|mark| matches!(mark.cell(row), Cell::Value(_)))
    }

    /// Whether `row` carries every field.
    pub(super) fn is_whole(&self, row: usize) -> bool {
        self.changes.columns().unchanged.as_ref().is_none_or(|unchanged| unchanged.is_empty(row))
    }

    /// That `row` leaves columns as they are in a row that is not there.
    pub(super) fn nothing_to_update(&self) -> Error {
        Error::data(format!(
            "an update of stream `{}` leaves columns as they are in a row that table {} does not have",
            self.table.stream, self.table.name
        ))
        .hint(START_ANEW)
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
    pub(super) fn bind_from(
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
    pub(super) fn check_key(&self, row: usize) -> Result<()> {
        let is_null = |index: &&usize| matches!(self.fields[**index].cell(row), Cell::Null | Cell::Unchanged);
        let Some(&index) = self.key().iter().find(is_null) else { return Ok(()) };
        let (column, stream) = (self.fields[index].name(), &self.table.stream);
        Err(Error::data(format!("key column `{column}` of stream `{stream}` is NULL in a record"))
            .hint("choose a key without NULLs, or use `write: append`")
            .into())
    }

    pub(super) fn upsert_sql(&self) -> String {
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
