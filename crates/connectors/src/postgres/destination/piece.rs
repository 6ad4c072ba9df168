//! Some changes of one commit as rows of their table, straight through COPY.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use tidemark_engine::{
    ChangeId, Error, LogId,
    arrow_array::{Array, UInt64Array},
    change::{Cell, ChangeBatch, Value},
    schema::{Field, Kind},
    write::{Watermarks, WriteMode},
};
use tokio::task::spawn_blocking;

use super::{
    copy::{Form, Rows, of_column},
    failure::{Failure, Result},
    table::{StoredField, Table, metadata_of},
    writer::{CopyIn, Writer},
};
use crate::{
    metadata,
    postgres::{
        identifier::quoted,
        types::{Plain, Target},
    },
};

/// How much is written down at a time: while the server takes it, the next is being written down. Little enough to stay in a
/// processor's cache on its way.
const CHUNK_BYTES: usize = 256 << 10;

/// Changes of one commit on their way into their table. Cheap to clone.
#[derive(Clone)]
pub(super) struct Piece {
    pub(super) table: Arc<Table>,
    pub(super) log: LogId,
    pub(super) sequence: u64,
    pub(super) watermarks: Watermarks,
    pub(super) changes: ChangeBatch,
    pub(super) mode: WriteMode,
}

impl Piece {
    /// Copies the rows into `into`, which has the columns of the table. Inside a transaction, and a savepoint of it.
    pub(super) async fn copy(pieces: &[Self], writer: &mut Writer, into: &str, form: Form) -> Result<()> {
        let Some(first) = pieces.first() else { return Ok(()) };
        let mut copy = writer.copy_in(&form.copy_sql(into, &first.column_list())).await?;
        let width = first.width();
        let mut chunk = Rows::begin(form, width).finish();
        for (piece, range) in pieces.iter().flat_map(|piece| piece.ranges().map(move |range| (piece, range)))
        {
            chunk = Self::overlap(&mut copy, chunk, piece.clone(), form, range).await?;
        }
        copy.send(chunk).await?;
        let mut end = Rows::go_on(form, width, 0);
        end.end();
        let end = end.finish();
        if !end.is_empty() {
            copy.send(end).await?;
        }
        copy.finish().await?;
        Ok(())
    }

    /// Sends `chunk` while `range` is being written down.
    async fn overlap(
        copy: &mut CopyIn,
        chunk: Bytes,
        piece: Self,
        form: Form,
        range: Range<usize>,
    ) -> Result<Bytes> {
        let next = spawn_blocking(move || piece.write(form, range));
        let send = async { if chunk.is_empty() { Ok(()) } else { copy.send(chunk).await } };
        let (sent, next) = tokio::join!(send, next);
        sent?;
        next?
    }

    /// The identity of the change in `row`.
    pub(super) fn position(&self, row: usize) -> Result<String> {
        let unnumbered =
            || Failure::Known(Error::internal("a batch reached a destination before it was numbered"));
        let ordinal = self.changes.ordinals().ok_or_else(unnumbered)?.value(row);
        Ok(ChangeId { log: &self.log, sequence: self.sequence, ordinal }.to_string())
    }

    /// The metadata columns that a row is given: a version that is read is valid from some moment on.
    fn metadata(&self) -> impl Iterator<Item = &'static str> {
        let names = metadata_of(self.mode).iter().map(|(name, _)| *name);
        names.filter(|name| *name != metadata::VALID_TO)
    }

    /// The names of the columns as SQL.
    pub(super) fn column_list(&self) -> String {
        let metadata = self.metadata().map(quoted);
        let fields = self.table.fields.iter().map(|field| field.name.clone());
        metadata.chain(fields).collect::<Vec<_>>().join(", ")
    }

    /// The best form for these columns.
    pub(super) fn form(&self) -> Form {
        Form::of(self.table.fields.iter().map(|field| &field.target))
    }

    fn width(&self) -> usize {
        self.metadata().count() + self.table.fields.len()
    }

    fn ranges(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let rows = self.changes.rows();
        let step = (CHUNK_BYTES * rows.max(1) / self.changes.byte_size().max(1)).clamp(1, 16_384);
        (0..rows).step_by(step).map(move |start| start..rows.min(start + step))
    }

    /// About what these rows take, as they are written down: beside its value, a field has a length.
    fn bytes_of(&self, range: &Range<usize>) -> usize {
        let changes = &self.changes;
        let values = changes.byte_size() / changes.rows().max(1) + 4 * self.width();
        range.len() * values
    }

    fn write(&self, form: Form, range: Range<usize>) -> Result<Bytes> {
        let (table, changes) = (&self.table, &self.changes);
        let has_metadata = self.metadata().next().is_some();
        let metadata = has_metadata.then(|| Metadata::new(self)).transpose()?;
        let plain = |(index, field): (usize, &StoredField)| {
            let values = &changes.columns().values[index];
            (form == Form::Binary).then(|| Plain::of(&field.target, values)).flatten()
        };
        let columns = table.fields.iter().enumerate().map(|it| (it.1, plain(it), changes.column(it.0)));
        let columns = columns.collect::<Vec<_>>();
        let mut rows = Rows::go_on(form, self.width(), self.bytes_of(&range));
        for row in range {
            rows.begin_row();
            if let Some(metadata) = &metadata {
                metadata.add(&mut rows, row)?;
            }
            for (field, plain, column) in &columns {
                let added = match plain {
                    Some(plain) => rows.add_plain(plain, row),
                    None => Ok(false),
                };
                let added = added.and_then(|is_added| match is_added {
                    true => Ok(()),
                    false => rows.add(&field.target, &column.cell(row)),
                });
                added.map_err(|failure| of_column(failure, &field.plain, &table.stream))?;
            }
            rows.end_row();
        }
        Ok(rows.finish())
    }
}

/// What `append` and `history` say of each change.
struct Metadata<'a> {
    piece: &'a Piece,
    ordinals: &'a UInt64Array,
    text: Target,
    time: Target,
}

impl<'a> Metadata<'a> {
    fn new(piece: &'a Piece) -> Result<Self> {
        let unnumbered =
            || Failure::Known(Error::internal("a batch reached a destination before it was numbered"));
        let ordinals = piece.changes.ordinals().ok_or_else(unnumbered)?;
        let of = |kind| Target::of(&Field::new("metadata", kind), &|_| false);
        Ok(Self { piece, ordinals, text: of(Kind::Text), time: of(Kind::TimestampTz) })
    }

    fn add(&self, rows: &mut Rows, row: usize) -> Result<()> {
        let Piece { changes, mode, watermarks, .. } = self.piece;
        rows.add(&self.text, &Cell::Value(Value::Text(&self.piece.position(row)?)))?;
        if *mode == WriteMode::History {
            let since = watermarks.at(self.ordinals.value(row))?.as_micros();
            return rows.add(&self.time, &Cell::Value(Value::TimestampTz(since)));
        }
        let times = changes.columns().source_times.as_ref().filter(|times| times.is_valid(row));
        let time = times.map_or(Cell::Null, |times| Cell::Value(Value::TimestampTz(times.value(row))));
        let unchanged = metadata::unchanged_names(changes, row);
        let unchanged = unchanged.as_deref().map_or(Cell::Null, |names| Cell::Value(Value::Text(names)));
        rows.add(&self.text, &Cell::Value(Value::Text(changes.op(row)?.as_str())))?;
        rows.add(&self.time, &time)?;
        rows.add(&self.text, &unchanged)
    }
}
