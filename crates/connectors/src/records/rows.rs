//! Records cut out of a text, not yet typed.

use std::sync::Arc;

/// Some records of one file, cell by cell, before anything is known of kinds.
pub(crate) trait Rows {
    /// How many records.
    fn len(&self) -> usize;

    /// The names of the columns in the file's order.
    fn names(&self) -> &[String];

    /// What the record `row` holds in `column`.
    fn cell(&self, column: usize, row: usize) -> Cell<'_>;

    /// The line on which the record begins, counted from 1.
    fn line(&self, row: usize) -> u64;

    /// Whether every record has a value or NULL in every column.
    fn is_dense(&self) -> bool;
}

/// Records that are looked at from several places.
pub(crate) type SharedRows = Arc<dyn Rows + Send + Sync>;

/// One value as it stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cell<'a> {
    /// The record does not have the column.
    Missing,
    /// It has no value there.
    Null,
    /// It has one.
    Value {
        /// The text, without quotes and escapes.
        text: &'a str,
        /// The text to the letter.
        raw: &'a str,
        /// What the format says of it.
        shape: Shape,
    },
}

/// What a format, or a system, says of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Nothing: a field of a CSV file.
    Plain,
    /// A JSON string.
    String,
    /// A JSON number, `true` or `false`.
    Literal,
    /// A JSON object or array.
    Nested,
    /// Text, whatever it looks like: a system that has types says so.
    Text,
    /// Bytes, as `\x` and two hexadecimal digits each: the same.
    Bytes,
    /// A float of 64 bits, `NaN` and `Infinity` among them: the same.
    Float,
    /// A UUID: the same.
    Uuid,
}

impl Shape {
    /// Whether its text may be read as a number or a truth value.
    pub(super) fn is_bare(self) -> bool {
        matches!(self, Self::Plain | Self::Literal | Self::Nested | Self::Float)
    }

    /// Whether a kind is guessed by how its text looks.
    pub(super) fn is_guessed(self) -> bool {
        matches!(self, Self::Plain | Self::String | Self::Literal | Self::Nested)
    }
}
