//! Records cut out of a file, not yet typed.

/// Some records of one file, cell by cell, before anything is known of kinds.
pub(super) trait Rows {
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

/// One value as it stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cell<'a> {
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

/// What a format says of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Nothing: a field of a CSV file.
    Plain,
    /// A JSON string.
    String,
    /// A JSON number, `true` or `false`.
    Literal,
    /// A JSON object or array.
    Nested,
}
