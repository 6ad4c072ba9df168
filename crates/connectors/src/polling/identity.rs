//! What tells records apart, and what they hold, as bytes: comparable without knowing what any of it means.
//!
//! A key is a sequence of cells: a letter, how long the text is, and the text. Shorter texts come first, so whole numbers from 0 on sort by
//! size; records mostly come in such an order, and what is looked up together stands together then. Whether JSON has a string or a number
//! there does not count: in the column of a key the two have one text, and would be one record at a destination.

use tidemark_engine::{
    Digest, Error, Result,
    change::{Cell as TypedCell, ChangeBatch, Value},
};
use twox_hash::XxHash3_64;

use super::known::{Fingerprints, RowHash};
use crate::records::{Cell, Rows, Shape};

/// What a key has in one of its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyCell<'a> {
    /// The text of a value.
    Value(&'a str),
    /// One that stands for a value which the column's type cannot hold.
    Exception(&'a str),
}

const VALUE: u8 = b'v';
const EXCEPTION: u8 = b'e';

/// What is compared of a stream's records.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// The columns that tell records apart; none: all of them together.
    pub(crate) key: Vec<String>,
    /// Columns whose change is none.
    pub(crate) ignored: Vec<String>,
}

impl Identity {
    /// Keys and contents of `rows`; `origin` says where they came from.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Data`] when a record has no value in a column of the key.
    pub(crate) fn of_text(&self, rows: &dyn Rows, origin: &str) -> Result<Fingerprints> {
        let names = rows.names();
        let key = self.key_columns(names, rows.len(), origin)?;
        let compared = self.compared(names);
        let mut prints = Fingerprints::default();
        let (mut content, mut cells) = (Vec::new(), Vec::new());
        for row in 0..rows.len() {
            content.clear();
            cells.clear();
            for (column, name) in &compared {
                if let Some((letter, text)) = shown(rows.cell(*column, row)) {
                    content.extend_from_slice(name);
                    put(letter, text.as_bytes(), &mut content);
                }
            }
            for &column in &key {
                match rows.cell(column, row) {
                    Cell::Value { shape: Shape::Nested, .. } => {
                        return Err(nested_key(&names[column], origin, rows.line(row)));
                    }
                    Cell::Value { text, .. } => put(VALUE, text.as_bytes(), &mut cells),
                    Cell::Missing | Cell::Null => {
                        return Err(no_key(&names[column], origin, Some(rows.line(row))));
                    }
                }
            }
            end(&cells, &content, &mut prints);
        }
        Ok(prints)
    }

    /// The same of records under a schema.
    pub(crate) fn of_typed(&self, batch: &ChangeBatch, origin: &str) -> Result<Fingerprints> {
        let names = batch.schema().fields().iter().map(|field| field.name.clone()).collect::<Vec<_>>();
        let key = self.key_columns(&names, batch.rows(), origin)?;
        let compared = self.compared(&names);
        let columns = (0..names.len()).map(|index| batch.column(index)).collect::<Vec<_>>();
        let mut prints = Fingerprints::default();
        let (mut content, mut cells, mut scratch) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..batch.rows() {
            content.clear();
            cells.clear();
            for (column, name) in &compared {
                scratch.clear();
                if let Some(letter) = write_cell(&columns[*column].cell(row), &mut scratch) {
                    content.extend_from_slice(name);
                    put(letter, &scratch, &mut content);
                }
            }
            for &column in &key {
                match columns[column].cell(row) {
                    TypedCell::Null | TypedCell::Unchanged => {
                        return Err(no_key(&names[column], origin, None));
                    }
                    TypedCell::Exception(text) => put(EXCEPTION, text.as_bytes(), &mut cells),
                    TypedCell::Value(value) => put(VALUE, value.to_string().as_bytes(), &mut cells),
                }
            }
            end(&cells, &content, &mut prints);
        }
        Ok(prints)
    }

    /// Where the columns of the key stand among `names`.
    fn key_columns(&self, names: &[String], rows: usize, origin: &str) -> Result<Vec<usize>> {
        let place = |key: &String| names.iter().position(|name| name == key);
        match rows {
            0 => Ok(Vec::new()),
            _ => self.key.iter().map(|key| place(key).ok_or_else(|| no_key(key, origin, None))).collect(),
        }
    }

    /// The columns that are compared beside the key, in an order that does not depend on that of `names`, and a mark for each.
    fn compared(&self, names: &[String]) -> Vec<(usize, [u8; 8])> {
        let mut compared = names.iter().enumerate().collect::<Vec<_>>();
        // What is in the key is the same wherever the key is.
        compared.retain(|(_, name)| !self.ignored.contains(name) && !self.key.contains(name));
        compared.sort_by_key(|(_, name)| *name);
        let marked =
            |(column, name): (usize, &String)| (column, XxHash3_64::oneshot(name.as_bytes()).to_le_bytes());
        compared.into_iter().map(marked).collect()
    }
}

