//! A batch as one Arrow record batch and back: the form in which every codec stores it and other tools read it.
//!
//! | Column | Arrow type | NULL means |
//! |---|---|---|
//! | `_tidemark_op` | uint8, the operation's letter | never |
//! | `_tidemark_ordinal` | uint64, the place in the commit (in a segment: from the segment's base) | never |
//! | `_tidemark_source_position` | binary | the source gives none |
//! | `_tidemark_source_time` | timestamp(us, UTC) | the source gives none |
//! | `_tidemark_transaction` | utf8 | the source gives none |
//! | `_tidemark_unchanged` | binary, a bitmap over the fields | every field is carried |
//! | `_tidemark_exceptions` | list of (column, text) | no exceptional value |
//! | `_tidemark_before` | struct of the fields | nothing known before |
//! | `_tidemark_before_unknown` | binary, a bitmap over the fields | all of `before` is known |
//! | the fields | by [`Kind::arrow`](crate::schema::Kind::arrow) | NULL, unless a bitmap or exception says otherwise |
//!
//! All but the first two are left out where no change of the batch has any.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BinaryArray, ListArray, RecordBatch, StringArray, StructArray,
    TimestampMicrosecondArray, UInt8Array, UInt64Array,
};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_schema::{Field, Fields, Schema};

use self::reserved::{
    BEFORE, BEFORE_UNKNOWN, EXCEPTIONS, OP, ORDINAL, SOURCE_POSITION, SOURCE_TIME, TRANSACTION, UNCHANGED,
};
use super::{Before, Bitmap, ChangeBatch, Columns, Exceptions};
use crate::{Error, Result, schema::StreamSchema};

/// Names of the columns of our own.
pub(crate) mod reserved {
    pub(crate) const OP: &str = "_tidemark_op";
    pub(crate) const ORDINAL: &str = "_tidemark_ordinal";
    pub(crate) const SOURCE_POSITION: &str = "_tidemark_source_position";
    pub(crate) const SOURCE_TIME: &str = "_tidemark_source_time";
    pub(crate) const TRANSACTION: &str = "_tidemark_transaction";
    pub(crate) const UNCHANGED: &str = "_tidemark_unchanged";
    pub(crate) const EXCEPTIONS: &str = "_tidemark_exceptions";
    pub(crate) const BEFORE: &str = "_tidemark_before";
    pub(crate) const BEFORE_UNKNOWN: &str = "_tidemark_before_unknown";
}

