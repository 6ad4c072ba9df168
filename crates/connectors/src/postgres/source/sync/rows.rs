//! Rows of a table, from a COPY into batches.

use std::pin::Pin;

use futures::TryStreamExt;
use tidemark_engine::{
    Error, Result,
    arrow_array::{BinaryArray, UInt8Array},
    change::{ChangeBatch, Columns, ExceptionsBuilder, Op},
};
use tokio_postgres::{Client, CopyOutStream, error::SqlState};

use super::copy::{CopyReader, Fields};
use crate::postgres::{
    connection::failure, identifier::quoted, lsn::Lsn, source::table::Shape, types::ColumnBuilder,
};

/// Rows and bytes that are handed on together.
const BATCH_ROWS: usize = 8_192;
const BATCH_BYTES: usize = 1 << 20;

/// A COPY under way.
pub(in crate::postgres) struct Copying<'a> {
    pieces: Pin<Box<CopyOutStream>>,
    reader: CopyReader,
    rows: Rows<'a>,
    /// Asked once more, the stream would not say that it is at its end.
    ended: bool,
}

impl<'a> Copying<'a> {
    /// Begins to read the rows of a table of `shape` that `clauses` (WHERE, LIMIT) let through, as they are at `point`.
    pub(in crate::postgres) async fn begin(
        session: &Client,
        shape: &'a Shape,
        clauses: &str,
        point: Lsn,
    ) -> Result<Self> {
        let pieces =
            session.copy_out(&sql(shape, clauses)).await.map_err(|error| cannot_read(shape, error))?;
        Ok(Self {
            pieces: Box::pin(pieces),
            reader: CopyReader::default(),
            rows: Rows::new(shape, point),
            ended: false,
        })
    }

    /// The next rows; `None` after the last.
    pub(in crate::postgres) async fn next(&mut self) -> Result<Option<ChangeBatch>> {
        let Self { pieces, reader, rows, ended } = self;
        while !*ended && !rows.is_enough() {
            match pieces.try_next().await.map_err(|error| cannot_read(rows.shape, error))? {
                Some(piece) => reader.read(piece, |fields| rows.add(fields))?,
                None => {
                    reader.finish()?;
                    *ended = true;
                }
            }
        }
        if rows.count == 0 {
            return Ok(None);
        }
        rows.batch().map(Some)
    }
}

fn cannot_read(shape: &Shape, error: tokio_postgres::Error) -> Error {
    let changed = [SqlState::UNDEFINED_COLUMN, SqlState::UNDEFINED_TABLE];
    if error.code().is_some_and(|code| changed.contains(code)) {
        let id = &shape.table.id;
        return Error::unavailable(format!(
            "table `{id}` was altered while it was being read: it is looked at again"
        ));
    }
    failure(format!("cannot read table `{}`", shape.table.id), error)
}

fn sql(shape: &Shape, clauses: &str) -> String {
    let Shape { table, types, .. } = shape;
    let columns = table.columns.iter().zip(types);
    let columns = columns.map(|(column, column_type)| column_type.selected(&quoted(&column.name)));
    let columns: Vec<_> = columns.collect();
    let (only, id) = (table.only(), table.id.sql());
    format!("COPY (SELECT {} FROM {only}{id}{clauses}) TO STDOUT (FORMAT binary)", columns.join(", "))
}

/// Rows on their way into a batch.
pub(super) struct Rows<'a> {
    shape: &'a Shape,
    columns: Vec<ColumnBuilder>,
    exceptions: ExceptionsBuilder,
    count: usize,
    bytes: usize,
    point: Lsn,
}

impl<'a> Rows<'a> {
    pub(super) fn new(shape: &'a Shape, point: Lsn) -> Self {
        let columns = shape.types.iter().map(ColumnBuilder::new).collect();
        Self { shape, columns, exceptions: ExceptionsBuilder::new(), count: 0, bytes: 0, point }
    }

    pub(super) fn add(&mut self, fields: Fields<'_>) -> Result<()> {
        if usize::from(fields.left()) != self.columns.len() {
            let id = &self.shape.table.id;
            return Err(Error::data(format!(
                "a row of table `{id}` has another number of columns than the table"
            )));
        }
        for (index, field) in fields.enumerate() {
            let column = &mut self.columns[index];
            let Some(bytes) = field else {
                column.append_null();
                continue;
            };
            self.bytes += bytes.len();
            if let Some(text) =
                column.append_binary(bytes).map_err(|error| self.shape.of_column(error, index))?
            {
                self.exceptions.add(index, &text);
            }
        }
        self.exceptions.end_row();
        self.count += 1;
        Ok(())
    }

    fn is_enough(&self) -> bool {
        self.count >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// What has been added since the last batch.
    pub(super) fn batch(&mut self) -> Result<ChangeBatch> {
        let rows = std::mem::take(&mut self.count);
        self.bytes = 0;
        let values = self.columns.iter_mut().map(ColumnBuilder::finish).collect::<Result<_>>()?;
        let exceptions = std::mem::replace(&mut self.exceptions, ExceptionsBuilder::new());
        let positions = BinaryArray::from_iter_values(std::iter::repeat_n(self.point.to_bytes(), rows));
        let columns = Columns {
            source_positions: Some(positions),
            exceptions: exceptions.finish(),
            ..Columns::new(UInt8Array::from_value(Op::Read.letter(), rows), values)
        };
        ChangeBatch::new(self.shape.schema.clone(), columns)
    }
}
