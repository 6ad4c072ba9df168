//! A batch as a mirror reads it: keys before and after, and what each change carries.

use tidemark_engine::{
    Error, Result,
    change::{Cell, ChangeBatch, Column, Op},
};

use super::key::{self, Key};
use crate::metadata;

/// A batch, ready to be read row by row.
pub(crate) struct View<'a> {
    changes: &'a ChangeBatch,
    fields: Vec<Column<'a>>,
    /// The key's columns before each change.
    old_key: Option<Vec<Column<'a>>>,
    /// The field that says when a record was deleted, in `soft-delete`.
    deleted_at: Option<usize>,
}

/// Where a change leaves a row, and where it finds it.
pub(crate) struct Keys {
    pub(crate) new: Key,
    /// Where the row was, when it moves.
    pub(crate) old: Option<Key>,
}

impl<'a> View<'a> {
    pub(crate) fn new(changes: &'a ChangeBatch) -> Self {
        let fields = (0..changes.schema().fields().len()).map(|index| changes.column(index)).collect();
        let old_key = changes.schema().key().iter().map(|&index| changes.column_before(index)).collect();
        let names = changes.schema().fields();
        let deleted_at = names.iter().position(|field| field.name == metadata::DELETED_AT);
        Self { changes, fields, old_key, deleted_at }
    }

    pub(crate) fn rows(&self) -> usize {
        self.changes.rows()
    }

    /// How many columns there are.
    pub(crate) fn width(&self) -> usize {
        self.fields.len()
    }

    pub(crate) fn op(&self, row: usize) -> Result<Op> {
        self.changes.op(row)
    }

    /// Whether the change in `row` is an update that says its record is deleted.
    pub(crate) fn is_deletion(&self, row: usize) -> bool {
        self.deleted_at.is_some_and(|field| matches!(self.cell(field, row), Cell::Value(_)))
    }

    pub(crate) fn cell(&self, field: usize, row: usize) -> Cell<'a> {
        self.fields[field].cell(row)
    }

    /// The part of the key before the change in `row` that `field` was. A part that is not known has not changed.
    pub(crate) fn old_cell(&self, field: usize, row: usize) -> Cell<'a> {
        let part = self.changes.schema().key().iter().position(|&index| index == field);
        let old = part.zip(self.old_key.as_ref()).map(|(part, old_key)| old_key[part].cell(row));
        match old {
            Some(Cell::Unchanged) | None => self.cell(field, row),
            Some(cell) => cell,
        }
    }

    /// Whether the change in `row` leaves columns as they are.
    pub(crate) fn is_partial(&self, row: usize) -> bool {
        let unchanged = self.changes.columns().unchanged.as_ref();
        unchanged.is_some_and(|unchanged| !unchanged.is_empty(row))
    }

    /// Whether `row` carries a value of `field`.
    pub(crate) fn carries(&self, field: usize, row: usize) -> bool {
        !matches!(self.cell(field, row), Cell::Unchanged)
    }

    /// The keys of the change in `row`, which is no truncate.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Data`] when a part of the key is NULL: such a key cannot tell rows apart.
    pub(crate) fn keys(&self, row: usize) -> Result<Keys> {
        let (mut new, mut old) = (Key::new(), Key::new());
        let may_move = self.old_key.is_some() && self.op(row)? == Op::Update;
        for &field in self.changes.schema().key() {
            let known = key::add(&mut new, &self.cell(field, row));
            if !known || (may_move && !key::add(&mut old, &self.old_cell(field, row))) {
                return Err(self.null_key(field));
            }
        }
        let old = (may_move && old != new).then_some(old);
        Ok(Keys { new, old })
    }

    /// That a part of a key is NULL.
    pub(crate) fn null_key(&self, field: usize) -> Error {
        let schema = self.changes.schema();
        let (column, stream) = (&schema.fields()[field].name, schema.stream());
        Error::data(format!("key column `{column}` of stream `{stream}` is NULL in a record"))
            .hint("choose a key without NULLs, or use `write: append`")
    }
}
