//! Many changes of one stream, column by column.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BinaryArray, StringArray, TimestampMicrosecondArray, UInt8Array, UInt64Array,
};
use arrow_buffer::BooleanBuffer;

use super::{Bitmap, Column, Exceptions, Op, decimals_fit, slice_bytes};
use crate::{Error, Result, schema::StreamSchema};

/// Changes of one stream in source order, all under one schema. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ChangeBatch {
    schema: Arc<StreamSchema>,
    columns: Columns,
    ordinals: Option<UInt64Array>,
}

/// The columns of a batch, one row a change. What no change of the batch has is left `None`.
#[derive(Debug, Clone)]
pub struct Columns {
    /// The letter of each change's [`Op`].
    pub ops: UInt8Array,
    /// Where in the source each change stands; compares as bytes.
    pub source_positions: Option<BinaryArray>,
    /// When the source made each change; microseconds, UTC.
    pub source_times: Option<TimestampMicrosecondArray>,
    /// The source's name for the transaction of each change.
    pub transactions: Option<StringArray>,
    /// Columns a change carries no value for: an update leaves them as they are, a created record is missing them, a
    /// delete does not know what they held.
    pub unchanged: Option<Bitmap>,
    /// Values that their column's type cannot hold.
    pub exceptions: Option<Exceptions>,
    /// One array for each field of the schema, of that field's Arrow type. After the change, or for a delete the
    /// record as it was. The key's columns are always carried, save in a truncate.
    pub values: Vec<ArrayRef>,
    /// What is known of each record before the change.
    pub before: Option<Before>,
}

/// Values before the change, where the source tells them. An update that moves the key always has the old key.
#[derive(Debug, Clone)]
pub struct Before {
    /// Which changes have values before.
    pub present: BooleanBuffer,
    /// Columns whose value before is not known.
    pub unknown: Option<Bitmap>,
    /// One array for each field of the schema.
    pub values: Vec<ArrayRef>,
}

impl Columns {
    /// Operations and values, and nothing else: every change carries every value.
    pub fn new(ops: UInt8Array, values: Vec<ArrayRef>) -> Self {
        Self {
            ops,
            source_positions: None,
            source_times: None,
            transactions: None,
            unchanged: None,
            exceptions: None,
            values,
            before: None,
        }
    }
}

/// What operation, ordinal, time and bitmaps of a change take, about.
const FIXED_BYTES: usize = 32;

impl ChangeBatch {
    /// A batch of `columns` under `schema`.
    ///
    /// Fails with [`crate::ErrorKind::Internal`] when lengths or Arrow types disagree with one another or the schema, or a decimal
    /// has more digits than its type: that is an exception.
    pub fn new(schema: Arc<StreamSchema>, columns: Columns) -> Result<Self> {
        let rows = columns.ops.len();
        let unsound = |what: &str| {
            Err(Error::internal(format!("a batch of stream `{}` is unsound: {what}", schema.stream())))
        };
        let optional_lengths = [
            columns.source_positions.as_ref().map(|array| array.len()),
            columns.source_times.as_ref().map(|array| array.len()),
            columns.transactions.as_ref().map(|array| array.len()),
            columns.unchanged.as_ref().map(|bitmap| bitmap.array().len()),
            columns.exceptions.as_ref().map(|exceptions| exceptions.array().len()),
            columns.before.as_ref().map(|before| before.present.len()),
            columns
                .before
                .as_ref()
                .and_then(|before| before.unknown.as_ref())
                .map(|bitmap| bitmap.array().len()),
        ];
        if optional_lengths.into_iter().flatten().any(|len| len != rows) {
            return unsound("its columns differ in length");
        }
        let before = columns.before.as_ref().map(|before| &before.values);
        for values in [Some(&columns.values), before].into_iter().flatten() {
            if values.len() != schema.fields().len() {
                return unsound("it has another number of columns than its schema");
            }
            for (array, field) in values.iter().zip(schema.fields()) {
                if array.len() != rows {
                    return unsound("its columns differ in length");
                }
                if array.data_type() != &field.kind.arrow() {
                    return unsound(&format!("column `{}` has another type than its schema", field.name));
                }
                if !decimals_fit(array) {
                    return unsound(&format!("column `{}` has a decimal that is too long", field.name));
                }
            }
        }
        Ok(Self { schema, columns, ordinals: None })
    }

    /// A batch whose changes all have the same `op` and carry every value.
    pub fn uniform(schema: Arc<StreamSchema>, op: Op, values: Vec<ArrayRef>) -> Result<Self> {
        let rows = values.first().map_or(0, |array| array.len());
        Self::new(schema, Columns::new(UInt8Array::from_value(op.letter(), rows), values))
    }

