//! A batch on its way to Redis: its rows as records and keys.

use std::sync::Arc;

use tidemark_engine::{
    Error, Result,
    change::{Cell, ChangeBatch, Op},
    schema::{Field, StreamName},
};

use super::{form::plain, names::OURS, record::Record, template::Pattern};
use crate::{redis::RecordForm, tables::View};

/// A batch, ready to be read row by row.
pub(super) struct Incoming<'a> {
    view: View<'a>,
    stream: &'a StreamName,
    fields: &'a [Field],
    /// The numbers of the columns that make the key.
    key: &'a [usize],
    names: Arc<Vec<String>>,
    pattern: &'a Pattern,
    form: RecordForm,
}

/// What a change does.
pub(super) enum Deed {
    /// Every record goes.
    Truncate,
    /// The record under this key goes.
    Delete(String),
    /// A record stands under this key; what the change does not say of it is NULL.
    Put(String),
    /// The record under this key becomes another.
    Update(String),
    /// The record under the first key becomes another, and stands under the second.
    Move(String, String),
}

impl<'a> Incoming<'a> {
    pub(super) fn new(changes: &'a ChangeBatch, pattern: &'a Pattern, form: RecordForm) -> Self {
        let schema = changes.schema();
        let names = Arc::new(schema.fields().iter().map(|field| field.name.clone()).collect());
        let (view, stream, fields, key) =
            (View::new(changes), schema.stream(), schema.fields(), schema.key());
        Self { view, stream, fields, key, names, pattern, form }
    }

    pub(super) fn rows(&self) -> usize {
        self.view.rows()
    }

    /// What the change in `row` does.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Data`] when a part of the key is NULL.
    pub(super) fn deed(&self, row: usize) -> Result<Deed> {
        Ok(match self.view.op(row)? {
            Op::Truncate => Deed::Truncate,
            Op::Delete => Deed::Delete(self.key(row, false)?),
            Op::Read | Op::Create => Deed::Put(self.key(row, false)?),
            Op::Update => {
                let (from, to) = (self.key(row, true)?, self.key(row, false)?);
                match from == to {
                    true => Deed::Update(to),
                    false => Deed::Move(from, to),
                }
            }
        })
    }

    /// Whether the change in `row` leaves columns as they are.
    pub(super) fn is_partial(&self, row: usize) -> bool {
        self.view.is_partial(row)
    }

    /// The record after the change in `row`, which leaves as it is in `base` what it does not carry.
    pub(super) fn record(&self, row: usize, base: Option<&Record>) -> Record {
        let value = |(index, field): (usize, &Field)| match self.view.cell(index, row) {
            Cell::Unchanged => base.and_then(|base| base.value(&self.names, index)),
            cell => self.form.text(&cell, &field.kind),
        };
        let values = self.fields.iter().enumerate().map(value).collect();
        Record { names: self.names.clone(), values }
    }

    /// The key of Redis for the record in `row`, as it is or as it was. The parts of a key of several columns stand with colons between
    /// them; a colon in one of them is `%3A`, so that no two keys look alike.
    fn key(&self, row: usize, before: bool) -> Result<String> {
        let mut parts = Vec::with_capacity(self.key.len());
        for &field in self.key {
            let cell = if before { self.view.old_cell(field, row) } else { self.view.cell(field, row) };
            parts.push(match cell {
                Cell::Value(value) => plain(&value),
                Cell::Exception(text) => text.to_owned(),
                Cell::Null | Cell::Unchanged => return Err(self.view.null_key(field)),
            });
        }
        let key = match parts.as_slice() {
            [one] => self.pattern.key(one),
            parts => {
                let parts = parts.iter().map(|part| part.replace('%', "%25").replace(':', "%3A"));
                self.pattern.key(&parts.collect::<Vec<_>>().join(":"))
            }
        };
        if key.starts_with(OURS) {
            return Err(Error::data(format!(
                "a record of stream `{}` would stand under a key that begins with `{OURS}`",
                self.stream
            ))
            .hint("begin `key` with something else: those keys belong to Tidemark"));
        }
        Ok(key)
    }

    /// That the change in `row` leaves columns as they are in a record that is not there.
    pub(super) fn nothing_to_update(&self) -> Error {
        Error::data(format!(
            "an update of stream `{}` leaves columns as they are in a record that is not there",
            self.stream
        ))
        .hint(format!("have it read anew: `tidemark resync FILE --stream {}`", self.stream))
    }

    /// That the record in `row` is larger than what the server takes.
    pub(super) fn too_large(&self, limit: usize) -> Error {
        Error::data(format!(
            "a record of stream `{}` is larger than the {limit} bytes that the server takes in a value",
            self.stream
        ))
        .hint("raise `proto-max-bulk-len` on the server, or leave the column out")
    }
}
