//! Changes of one table on their way from the replication stream into a batch.

use std::sync::Arc;

use tidemark_engine::{
    Error, Result, Time,
    arrow_array::{
        TimestampMicrosecondArray, UInt8Array, UInt64Array,
        builder::{BinaryBuilder, StringBuilder},
    },
    arrow_buffer::BooleanBufferBuilder,
    change::{Before, BitmapBuilder, ChangeBatch, Columns, ExceptionsBuilder, Op},
};

use super::relation::Relation;
use crate::postgres::{
    lsn::Lsn,
    source::replication::pgoutput::{OldTuple, Tuple, Value},
    types::ColumnBuilder,
};

/// The source transaction that changes belong to.
#[derive(Debug, Clone)]
pub(super) struct Transaction {
    /// Where its commit stands in the write-ahead log.
    pub(super) commit: Lsn,
    pub(super) time: Time,
    /// Its number, as text.
    pub(super) name: String,
    /// How many changes of it have come, over all tables that are read.
    pub(super) changes: u64,
    /// How many changes came before it since the last boundary.
    pub(super) first: u64,
}

/// Changes of one table under one definition, row by row.
pub(super) struct TableChanges {
    relation: Arc<Relation>,
    ops: Vec<u8>,
    ordinals: Vec<u64>,
    positions: BinaryBuilder,
    times: Vec<i64>,
    transactions: StringBuilder,
    unchanged: BitmapBuilder,
    exceptions: ExceptionsBuilder,
    values: Vec<ColumnBuilder>,
    /// Made when the first change comes that tells old values.
    before: Option<BeforeBuilder>,
    /// Whether the last change told an old key, and not every value.
    moved_in_part: bool,
}

struct BeforeBuilder {
    present: BooleanBufferBuilder,
    unknown: BitmapBuilder,
    values: Vec<ColumnBuilder>,
}

impl TableChanges {
    pub(super) fn new(relation: Arc<Relation>) -> Self {
        let columns = relation.types.len();
        Self {
            ops: Vec::new(),
            ordinals: Vec::new(),
            positions: BinaryBuilder::with_capacity(0, 0),
            times: Vec::new(),
            transactions: StringBuilder::with_capacity(0, 0),
            unchanged: BitmapBuilder::new(columns),
            exceptions: ExceptionsBuilder::new(),
            values: relation.types.iter().map(ColumnBuilder::new).collect(),
            before: None,
            moved_in_part: false,
            relation,
        }
    }

    /// Whether the last change, an update, may have moved its record to another key and does not carry every value.
    pub(super) fn last_moved_in_part(&self) -> bool {
        self.moved_in_part
    }

    /// A record was created.
    pub(super) fn insert(&mut self, new: Tuple<'_>) -> Result<Op> {
        self.relation.check_width(new)?;
        for (wire, field) in new.values().enumerate() {
            let Some(index) = self.field_at(wire) else { continue };
            if matches!(field, Value::Unchanged) {
                let stream = self.relation.schema.stream();
                let error =
                    format!("a record that comes to be in stream `{stream}` does not carry every value");
                return Err(Error::data(error).hint(
                    "a large value was left out of an update that brought the record under the table's condition: run \
                     `ALTER TABLE … REPLICA IDENTITY FULL`, drop the replication slot, and run `tidemark resync FILE`",
                ));
            }
            self.put(index, field)?;
        }
        self.end_without_before();
        Ok(Op::Create)
    }