    /// The schema of every change in it.
    pub fn schema(&self) -> &Arc<StreamSchema> {
        &self.schema
    }

    /// Its columns.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// How many changes it holds.
    pub fn rows(&self) -> usize {
        self.columns.ops.len()
    }

    /// The operation of the change in `row`.
    pub fn op(&self, row: usize) -> Result<Op> {
        Op::from_letter(self.columns.ops.value(row))
    }

    /// The values of the field at `index`, ready to be read row by row.
    pub fn column(&self, index: usize) -> Column<'_> {
        let Columns { values, unchanged, exceptions, .. } = &self.columns;
        Column::new(
            &self.schema.fields()[index].kind,
            &values[index],
            index,
            unchanged.as_ref(),
            exceptions.as_ref(),
        )
    }

    /// The values of the field at `index` before the change; `None` when no change of the batch has any. Rows
    /// without values before, see [`Before::present`], read as unchanged.
    pub fn column_before(&self, index: usize) -> Option<Column<'_>> {
        let Before { present, unknown, values } = self.columns.before.as_ref()?;
        let fields = self.schema.fields();
        let exceptions = self.columns.exceptions.as_ref();
        let column = Column::new(&fields[index].kind, &values[index], index, unknown.as_ref(), exceptions);
        Some(column.before(present, fields.len()))
    }

    /// The greatest of the places in the source that its changes have.
    pub(crate) fn last_source_position(&self) -> Option<&[u8]> {
        self.columns.source_positions.as_ref()?.iter().flatten().max()
    }

    /// The place of each change among all changes of its commit, over all streams; `None` until the engine has
    /// numbered them.
    pub fn ordinals(&self) -> Option<&UInt64Array> {
        self.ordinals.as_ref()
    }

    /// The same batch with the given places. For sources that interleave streams inside one transaction: places then
    /// count from the start of the transaction, over all streams, without gaps. Others leave it to the engine, which
    /// numbers batches as they come.
    #[must_use]
    pub fn with_ordinals(mut self, ordinals: UInt64Array) -> Self {
        debug_assert_eq!(ordinals.len(), self.rows());
        self.ordinals = Some(ordinals);
        self
    }

    /// The same batch numbered consecutively from `first`.
    #[must_use]
    pub(crate) fn numbered_from(self, first: u64) -> Self {
        let end = first + self.rows() as u64;
        self.with_ordinals(UInt64Array::from_iter_values(first..end))
    }

    /// `len` changes from `offset`. Shares memory with this batch.
    ///
    /// # Panics
    /// When the batch has fewer.
    #[must_use]
    pub fn slice(&self, offset: usize, len: usize) -> Self {
        let slice = |arrays: &[ArrayRef]| arrays.iter().map(|array| array.slice(offset, len)).collect();
        let bitmap = |bitmap: &Bitmap| Bitmap::new(bitmap.array().slice(offset, len));
        let all = &self.columns;
        let columns = Columns {
            ops: all.ops.slice(offset, len),
            source_positions: all.source_positions.as_ref().map(|array| array.slice(offset, len)),
            source_times: all.source_times.as_ref().map(|array| array.slice(offset, len)),
            transactions: all.transactions.as_ref().map(|array| array.slice(offset, len)),
            unchanged: all.unchanged.as_ref().map(bitmap),
            exceptions: all
                .exceptions
                .as_ref()
                .map(|exceptions| Exceptions::new(exceptions.array().slice(offset, len))),
            values: slice(&all.values),
            before: all.before.as_ref().map(|before| Before {
                present: before.present.slice(offset, len),
                unknown: before.unknown.as_ref().map(bitmap),
                values: slice(&before.values),
            }),
        };
        let ordinals = self.ordinals.as_ref().map(|ordinals| ordinals.slice(offset, len));
        Self { schema: self.schema.clone(), columns, ordinals }
    }

    /// About how many bytes of memory it takes.
    pub fn byte_size(&self) -> usize {
        let size = slice_bytes;
        let Columns { source_positions, transactions, exceptions, values, before, .. } = &self.columns;
        let before = before.iter().flat_map(|before| &before.values);
        values.iter().chain(before).map(|array| size(array)).sum::<usize>()
            + source_positions.as_ref().map_or(0, |array| size(array))
            + transactions.as_ref().map_or(0, |array| size(array))
            + exceptions.as_ref().map_or(0, |exceptions| size(exceptions.array().as_ref()))
            + self.rows() * FIXED_BYTES
    }
}
