//! One chunk of a table, from the server into the log.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use futures::TryStreamExt;
use tidemark_engine::{
    Error, Result,
    arrow_array::{BinaryArray, UInt8Array},
    change::{ChangeBatch, Columns, ExceptionsBuilder, Op, Value},
    log::{KeyRange, SyncStep},
    read::{Lane, Outlet, Phase, Ticket},
    schema::{Kind, ordered},
};

use super::{
    TableSync,
    copy::{CopyReader, Fields},
};
use crate::postgres::{
    connection::{Session, failure},
    identifier::{literal, quoted},
    lsn::Lsn,
    source::cursor::SyncCursor,
    types::ColumnBuilder,
};

/// Rows and bytes that are handed on together.
const BATCH_ROWS: usize = 16_384;
const BATCH_BYTES: usize = 2 << 20;

/// A range of a table's keys, or the whole table.
#[derive(Clone)]
pub(super) struct Chunk {
    pub(super) sync: Arc<TableSync>,
    pub(super) number: usize,
    /// Of the table's chunks.
    pub(super) progress: Arc<Progress>,
}

/// How many chunks of a table are not durable yet.
pub(super) struct Progress(AtomicUsize);

impl Progress {
    pub(super) fn new(left: usize) -> Self {
        Self(AtomicUsize::new(left))
    }

    /// Counts a chunk as durable; whether it was the last.
    pub(super) fn is_last(&self) -> bool {
        self.0.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

impl Chunk {
    /// Reads the chunk in `snapshot` and puts a boundary behind it. The snapshot's transaction ends with the chunk, so that no
    /// lock on the table outlives it.
    pub(super) async fn read(
        &self,
        session: &Session,
        snapshot: &str,
        point: Lsn,
        out: &Outlet,
    ) -> Result<Ticket> {
        let table = self.sync.table.id.to_string();
        let cannot = format!("cannot read table `{table}`");
        let explain = |error| failure(&cannot, error);
        let begin = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {}",
            literal(snapshot)
        );
        session.batch_execute(&begin).await.map_err(explain)?;
        let mut lane = out.lane(SyncCursor::chunk_part(&table, self.number), Phase::InitialSync);
        let pieces = session.copy_out(&self.copy_sql()).await.map_err(explain)?;
        let mut pieces = std::pin::pin!(pieces);
        let mut reader = CopyReader::default();
        let mut rows = Rows::new(&self.sync, point);
        while let Some(piece) = pieces.try_next().await.map_err(explain)? {
            reader.read(piece, |fields| rows.add(fields))?;
            if rows.is_enough() {
                rows.hand_on(&mut lane).await?;
            }
        }
        reader.finish()?;
        rows.hand_on(&mut lane).await?;
        session.batch_execute("COMMIT").await.map_err(explain)?;
        lane.note(SyncStep::Chunk {
            stream: self.sync.table.stream(),
            generation: self.sync.plan.generation,
            range: self.range()?,
            point: point.to_bytes().to_vec(),
        });
        lane.boundary(Bytes::copy_from_slice(&point.to_bytes()), None).await
    }

    fn copy_sql(&self) -> String {
        let TableSync { table, types, .. } = self.sync.as_ref();
        let columns = table.columns.iter().zip(types).map(|(column, column_type)| column_type.selected(&quoted(&column.name)));
        let columns: Vec<_> = columns.collect();
        let mut conditions = Vec::new();
        if let Some(column) = &self.sync.plan.column {
            let (from, until) = self.bounds();
            conditions.extend(from.map(|from| format!("{} >= {}", quoted(column), literal(from))));
            conditions.extend(until.map(|until| format!("{} < {}", quoted(column), literal(until))));
        }
        conditions.extend(table.condition.iter().map(|condition| format!("({condition})")));
        let conditions = match conditions.is_empty() {
            true => String::new(),
            false => format!(" WHERE {}", conditions.join(" AND ")),
        };
        format!(
            "COPY (SELECT {} FROM {}{}{conditions}) TO STDOUT (FORMAT binary)",
            columns.join(", "),
            table.only(),
            table.id.sql()
        )
    }

    /// Where the chunk begins and where the next does, as texts.
    fn bounds(&self) -> (Option<&str>, Option<&str>) {
        let bounds = &self.sync.plan.bounds;
        let from = self.number.checked_sub(1).and_then(|before| bounds.get(before));
        (from.map(String::as_str), bounds.get(self.number).map(String::as_str))
    }

    /// The keys it covers.
    fn range(&self) -> Result<KeyRange> {
        let (from, until) = self.bounds();
        let ordered = |text: Option<&str>| text.map(|text| self.ordered(text)).transpose();
        Ok(KeyRange { from: ordered(from)?, until: ordered(until)? })
    }

    /// A bound as bytes that compare as keys do.
    fn ordered(&self, text: &str) -> Result<Vec<u8>> {
        let TableSync { schema, plan, .. } = self.sync.as_ref();
        let field = schema.fields().iter().find(|field| Some(&field.name) == plan.column.as_ref());
        let bytes = field.and_then(|field| bound(&field.kind, text));
        bytes.ok_or_else(|| Error::internal(format!("a chunk of stream `{}` has an unsound bound", schema.stream())))
    }
}

/// The value that `text` prints, as bytes that compare as values do.
fn bound(kind: &Kind, text: &str) -> Option<Vec<u8>> {
    let bytes_of = |digits: &str| -> Option<Vec<u8>> {
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let byte = |pair: &[u8]| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?);
        digits.as_bytes().chunks(2).map(byte).collect()
    };
    match kind {
        Kind::Int16 | Kind::Int32 | Kind::Int64 => ordered(&Value::Int(text.parse().ok()?)),
        Kind::UInt32 => ordered(&Value::UInt(text.parse().ok()?)),
        Kind::Uuid => ordered(&Value::Uuid(&bytes_of(&text.replace('-', ""))?)),
        Kind::Bytes => ordered(&Value::Bytes(&bytes_of(text.strip_prefix("\\x")?)?)),
        Kind::Text => ordered(&Value::Text(text)),
        _ => None,
    }
}