    /// A record was updated. What is not told of it was not changed; the old record, where it is told in full, says what it was.
    pub(super) fn update(&mut self, old: Option<OldTuple<'_>>, new: Tuple<'_>) -> Result<Op> {
        self.relation.check_key()?;
        self.relation.check_width(new)?;
        if let Some(OldTuple::Full(old) | OldTuple::Key(old)) = old {
            self.relation.check_width(old)?;
        }
        let full: Vec<Value<'_>> = match old {
            Some(OldTuple::Full(old)) => old.values().collect(),
            _ => Vec::new(),
        };
        let mut in_part = false;
        for (wire, field) in new.values().enumerate() {
            let Some(index) = self.field_at(wire) else { continue };
            let field = match (field, full.get(wire)) {
                (Value::Unchanged, Some(old)) => *old,
                (field, _) => field,
            };
            in_part |= matches!(field, Value::Unchanged);
            self.put(index, field)?;
        }
        self.moved_in_part = in_part && old.is_some();
        match old {
            Some(OldTuple::Full(old) | OldTuple::Key(old)) => self.put_before(old)?,
            None => self.end_without_before(),
        }
        Ok(Op::Update)
    }

    /// A record was deleted: its values are those it had, as far as they are told.
    pub(super) fn delete(&mut self, old: OldTuple<'_>) -> Result<Op> {
        self.relation.check_key()?;
        let (OldTuple::Full(tuple) | OldTuple::Key(tuple)) = old;
        self.relation.check_width(tuple)?;
        for (wire, field) in tuple.values().enumerate() {
            let Some(index) = self.field_at(wire) else { continue };
            let told = self.relation.identity[index];
            self.put(index, if told { field } else { Value::Unchanged })?;
        }
        self.end_without_before();
        Ok(Op::Delete)
    }

    /// Every record was removed at once.
    pub(super) fn truncate(&mut self) -> Result<Op> {
        for index in 0..self.values.len() {
            self.put(index, Value::Unchanged)?;
        }
        self.end_without_before();
        Ok(Op::Truncate)
    }

    /// Ends the row of a change, the `ordinal`th since the last boundary.
    pub(super) fn end_row(&mut self, op: Op, transaction: &Transaction, ordinal: u64) {
        self.ops.push(op.letter());
        self.ordinals.push(ordinal);
        let mut position = [0; 16];
        position[..8].copy_from_slice(&transaction.commit.to_bytes());
        position[8..].copy_from_slice(&transaction.changes.to_be_bytes());
        self.positions.append_value(position);
        self.times.push(transaction.time.as_micros());
        self.transactions.append_value(&transaction.name);
        self.unchanged.end_row();
        self.exceptions.end_row();
    }

    /// The changes as a batch.
    pub(super) fn finish(self) -> Result<ChangeBatch> {
        let finish = |mut builders: Vec<ColumnBuilder>| {
            builders.iter_mut().map(ColumnBuilder::finish).collect::<Result<Vec<_>>>()
        };
        let before = match self.before {
            None => None,
            Some(BeforeBuilder { mut present, unknown, values }) => {
                Some(Before { present: present.finish(), unknown: unknown.finish(), values: finish(values)? })
            }
        };
        let (mut positions, mut transactions) = (self.positions, self.transactions);
        let columns = Columns {
            source_positions: Some(positions.finish()),
            source_times: Some(TimestampMicrosecondArray::from(self.times).with_timezone("UTC")),
            transactions: Some(transactions.finish()),
            unchanged: self.unchanged.finish(),
            exceptions: self.exceptions.finish(),
            before,
            ..Columns::new(UInt8Array::from(self.ops), finish(self.values)?)
        };
        let batch = ChangeBatch::new(self.relation.schema.clone(), columns)?;
        Ok(batch.with_ordinals(UInt64Array::from(self.ordinals)))
    }

    /// The field that the column at `wire` is; `None` where it is left out.
    fn field_at(&self, wire: usize) -> Option<usize> {
        self.relation.wire.get(wire).copied().flatten()
    }

    fn put(&mut self, index: usize, field: Value<'_>) -> Result<()> {
        if matches!(field, Value::Unchanged) {
            self.unchanged.set(index);
        }
        let exception =
            append(&mut self.values[index], field).map_err(|error| self.of_column(error, index))?;
        if let Some(text) = exception {
            self.exceptions.add(index, &text);
        }
        Ok(())
    }

    /// Old values of the current row.
    fn put_before(&mut self, old: Tuple<'_>) -> Result<()> {
        let (rows, columns) = (self.ops.len(), self.values.len());
        let relation = self.relation.clone();
        let before = self.before.get_or_insert_with(|| BeforeBuilder::after(rows, &relation));
        before.present.append(true);
        for (wire, field) in old.values().enumerate() {
            let Some(index) = relation.wire.get(wire).copied().flatten() else { continue };
            let field = if relation.identity[index] { field } else { Value::Unchanged };
            if matches!(field, Value::Unchanged) {
                before.unknown.set(index);
            }
            let exception = append(&mut before.values[index], field)
                .map_err(|error| of_column(&relation, error, index))?;
            if let Some(text) = exception {
                self.exceptions.add(columns + index, &text);
            }
        }
        before.unknown.end_row();
        Ok(())
    }

    fn end_without_before(&mut self) {
        if let Some(before) = &mut self.before {
            before.append_absent();
        }
    }

    fn of_column(&self, error: Error, index: usize) -> Error {
        of_column(&self.relation, error, index)
    }
}

impl BeforeBuilder {
    /// After `rows` rows without old values.
    fn after(rows: usize, relation: &Relation) -> Self {
        let mut before = Self {
            present: BooleanBufferBuilder::new(rows + 1),
            unknown: BitmapBuilder::new(relation.types.len()),
            values: relation.types.iter().map(ColumnBuilder::new).collect(),
        };
        (0..rows).for_each(|_| before.append_absent());
        before
    }

    fn append_absent(&mut self) {
        self.present.append(false);
        self.unknown.end_row();
        self.values.iter_mut().for_each(ColumnBuilder::append_null);
    }
}

/// Appends a field as it came; gives the text of a value that the column's array cannot hold.
fn append(builder: &mut ColumnBuilder, field: Value<'_>) -> Result<Option<String>> {
    match field {
        Value::Null | Value::Unchanged => {
            builder.append_null();
            Ok(None)
        }
        Value::Binary(bytes) => builder.append_binary(bytes),
        Value::Text(bytes) => {
            let text = std::str::from_utf8(bytes).map_err(|_| {
                Error::data("a value is not in UTF-8")
                    .hint("the server should have converted it: report this")
            })?;
            builder.append_text(text)
        }
    }
}

fn of_column(relation: &Relation, error: Error, index: usize) -> Error {
    let (column, stream) = (&relation.schema.fields()[index].name, relation.schema.stream());
    error.context(format_args!("column `{column}` of stream `{stream}`"))
}