/// Adds a record to `prints`. One without a key is known by what it holds.
fn end(key: &[u8], content: &[u8], prints: &mut Fingerprints) {
    match key {
        // Two such records are taken for one only if this is the same, so it is longer than what a change is seen by.
        [] => prints.push(&Digest::of(content).as_bytes()[..16], RowHash::of(content)),
        key => prints.push(key, RowHash::of(content)),
    }
}

/// The cells of a key, as they were.
pub(crate) fn cells_of(key: &[u8]) -> Result<Vec<KeyCell<'_>>> {
    let damaged = || Error::conflict("a key that is known of a stream's records cannot be read");
    let (mut cells, mut rest) = (Vec::new(), key);
    while !rest.is_empty() {
        let (cell, after) = first_cell(rest).ok_or_else(damaged)?;
        cells.push(cell);
        rest = after;
    }
    Ok(cells)
}

fn first_cell(key: &[u8]) -> Option<(KeyCell<'_>, &[u8])> {
    let (&letter, rest) = key.split_first()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (text, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    let text = std::str::from_utf8(text).ok()?;
    match letter {
        VALUE => Some((KeyCell::Value(text), rest)),
        EXCEPTION => Some((KeyCell::Exception(text), rest)),
        _ => None,
    }
}

fn put(letter: u8, text: &[u8], out: &mut Vec<u8>) {
    out.push(letter);
    // Texts of 4 GiB do not come this far.
    out.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(text);
}

fn letter(shape: Shape) -> u8 {
    match shape {
        Shape::Bytes => b'b',
        Shape::Float => b'f',
        Shape::Text => b't',
        Shape::Uuid => b'u',
        Shape::Literal => b'l',
        Shape::Nested => b'n',
        Shape::Plain => b'p',
        Shape::String => b's',
    }
}

/// What is compared of a cell; nothing where the record does not have the column.
fn shown(cell: Cell<'_>) -> Option<(u8, &str)> {
    match cell {
        Cell::Missing => None,
        Cell::Null => Some((b'0', "")),
        Cell::Value { raw, shape: Shape::Nested, .. } => Some((b'n', raw)),
        Cell::Value { text, shape, .. } => Some((letter(shape), text)),
    }
}

/// The same of a typed cell.
fn write_cell(cell: &TypedCell<'_>, out: &mut Vec<u8>) -> Option<u8> {
    Some(match cell {
        TypedCell::Unchanged => return None,
        TypedCell::Null => b'0',
        TypedCell::Exception(text) => {
            out.extend_from_slice(text.as_bytes());
            b'e'
        }
        TypedCell::Value(value) => {
            write_value(value, out);
            b'v'
        }
    })
}

fn write_value(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Bool(value) => out.push(u8::from(*value)),
        Value::Int(value) => out.extend_from_slice(&value.to_le_bytes()),
        Value::UInt(value) => out.extend_from_slice(&value.to_le_bytes()),
        Value::Float32(value) => out.extend_from_slice(&value.to_bits().to_le_bytes()),
        Value::Float64(value) => out.extend_from_slice(&value.to_bits().to_le_bytes()),
        Value::Decimal(digits, _) => out.extend_from_slice(&digits.to_le_bytes()),
        Value::Text(text) => out.extend_from_slice(text.as_bytes()),
        Value::Bytes(bytes) | Value::Uuid(bytes) => out.extend_from_slice(bytes),
        Value::Date(days) => out.extend_from_slice(&days.to_le_bytes()),
        Value::Time(micros) | Value::Timestamp(micros) | Value::TimestampTz(micros) => {
            out.extend_from_slice(&micros.to_le_bytes());
        }
        Value::List(..) => out.extend_from_slice(value.to_string().as_bytes()),
    }
}

fn no_key(key: &str, origin: &str, line: Option<u64>) -> Error {
    let place = line.map(|line| format!(" (record {line})")).unwrap_or_default();
    Error::data(format!("a record of `{origin}`{place} has no value in the key column `{key}`"))
        .hint("correct it at the source, or choose a `key` whose columns always have a value")
}

fn nested_key(key: &str, origin: &str, line: u64) -> Error {
    Error::data(format!(
        "a record of `{origin}` (record {line}) has an object or an array in the key column `{key}`"
    ))
    .hint("choose a `key` whose columns hold texts or numbers")
}
