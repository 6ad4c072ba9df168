//! The few values that their column's type cannot hold, as canonical text: NaN in a decimal, an infinite date.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, ListArray, StringArray, StructArray, UInt32Array,
    builder::{ListBuilder, StringBuilder, StructBuilder, UInt32Builder},
    cast::AsArray,
    types::UInt32Type,
};
use arrow_schema::{DataType, Field, Fields};

/// For each row, pairs of a column and the canonical text of its value. The column's own array holds NULL there.
///
/// Columns are numbered from 0; with `n` columns, `n + i` is the value *before* of column `i`.
#[derive(Debug, Clone)]
pub struct Exceptions(Arc<ListArray>);

impl Exceptions {
    /// The Arrow type they are stored in.
    pub fn arrow() -> DataType {
        DataType::List(Arc::new(Field::new("item", DataType::Struct(Self::pair()), true)))
    }

    fn pair() -> Fields {
        vec![Field::new("column", DataType::UInt32, false), Field::new("text", DataType::Utf8, false)].into()
    }

    pub(crate) fn new(array: ListArray) -> Self {
        Self(Arc::new(array))
    }

    pub(crate) fn array(&self) -> &Arc<ListArray> {
        &self.0
    }

    /// The text that stands for the value of `column` in `row`.
    pub fn get(&self, row: usize, column: usize) -> Option<&str> {
        if self.0.is_null(row) {
            return None;
        }
        let range = self.0.value_offsets()[row] as usize..self.0.value_offsets()[row + 1] as usize;
        let (columns, texts) = self.pairs();
        let index = range.into_iter().find(|&index| columns.value(index) as usize == column)?;
        Some(texts.value(index))
    }

    /// The same with columns numbered as `place` says; those that have no place are left out. `None` when none is left.
    pub(crate) fn renumbered(&self, place: impl Fn(usize) -> Option<usize>) -> Option<Self> {
        let (columns, texts) = self.pairs();
        let mut renumbered = ExceptionsBuilder::new();
        for row in 0..self.0.len() {
            if self.0.is_valid(row) {
                let range = self.0.value_offsets()[row] as usize..self.0.value_offsets()[row + 1] as usize;
                for index in range {
                    if let Some(column) = place(columns.value(index) as usize) {
                        renumbered.add(column, texts.value(index));
                    }
                }
            }
            renumbered.end_row();
        }
        renumbered.finish()
    }

    fn pairs(&self) -> (&UInt32Array, &StringArray) {
        let pairs: &StructArray = self.0.values().as_struct();
        (pairs.column(0).as_primitive::<UInt32Type>(), pairs.column(1).as_string::<i32>())
    }
}

/// Builds [`Exceptions`] row by row.
#[derive(Debug)]
pub struct ExceptionsBuilder {
    rows: ListBuilder<StructBuilder>,
    in_row: bool,
    any: bool,
}

impl ExceptionsBuilder {
    /// With no row yet.
    pub fn new() -> Self {
        let pair = StructBuilder::new(
            Exceptions::pair(),
            vec![Box::new(UInt32Builder::with_capacity(0)), Box::new(StringBuilder::with_capacity(0, 0))],
        );
        Self { rows: ListBuilder::with_capacity(pair, 0), in_row: false, any: false }
    }

    /// Says that `column` of the current row holds `text`.
    pub fn add(&mut self, column: usize, text: &str) {
        let pair = self.rows.values();
        if let Some(columns) = pair.field_builder::<UInt32Builder>(0) {
            columns.append_value(u32::try_from(column).unwrap_or(u32::MAX));
        }
        if let Some(texts) = pair.field_builder::<StringBuilder>(1) {
            texts.append_value(text);
        }
        pair.append(true);
        self.in_row = true;
    }

    /// Ends the current row and begins the next.
    pub fn end_row(&mut self) {
        self.rows.append(self.in_row);
        self.any |= self.in_row;
        self.in_row = false;
    }

    /// The exceptions; `None` when there are none.
    pub fn finish(mut self) -> Option<Exceptions> {
        self.any.then(|| Exceptions::new(self.rows.finish()))
    }
}

impl Default for ExceptionsBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Exceptions> for ArrayRef {
    fn from(exceptions: Exceptions) -> Self {
        exceptions.0
    }
}
