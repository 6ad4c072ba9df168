//! The keys that a batch of changes names.

use std::collections::HashMap;

use bytes::Bytes;
use tidemark_engine::{
    Error, ErrorKind,
    change::{Cell, Op},
    write::Delivery,
};

use super::{image::At, lines::Lines, table::Table};
use crate::tables::{Key, Keys, View};

/// The number of the key of a row that a change leaves, and of the one that it finds when that is another.
type Touched = (usize, Option<usize>);

/// A batch: its changes, and for each the numbers of its keys.
pub(super) struct Batch<'a> {
    pub(super) deliveries: &'a [Delivery],
    pub(super) views: Vec<View<'a>>,
    /// For each change, in order, where it leaves its row, and where it finds it when that is elsewhere. None of a truncate.
    pub(super) keys: Vec<(At, Option<Touched>)>,
    /// For each key a change that names it, and whether it was so before the change.
    named: Vec<(At, bool)>,
    pub(super) numbers: HashMap<Key, usize>,
}

impl<'a> Batch<'a> {
    /// Reads the keys of all changes.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Data`] when one is NULL.
    pub(super) fn read(deliveries: &'a [Delivery]) -> Result<Self, Error> {
        let views = deliveries.iter().map(|delivery| View::new(&delivery.changes)).collect::<Vec<_>>();
        let mut batch =
            Self { deliveries, views, keys: Vec::new(), named: Vec::new(), numbers: HashMap::new() };
        for number in 0..batch.views.len() {
            for row in 0..batch.views[number].rows() {
                let at = At { batch: number, row };
                if batch.views[number].op(row)? == Op::Truncate {
                    batch.keys.push((at, None));
                    continue;
                }
                let Keys { new, old } =
                    batch.views[number].keys(row).map_err(|error| batch.blame(at, error))?;
                let old = old.map(|old| batch.number(old, (at, true)));
                let new = batch.number(new, (at, false));
                batch.keys.push((at, Some((new, old))));
            }
        }
        Ok(batch)
    }

    fn number(&mut self, key: Key, named: (At, bool)) -> usize {
        let next = self.named.len();
        let number = *self.numbers.entry(key).or_insert(next);
        if number == next {
            self.named.push(named);
        }
        number
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.named.len()
    }

    pub(super) fn width(&self) -> usize {
        self.views.first().map_or(0, View::width)
    }

    pub(super) fn view(&self, at: At) -> &View<'a> {
        &self.views[at.batch]
    }

    /// A part of the key numbered `key`.
    pub(super) fn key_cell(&self, key: usize, field: usize) -> Cell<'a> {
        let (At { batch, row }, before) = self.named[key];
        let view = &self.views[batch];
        if before { view.old_cell(field, row) } else { view.cell(field, row) }
    }

    /// A change that names the key.
    pub(super) fn naming(&self, key: usize) -> At {
        self.named[key].0
    }

    /// The same error, of the change at `at` alone where it is about values.
    pub(super) fn blame(&self, at: At, error: Error) -> Error {
        blamed(&self.deliveries[at.batch], at.row, error)
    }

    /// Every key with its number, as the table of keys takes them.
    pub(super) fn lines(&self, table: &Table) -> Result<Bytes, Error> {
        let mut lines = Lines::default();
        for key in 0..self.len() {
            lines.add(&key.to_string());
            self.add_key(&mut lines, table, key)?;
            lines.end_row();
        }
        Ok(lines.finish())
    }

    /// Adds the parts of a key.
    pub(super) fn add_key(&self, lines: &mut Lines, table: &Table, key: usize) -> Result<(), Error> {
        for &field in &table.key {
            let added = lines.add_cell(&table.fields[field], &self.key_cell(key, field), &table.stream);
            added.map_err(|error| self.blame(self.naming(key), error))?;
        }
        Ok(())
    }
}

/// The same error, of the change in `row` alone where it is about values.
pub(super) fn blamed(delivery: &Delivery, row: usize, error: Error) -> Error {
    let Delivery { sequence, changes, .. } = delivery;
    match changes.ordinals() {
        Some(ordinals) if error.kind() == ErrorKind::Data => {
            error.of_change(changes.schema().stream(), *sequence, ordinals.value(row))
        }
        _ => error,
    }
}

/// The columns of the table of keys.
pub(super) fn key_columns(table: &Table) -> String {
    let key = table.key.iter().map(|index| format!("k{index}"));
    std::iter::once("id".to_owned()).chain(key).collect::<Vec<_>>().join(", ")
}
