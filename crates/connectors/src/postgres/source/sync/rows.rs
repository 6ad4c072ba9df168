//! Rows of a table, from a COPY into batches.

use std::{pin::Pin, sync::Arc};

use futures::TryStreamExt;
use tidemark_engine::{
    Error, Result,
    arrow_array::{BinaryArray, UInt8Array},
    change::{ChangeBatch, Columns, ExceptionsBuilder, Op},
    schema::StreamSchema,
};
use tokio_postgres::{Client, CopyOutStream, error::SqlState};

use super::copy::{CopyReader, Fields};
use crate::postgres::{
    connection::failure,
    identifier::quoted,
    lsn::Lsn,
    source::table::Shape,
    types::{ColumnBuilder, ColumnType},
};

/// Rows and bytes that are handed on together.
const BATCH_ROWS: usize = 8_192;
const BATCH_BYTES: usize = 1 << 20;

/// A COPY under way.
pub(in crate::postgres) struct Copying {
    pieces: Pin<Box<CopyOutStream>>,
    reader: CopyReader,
    rows: Rows,
    /// Asked once more, the stream would not say that it is at its end.
    ended: bool,
}

impl Copying {
    /// Begins to read the rows of a table of `shape` that `clauses` (WHERE, LIMIT) let through, as they are at `point`.
    pub(in crate::postgres) async fn begin(
        session: &Client,
        shape: &Shape,
        clauses: &str,
        point: Lsn,
    ) -> Result<Self> {
        Self::of(session, &sql(shape, clauses), Rows::of_table(shape, point)).await
    }

    /// Begins to read what `sql`, a COPY in binary, sends, into `rows`.
    pub(in crate::postgres) async fn of(session: &Client, sql: &str, rows: Rows) -> Result<Self> {
        let pieces = session.copy_out(sql).await.map_err(|error| rows.cannot_read(error))?;
        Ok(Self { pieces: Box::pin(pieces), reader: CopyReader::default(), rows, ended: false })
    }

    /// The next rows; `None` after the last.
    pub(in crate::postgres) async fn next(&mut self) -> Result<Option<ChangeBatch>> {
        let Self { pieces, reader, rows, ended } = self;
        while !*ended && !rows.is_enough() {
            match pieces.try_next().await.map_err(|error| rows.cannot_read(error))? {
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

    /// A batch without a row.
    pub(in crate::postgres) fn none(&mut self) -> Result<ChangeBatch> {
        self.rows.batch()
    }
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
pub(in crate::postgres) struct Rows {
    /// What they are of, for messages: "table `public.orders`".
    of: String,
    schema: Arc<StreamSchema>,
    columns: Vec<ColumnBuilder>,
    exceptions: ExceptionsBuilder,
    count: usize,
    bytes: usize,
    /// Where in the log they are as they are, where that counts.
    point: Option<Lsn>,
}

impl Rows {
    /// Rows of a table of `shape`, as they are at `point`.
    pub(super) fn of_table(shape: &Shape, point: Lsn) -> Self {
        let rows = Self::new(format!("table `{}`", shape.table.id), &shape.schema, &shape.types);
        Self { point: Some(point), ..rows }
    }

    /// Rows under `schema`, whose columns have these types.
    pub(in crate::postgres) fn new(of: String, schema: &Arc<StreamSchema>, types: &[ColumnType]) -> Self {
        let columns = types.iter().map(ColumnBuilder::new).collect();
        let exceptions = ExceptionsBuilder::new();
        Self { of, schema: schema.clone(), columns, exceptions, count: 0, bytes: 0, point: None }
    }

    pub(super) fn add(&mut self, fields: Fields<'_>) -> Result<()> {
        if usize::from(fields.left()) != self.columns.len() {
            let of = &self.of;
            return Err(Error::data(format!("a row of {of} has another number of columns than it should")));
        }
        for (index, field) in fields.enumerate() {
            let column = &mut self.columns[index];
            let Some(bytes) = field else {
                column.append_null();
                continue;
            };
            self.bytes += bytes.len();
            let added = column.append_binary(bytes).map_err(|error| {
                let name = &self.schema.fields()[index].name;
                error.context(format_args!("column `{name}` of {}", self.of))
            });
            if let Some(text) = added? {
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
    pub(in crate::postgres) fn batch(&mut self) -> Result<ChangeBatch> {
        let rows = std::mem::take(&mut self.count);
        self.bytes = 0;
        let values = self.columns.iter_mut().map(ColumnBuilder::finish).collect::<Result<_>>()?;
        let exceptions = std::mem::replace(&mut self.exceptions, ExceptionsBuilder::new());
        let positions =
            |point: Lsn| BinaryArray::from_iter_values(std::iter::repeat_n(point.to_bytes(), rows));
        let columns = Columns {
            source_positions: self.point.map(positions),
            exceptions: exceptions.finish(),
            ..Columns::new(UInt8Array::from_value(Op::Read.letter(), rows), values)
        };
        ChangeBatch::new(self.schema.clone(), columns)
    }

    fn cannot_read(&self, error: tokio_postgres::Error) -> Error {
        if error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION) {
            return Error::config(format!("{} does not only read", self.of))
                .hint("leave out what changes the database, such as `nextval`")
                .source(error);
        }
        let changed = [SqlState::UNDEFINED_COLUMN, SqlState::UNDEFINED_TABLE];
        if error.code().is_some_and(|code| changed.contains(code)) {
            return Error::unavailable(format!(
                "{} was altered while it was being read: it is looked at again",
                self.of
            ));
        }
        failure(format!("cannot read {}", self.of), error)
    }
}
