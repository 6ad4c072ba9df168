//! What JSON Lines and XML have in common: changes as text, one line each, compressed as a whole.
//!
//! A [`Notation`] says how a change becomes a line. All else is here: how each value is spelled, the blob around the lines, and the way
//! back into batches, in memory that does not grow with the blob.

mod absence;
mod arrays;
mod blob;
mod bytes;
mod calendar;
mod cells;
mod columns;
mod numbers;

use std::{borrow::Cow, fmt};

use ::bytes::Bytes;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

pub(crate) use arrays::Filling;
pub(super) use arrays::{Elements, Slot};
pub(super) use cells::{Cell, Cells};
pub(super) use columns::{Column, Type};

use self::blob::{Lines, Trailer, Writer};
use super::{Batches, Encoder, READ_BYTES};
use crate::{Error, Result};

/// Changes in a batch as it is read back.
const BATCH_ROWS: usize = 8_192;

/// Why a blob is not what it should be. It never holds a value.
pub(super) type Unsound = Cow<'static, str>;

/// How a change is written as a line and read back.
pub(super) trait Notation: Send {
    /// Its name in messages.
    fn name(&self) -> &'static str;

    /// What stands before the first change: whole lines.
    fn head(&self) -> &str;

    /// What stands after the last change: whole lines.
    fn tail(&self) -> &'static str;

    /// Appends the change in `row` to `line`, without what ends it. The line holds no line feed.
    fn write(&self, cells: &[Cells<'_>], row: usize, line: &mut Vec<u8>);

    /// Reads a line that [`Notation::write`] has written: every column is filled by one cell.
    fn read(&mut self, line: &str, columns: &mut [Filling]) -> Result<(), Unsound>;
}

const UNKNOWN_TO_TEXT: &str =
    "leave the column out, or write Parquet or Arrow: in text, lists and structs are at most 59 deep";

/// Begins a blob of changes that have `schema`, in the notation of its columns.
pub(super) fn encode<N: Notation + 'static>(
    schema: &SchemaRef,
    notation: impl FnOnce(&[Column]) -> N,
) -> Result<Box<dyn Encoder>> {
    let columns = columns::columns(schema)
        .map_err(|what| Error::data(format!("changes cannot be staged: {what}")).hint(UNKNOWN_TO_TEXT))?;
    let notation = notation(&columns);
    let mut writer = Writer::new().map_err(|error| cannot_write(&notation, "zstd fails").source(error))?;
    writer
        .write(notation.head().as_bytes())
        .map_err(|error| cannot_write(&notation, "zstd fails").source(error))?;
    Ok(Box::new(TextEncoder { schema: schema.clone(), columns, notation, writer, rows: 0, line: Vec::new() }))
}

struct TextEncoder<N> {
    schema: SchemaRef,
    columns: Vec<Column>,
    notation: N,
    writer: Writer,
    rows: u64,
    line: Vec<u8>,
}

impl<N: Notation> Encoder for TextEncoder<N> {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let Self { schema, columns, notation, writer, rows, line } = self;
        if batch.schema_ref() != schema {
            return Err(cannot_write(notation, "a batch has another schema than its blob"));
        }
        let cells = cells::cells(batch, columns);
        if !cells.iter().all(Cells::has_letters) {
            return Err(cannot_write(notation, "an operation has no letter"));
        }
        for row in 0..batch.num_rows() {
            line.clear();
            notation.write(&cells, row, line);
            line.push(b'\n');
            if !Writer::takes(line) {
                let message = format!("a change takes more than 1 GiB as {}", notation.name());
                return Err(Error::data(message).hint("stage it as `parquet`"));
            }
            writer.write(line).map_err(|error| cannot_write(notation, "zstd fails").source(error))?;
        }
        *rows += batch.num_rows() as u64;
        Ok(())
    }

    fn size(&self) -> usize {
        self.writer.size()
    }

    fn finish(self: Box<Self>) -> Result<Bytes> {
        let Self { columns, notation, mut writer, rows, .. } = *self;
        let tail = notation.tail().as_bytes();
        writer.write(tail).map_err(|error| cannot_write(&notation, "zstd fails").source(error))?;
        writer.finish(&Trailer::new(rows, columns)).map_err(|what| cannot_write(&notation, what))
    }
}