/// Rows on their way into a batch.
struct Rows<'a> {
    sync: &'a TableSync,
    columns: Vec<ColumnBuilder>,
    exceptions: ExceptionsBuilder,
    rows: usize,
    bytes: usize,
    point: Lsn,
}

impl<'a> Rows<'a> {
    fn new(sync: &'a TableSync, point: Lsn) -> Self {
        let columns = columns(sync);
        Self { sync, columns, exceptions: ExceptionsBuilder::new(), rows: 0, bytes: 0, point }
    }

    fn add(&mut self, fields: Fields<'_>) -> Result<()> {
        if usize::from(fields.left()) != self.columns.len() {
            return Err(Error::data(format!(
                "a row of table `{}` has another number of columns than the table",
                self.sync.table.id
            )));
        }
        for (index, field) in fields.enumerate() {
            let column = &mut self.columns[index];
            let Some(bytes) = field else {
                column.append_null();
                continue;
            };
            self.bytes += bytes.len();
            if let Some(text) = column.append_binary(bytes).map_err(|error| self.sync.of_column(error, index))? {
                self.exceptions.add(index, &text);
            }
        }
        self.exceptions.end_row();
        self.rows += 1;
        Ok(())
    }

    fn is_enough(&self) -> bool {
        self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// Hands what has been added to `lane`.
    async fn hand_on(&mut self, lane: &mut Lane) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        if rows == 0 {
            return Ok(());
        }
        let values = self.columns.iter_mut().map(ColumnBuilder::finish).collect::<Result<_>>()?;
        let exceptions = std::mem::replace(&mut self.exceptions, ExceptionsBuilder::new());
        let positions = BinaryArray::from_iter_values(std::iter::repeat_n(self.point.to_bytes(), rows));
        let columns = Columns {
            source_positions: Some(positions),
            exceptions: exceptions.finish(),
            ..Columns::new(UInt8Array::from_value(Op::Read.letter(), rows), values)
        };
        lane.batch(ChangeBatch::new(self.sync.schema.clone(), columns)?).await
    }
}

fn columns(sync: &TableSync) -> Vec<ColumnBuilder> {
    sync.types.iter().map(ColumnBuilder::new).collect()
}