impl ChangeBatch {
    /// The batch as one Arrow record batch.
    ///
    /// Fails with [`crate::ErrorKind::Internal`] when the batch has not been numbered.
    pub fn to_record_batch(&self) -> Result<RecordBatch> {
        let unsound = |error| Error::internal("a batch has no record batch").source(error);
        let ordinals =
            self.ordinals().ok_or_else(|| Error::internal("a batch was stored before it was numbered"))?;
        let Columns {
            ops,
            source_positions,
            source_times,
            transactions,
            unchanged,
            exceptions,
            values,
            before,
        } = self.columns();
        let mut fields = Vec::new();
        let mut arrays: Vec<ArrayRef> = Vec::new();
        let mut add = |name: &str, nullable, array: ArrayRef| {
            fields.push(Arc::new(Field::new(name, array.data_type().clone(), nullable)));
            arrays.push(array);
        };
        add(OP, false, Arc::new(ops.clone()));
        add(ORDINAL, false, Arc::new(ordinals.clone()));
        if let Some(positions) = source_positions {
            add(SOURCE_POSITION, true, Arc::new(positions.clone()));
        }
        if let Some(times) = source_times {
            add(SOURCE_TIME, true, Arc::new(times.clone().with_timezone("UTC")));
        }
        if let Some(transactions) = transactions {
            add(TRANSACTION, true, Arc::new(transactions.clone()));
        }
        if let Some(unchanged) = unchanged {
            add(UNCHANGED, true, unchanged.array().clone());
        }
        if let Some(exceptions) = exceptions {
            add(EXCEPTIONS, true, exceptions.array().clone());
        }
        if let Some(Before { present, unknown, values }) = before {
            let present = NullBuffer::new(present.clone());
            let columns = StructArray::try_new(value_fields(self.schema()), values.clone(), Some(present));
            add(BEFORE, true, Arc::new(columns.map_err(unsound)?));
            if let Some(unknown) = unknown {
                add(BEFORE_UNKNOWN, true, unknown.array().clone());
            }
        }
        for (field, array) in self.schema().fields().iter().zip(values) {
            add(&field.name, true, array.clone());
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(unsound)
    }

    /// Reads a batch back. `schema` is the one it was written under.
    ///
    /// Fails with [`crate::ErrorKind::Conflict`] when the record batch is not what [`ChangeBatch::to_record_batch`] makes
    /// under `schema`: what is stored has been changed.
    pub fn from_record_batch(schema: Arc<StreamSchema>, batch: &RecordBatch) -> Result<Self> {
        let fail = |what: &str| {
            Error::conflict(format!(
                "staged data of stream `{}` does not match its schema: {what}",
                schema.stream()
            ))
            .hint("the staging store was changed by somebody else: restore it from a backup")
        };
        let optional = |name: &str| batch.column_by_name(name);
        let required =
            |name: &str| optional(name).ok_or_else(|| fail(&format!("column `{name}` is missing")));
        let wrong_type = |name: &str| fail(&format!("column `{name}` has another type"));

        let columns = Columns {
            ops: cast::<UInt8Array>(required(OP)?).ok_or_else(|| wrong_type(OP))?,
            source_positions: find::<BinaryArray>(batch, SOURCE_POSITION).map_err(wrong_type)?,
            source_times: find::<TimestampMicrosecondArray>(batch, SOURCE_TIME)
                .map_err(wrong_type)?
                .map(|times| times.with_timezone_opt(None::<Arc<str>>)),
            transactions: find::<StringArray>(batch, TRANSACTION).map_err(wrong_type)?,
            unchanged: find::<BinaryArray>(batch, UNCHANGED).map_err(wrong_type)?.map(Bitmap::new),
            exceptions: exceptions(batch).map_err(wrong_type)?,
            values: schema
                .fields()
                .iter()
                .map(|field| required(&field.name).cloned())
                .collect::<Result<Vec<_>>>()?,
            before: match find::<StructArray>(batch, BEFORE).map_err(wrong_type)? {
                None => None,
                Some(before) => Some(Before {
                    present: match before.nulls() {
                        Some(nulls) => nulls.inner().clone(),
                        None => BooleanBuffer::new_set(before.len()),
                    },
                    unknown: find::<BinaryArray>(batch, BEFORE_UNKNOWN).map_err(wrong_type)?.map(Bitmap::new),
                    values: before.columns().to_vec(),
                }),
            },
        };
        let ordinals = cast::<UInt64Array>(required(ORDINAL)?).ok_or_else(|| wrong_type(ORDINAL))?;
        let changes = Self::new(schema.clone(), columns).map_err(|error| fail(error.message()))?;
        Ok(changes.with_ordinals(ordinals))
    }
}

fn value_fields(schema: &StreamSchema) -> Fields {
    schema.fields().iter().map(|field| Field::new(&field.name, field.kind.arrow(), true)).collect()
}

fn cast<T: Clone + 'static>(array: &ArrayRef) -> Option<T> {
    array.as_any().downcast_ref::<T>().cloned()
}

/// The column `name` where there is one; its name when it has another type.
fn find<'n, T: Clone + 'static>(batch: &RecordBatch, name: &'n str) -> Result<Option<T>, &'n str> {
    batch.column_by_name(name).map(|array| cast(array).ok_or(name)).transpose()
}

fn exceptions(batch: &RecordBatch) -> Result<Option<Exceptions>, &'static str> {
    let Some(list) = find::<ListArray>(batch, EXCEPTIONS)? else { return Ok(None) };
    if list.data_type() != &Exceptions::arrow() {
        return Err(EXCEPTIONS);
    }
    Ok(Some(Exceptions::new(list)))
}
