//! The cells of a batch as the parameters of a statement.

use rusqlite::{
    Statement,
    types::{ToSqlOutput, ValueRef},
};
use tidemark_engine::{
    Error, Time,
    change::{Cell, ChangeBatch, Column, Value},
    schema::{Field, Kind, StreamName},
};

use super::table::Table;
use crate::{
    metadata,
    sqlite::{failure::Result, storage::Storage},
};

/// One column of a batch and how its table stores it.
pub(super) struct Cells<'a> {
    column: Column<'a>,
    storage: Storage,
    field: &'a Field,
    stream: &'a StreamName,
    /// Whether it holds a time of ours, which is written so that its texts sort.
    is_ours: bool,
}

impl<'a> Cells<'a> {
    /// The values of every field of `changes`.
    pub(super) fn all(changes: &'a ChangeBatch, table: &Table) -> Vec<Self> {
        (0..table.fields.len()).map(|index| Self::new(changes, table, index, changes.column(index))).collect()
    }

    /// The values before of the key's columns; `None` when the batch has none.
    pub(super) fn old_key(changes: &'a ChangeBatch, table: &Table) -> Option<Vec<Self>> {
        let key = changes.schema().key().iter();
        key.map(|&index| Some(Self::new(changes, table, index, changes.column_before(index)?))).collect()
    }

    fn new(changes: &'a ChangeBatch, table: &Table, index: usize, column: Column<'a>) -> Self {
        let schema = changes.schema();
        let field = &schema.fields()[index];
        let is_ours = field.name == metadata::DELETED_AT;
        Self { column, storage: table.fields[index].1, field, stream: schema.stream(), is_ours }
    }

    pub(super) fn cell(&self, row: usize) -> Cell<'a> {
        self.column.cell(row)
    }

    /// The name of the field.
    pub(super) fn name(&self) -> &str {
        &self.field.name
    }

    /// Binds what `row` holds to the parameter `at`; NULL when it holds nothing.
    #[inline]
    pub(super) fn bind(
        &self,
        statement: &mut Statement<'_>,
        at: usize,
        row: usize,
        scratch: &mut String,
    ) -> Result<()> {
        let stored = match self.column.cell(row) {
            Cell::Unchanged | Cell::Null => Some(ValueRef::Null),
            Cell::Value(Value::TimestampTz(micros)) if self.is_ours => {
                *scratch = Time::from_micros(micros).to_string();
                Some(ValueRef::Text(scratch.as_bytes()))
            }
            Cell::Value(value) => self.storage.store(&value, &self.field.kind, scratch),
            Cell::Exception(text) => self.storage.store_exception(text, scratch),
        };
        let Some(stored) = stored else { return Err(self.cannot_hold().into()) };
        bind(statement, at, stored)
    }

    fn cannot_hold(&self) -> Error {
        let (name, stream) = (&self.field.name, self.stream);
        let kind: &Kind = &self.field.kind;
        Error::data(format!("column `{name}` of stream `{stream}` holds a value that SQLite would alter"))
            .hint(format!("declare the column as `text` at the source instead of `{}`", kind.name()))
    }
}

/// Binds `stored` to the parameter `at`.
pub(super) fn bind(statement: &mut Statement<'_>, at: usize, stored: ValueRef<'_>) -> Result<()> {
    Ok(statement.raw_bind_parameter(at, ToSqlOutput::Borrowed(stored))?)
}
