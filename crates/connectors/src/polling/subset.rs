//! Some of the records of a page, and records of which only the key is left.

use super::identity::KeyCell;
use crate::records::{Cell, Rows, Shape, SharedRows};

/// The records of `all` at `picked`, in that order.
pub(crate) struct Subset {
    pub(crate) all: SharedRows,
    pub(crate) picked: Vec<usize>,
}

impl Rows for Subset {
    fn len(&self) -> usize {
        self.picked.len()
    }

    fn names(&self) -> &[String] {
        self.all.names()
    }

    fn cell(&self, column: usize, row: usize) -> Cell<'_> {
        self.all.cell(column, self.picked[row])
    }

    fn line(&self, row: usize) -> u64 {
        self.all.line(self.picked[row])
    }

    fn is_dense(&self) -> bool {
        self.all.is_dense()
    }
}

/// Records by their keys alone.
pub(crate) struct KeyRows<'a> {
    pub(crate) names: &'a [String],
    pub(crate) keys: Vec<Vec<KeyCell<'a>>>,
}

impl Rows for KeyRows<'_> {
    fn len(&self) -> usize {
        self.keys.len()
    }

    fn names(&self) -> &[String] {
        self.names
    }

    fn cell(&self, column: usize, row: usize) -> Cell<'_> {
        match self.keys[row].get(column) {
            Some(&KeyCell::Value(text)) => Cell::Value { text, raw: text, shape: Shape::Plain },
            Some(KeyCell::Exception(_)) => Cell::Null,
            None => Cell::Missing,
        }
    }

    fn line(&self, row: usize) -> u64 {
        row as u64 + 1
    }

    fn is_dense(&self) -> bool {
        true
    }
}
