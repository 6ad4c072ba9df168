//! Per row, one bit for each column: which values a change does not carry.

use std::sync::Arc;

use arrow_array::{Array, BinaryArray, builder::BinaryBuilder};

/// For each row, the set of columns it carries no value for. A row without a set carries every column.
///
/// Stored as binary: bit `i % 8` (least significant first) of byte `i / 8` stands for column `i`; NULL is the
/// empty set.
#[derive(Debug, Clone)]
pub struct Bitmap(Arc<BinaryArray>);

impl Bitmap {
    pub(crate) fn new(array: BinaryArray) -> Self {
        Self(Arc::new(array))
    }

    pub(crate) fn array(&self) -> &Arc<BinaryArray> {
        &self.0
    }

    /// Whether the set of `row` holds `column`.
    pub fn contains(&self, row: usize, column: usize) -> bool {
        if self.0.is_null(row) {
            return false;
        }
        self.0.value(row).get(column / 8).is_some_and(|byte| byte >> (column % 8) & 1 == 1)
    }

    /// Whether the set of `row` is empty.
    pub fn is_empty(&self, row: usize) -> bool {
        self.0.is_null(row)
    }
}

/// Builds a [`Bitmap`] row by row.
#[derive(Debug)]
pub struct BitmapBuilder {
    columns: usize,
    row: Vec<u8>,
    rows: BinaryBuilder,
    any: bool,
}

impl BitmapBuilder {
    /// For a schema of `columns` columns.
    pub fn new(columns: usize) -> Self {
        Self {
            columns,
            row: vec![0; columns.div_ceil(8)],
            rows: BinaryBuilder::with_capacity(0, 0),
            any: false,
        }
    }

    /// Puts `column` into the set of the current row.
    ///
    /// # Panics
    /// When the schema has no such column.
    pub fn set(&mut self, column: usize) {
        assert!(column < self.columns, "column {column} of {}", self.columns);
        self.row[column / 8] |= 1 << (column % 8);
    }

    /// Ends the current row and begins the next.
    pub fn end_row(&mut self) {
        if self.row.iter().all(|byte| *byte == 0) {
            self.rows.append_null();
        } else {
            self.rows.append_value(&self.row);
            self.row.fill(0);
            self.any = true;
        }
    }

    /// The bitmap; `None` when every set is empty.
    pub fn finish(mut self) -> Option<Bitmap> {
        self.any.then(|| Bitmap::new(self.rows.finish()))
    }
}