/// Reads a blob in the notation of its columns.
pub(super) fn decode<N: Notation + 'static>(
    name: &'static str,
    blob: Bytes,
    notation: impl FnOnce(&[Column]) -> N,
) -> Result<Batches> {
    let open = || {
        let (frame, Trailer { rows, columns, .. }) = Trailer::split(blob)?;
        let schema = columns::schema(&columns).ok_or("it has columns that cannot be")?;
        let fillings = columns.iter().map(Filling::new).collect::<Option<_>>();
        let fillings = fillings.ok_or("it has columns that cannot be")?;
        let lines = Lines::new(frame).map_err(|_| "it does not decompress")?;
        let mut reader =
            Reader { schema, notation: notation(&columns), lines, columns: fillings, rows, read: 0 };
        reader.head()?;
        Ok(reader)
    };
    let reader = open().map_err(|what: Unsound| cannot_read(name, what))?;
    Ok(Box::new(Reading(Some(reader))))
}

/// A blob in the middle of being read; nothing once it has ended or failed.
struct Reading<N>(Option<Reader<N>>);

struct Reader<N> {
    schema: SchemaRef,
    notation: N,
    lines: Lines,
    columns: Vec<Filling>,
    /// Changes in the blob, as it says.
    rows: u64,
    /// Changes read so far.
    read: u64,
}

impl<N: Notation> Iterator for Reading<N> {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let reader = self.0.as_mut()?;
        let name = reader.notation.name();
        match reader.batch() {
            Ok(Some(batch)) => return Some(Ok(batch)),
            Ok(None) => self.0 = None,
            Err(what) => {
                self.0 = None;
                return Some(Err(cannot_read(name, what)));
            }
        }
        None
    }
}

impl<N: Notation> Reader<N> {
    /// What stands before the changes is what their columns make it, to the letter.
    fn head(&mut self) -> Result<(), Unsound> {
        for expected in self.notation.head().split_inclusive('\n') {
            expect(&mut self.lines, expected)?;
        }
        Ok(())
    }

    /// The next changes, as many as a reader should have to take at once.
    fn batch(&mut self) -> Result<Option<RecordBatch>, Unsound> {
        let mut rows = 0;
        while self.read < self.rows && rows < BATCH_ROWS && (rows == 0 || self.size() < READ_BYTES) {
            let line = self.lines.next()?.ok_or("changes are missing at its end")?;
            let line = line.strip_suffix('\n').unwrap_or(line);
            self.read += 1;
            rows += 1;
            let in_line = |what: Unsound| format!("change {}: {what}", self.read);
            self.notation.read(line, &mut self.columns).map_err(in_line)?;
        }
        if rows == 0 {
            return self.end().map(|()| None);
        }
        let arrays = self.columns.iter_mut().map(Filling::finish).collect::<Result<Vec<_>, _>>()?;
        let batch = RecordBatch::try_new(self.schema.clone(), arrays);
        Ok(Some(batch.map_err(|_| "a column lacks what it cannot lack")?))
    }

    fn size(&self) -> usize {
        self.columns.iter().map(Filling::size).sum()
    }

    /// After the last change stands nothing else.
    fn end(&mut self) -> Result<(), Unsound> {
        for expected in self.notation.tail().split_inclusive('\n') {
            expect(&mut self.lines, expected)?;
        }
        match self.lines.next()? {
            None => Ok(()),
            Some(_) => Err("something stands behind its last change".into()),
        }
    }
}

fn expect(lines: &mut Lines, expected: &str) -> Result<(), Unsound> {
    match lines.next()? {
        Some(line) if line == expected => Ok(()),
        Some(line) if line.contains("<!DOCTYPE") => {
            Err("it has a document type, and no blob of Tidemark has".into())
        }
        _ => Err("what stands around its changes is not what their columns say".into()),
    }
}

fn cannot_write(notation: &impl Notation, what: impl fmt::Display) -> Error {
    Error::internal(format!("cannot encode changes as {}: {what}", notation.name()))
}

fn cannot_read(name: &str, what: impl fmt::Display) -> Error {
    Error::conflict(format!("cannot decode staged changes from {name}: {what}"))
}

#[cfg(test)]
mod tests;
