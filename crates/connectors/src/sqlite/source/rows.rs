//! Records as SQLite gives them, for the room that infers kinds.

use std::fmt::Write;

use rusqlite::{Row, types::ValueRef};
use tidemark_engine::{Error, Result};

use crate::records::{Cell, Rows, Shape};

/// Some records, their values as text one after another.
#[derive(Debug, Default)]
pub(super) struct SqliteRows {
    names: Vec<String>,
    text: String,
    /// Where each value ends in the text, record by record, and what it is; `None` where it is NULL.
    cells: Vec<(usize, Option<Shape>)>,
}

impl SqliteRows {
    /// No records yet, of columns with these names.
    pub(super) fn new(names: &[String]) -> Self {
        Self { names: names.to_vec(), text: String::new(), cells: Vec::new() }
    }

    /// Adds `row`, of `stream`.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Data`] for a text that is not in UTF-8.
    pub(super) fn add(&mut self, row: &Row<'_>, stream: &str) -> Result<()> {
        for index in 0..self.names.len() {
            let value = row.get_ref(index).map_err(|error| {
                Error::internal(format!("a record of stream `{stream}` has too few columns")).source(error)
            })?;
            let shape = self.write(value).map_err(|()| {
                let column = &self.names[index];
                Error::data(format!(
                    "column `{column}` of stream `{stream}` holds a text that is not in UTF-8"
                ))
                .hint("correct it at the source, or read it as bytes: `CAST(column AS BLOB)` in a `query`")
            })?;
            self.cells.push((self.text.len(), shape));
        }
        Ok(())
    }

    fn write(&mut self, value: ValueRef<'_>) -> Result<Option<Shape>, ()> {
        // Writing to a `String` cannot fail.
        Ok(Some(match value {
            ValueRef::Null => return Ok(None),
            ValueRef::Integer(whole) => {
                let _ = write!(self.text, "{whole}");
                Shape::Literal
            }
            // With a point or an exponent, so that it is not taken for a whole number.
            ValueRef::Real(number) if number.is_finite() => {
                let _ = write!(self.text, "{number:?}");
                Shape::Literal
            }
            ValueRef::Real(number) => {
                self.text.push_str(if number < 0.0 { "-Infinity" } else { "Infinity" });
                Shape::Text
            }
            ValueRef::Text(text) => {
                self.text.push_str(std::str::from_utf8(text).map_err(drop)?);
                Shape::Text
            }
            ValueRef::Blob(bytes) => {
                self.text.push_str("\\x");
                for byte in bytes {
                    let _ = write!(self.text, "{byte:02x}");
                }
                Shape::Bytes
            }
        }))
    }

    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        self.text.len() + self.cells.len() * size_of::<(usize, Option<Shape>)>()
    }

    /// Takes the last record back.
    pub(super) fn pop(&mut self) {
        let kept = self.cells.len().saturating_sub(self.names.len());
        self.cells.truncate(kept);
        self.text.truncate(self.cells.last().map_or(0, |(end, _)| *end));
    }
}

impl Rows for SqliteRows {
    fn len(&self) -> usize {
        self.cells.len().checked_div(self.names.len()).unwrap_or(0)
    }

    fn names(&self) -> &[String] {
        &self.names
    }

    fn cell(&self, column: usize, row: usize) -> Cell<'_> {
        let at = row * self.names.len() + column;
        let begin = at.checked_sub(1).map_or(0, |before| self.cells[before].0);
        match self.cells[at] {
            (_, None) => Cell::Null,
            (end, Some(shape)) => {
                let text = &self.text[begin..end];
                Cell::Value { text, raw: text, shape }
            }
        }
    }

    fn line(&self, row: usize) -> u64 {
        row as u64 + 1
    }

    fn is_dense(&self) -> bool {
        true
    }
}
