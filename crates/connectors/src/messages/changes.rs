//! The changes of a delivery, one at a time, as envelopes and names ask for them.

use tidemark_engine::{
    ChangeId, LogId, Result, Time,
    arrow_array::Array,
    change::{Cell, Column, Op, write_object},
    schema::{Field, StreamName},
    write::Delivery,
};

use super::name::Asked;

/// The changes of one delivery.
pub(super) struct Changes<'a> {
    log: &'a LogId,
    delivery: &'a Delivery,
    fields: &'a [Field],
    key: &'a [usize],
    columns: Vec<Column<'a>>,
    before: Option<Vec<Column<'a>>>,
}

/// One of them.
pub(super) struct Change<'a> {
    of: &'a Changes<'a>,
    op: Op,
    row: usize,
}

impl<'a> Changes<'a> {
    pub(super) fn new(log: &'a LogId, delivery: &'a Delivery) -> Self {
        let changes = &delivery.changes;
        let (fields, key) = (changes.schema().fields(), changes.schema().key());
        let columns = (0..fields.len()).map(|index| changes.column(index)).collect();
        let before = (0..fields.len()).map(|index| changes.column_before(index)).collect();
        Self { log, delivery, fields, key, columns, before }
    }

    pub(super) fn stream(&self) -> &StreamName {
        self.delivery.changes.schema().stream()
    }

    pub(super) fn fields(&self) -> &[Field] {
        self.fields
    }

    /// The numbers of the columns that make the key.
    pub(super) fn key(&self) -> &[usize] {
        self.key
    }

    pub(super) fn of(&self, row: usize) -> Result<Change<'_>> {
        Ok(Change { of: self, op: self.delivery.changes.op(row)?, row })
    }
}

impl Change<'_> {
    pub(super) fn op(&self) -> Op {
        self.op
    }

    pub(super) fn row(&self) -> usize {
        self.row
    }

    pub(super) fn stream(&self) -> &StreamName {
        self.of.stream()
    }

    pub(super) fn fields(&self) -> &[Field] {
        self.of.fields
    }

    /// The numbers of the columns that make the key.
    pub(super) fn key_columns(&self) -> &[usize] {
        self.of.key
    }

    /// What it carries.
    pub(super) fn columns(&self) -> &[Column<'_>] {
        &self.of.columns
    }

    /// Its identity, the same in every delivery.
    pub(super) fn id(&self) -> ChangeId<'_> {
        ChangeId { log: self.of.log, sequence: self.of.delivery.sequence, ordinal: self.ordinal() }
    }

    pub(super) fn ordinal(&self) -> u64 {
        self.of.delivery.changes.ordinals().map_or(0, |ordinals| ordinals.value(self.row))
    }

    /// When it counts as made: never before the change before it.
    pub(super) fn time(&self) -> Result<Time> {
        self.of.delivery.watermark(self.row)
    }

    /// When it was made, by the source's clock.
    pub(super) fn source_time(&self) -> Option<Time> {
        let times = self.of.delivery.changes.columns().source_times.as_ref()?;
        times.is_valid(self.row).then(|| Time::from_micros(times.value(self.row)))
    }

    /// Where it stands in the source, as hexadecimal digits that sort as it does.
    pub(super) fn source_position(&self) -> Option<String> {
        let positions = self.of.delivery.changes.columns().source_positions.as_ref()?;
        let digits = || positions.value(self.row).iter().map(|byte| format!("{byte:02x}")).collect();
        positions.is_valid(self.row).then(digits)
    }

    /// The transaction at the source.
    pub(super) fn transaction(&self) -> Option<&str> {
        let transactions = self.of.delivery.changes.columns().transactions.as_ref()?;
        transactions.is_valid(self.row).then(|| transactions.value(self.row))
    }

    /// What it carries, as a JSON object.
    pub(super) fn values(&self) -> String {
        self.object(&self.of.columns)
    }

    /// What is known of the record before, as a JSON object.
    pub(super) fn before(&self) -> Option<String> {
        self.columns_before().map(|before| self.object(before))
    }

    /// The record's key as a JSON object; `None` where the stream has none, or the change is of no record.
    pub(super) fn key(&self) -> Option<String> {
        let (fields, columns) = (self.of.fields, &self.of.columns);
        let has_key = !self.of.key.is_empty() && self.op != Op::Truncate;
        has_key.then(|| {
            let mut out = String::new();
            let key = self.of.key.iter().map(|index| (&fields[*index], &columns[*index]));
            write_object(key, self.row, &mut out);
            out
        })
    }

    /// The key that it takes from the record, as a JSON object, where it gives it another.
    pub(super) fn key_left(&self) -> Option<String> {
        let before = self.columns_before().filter(|_| self.is_move())?;
        let known = |index: &usize| match before[*index].cell(self.row) {
            Cell::Unchanged => &self.of.columns[*index],
            _ => &before[*index],
        };
        let mut out = String::new();
        let key = self.of.key.iter().map(|index| (&self.of.fields[*index], known(index)));
        write_object(key, self.row, &mut out);
        Some(out)
    }

    /// Whether it gives the record another key.
    pub(super) fn is_move(&self) -> bool {
        let Some(before) = self.columns_before().filter(|_| self.op == Op::Update) else { return false };
        self.of.key.iter().any(|index| {
            let (before, after) = (before[*index].cell(self.row), self.of.columns[*index].cell(self.row));
            before != Cell::Unchanged && after != Cell::Unchanged && before != after
        })
    }

    fn object(&self, columns: &[Column<'_>]) -> String {
        let mut out = String::new();
        write_object(self.of.fields.iter().zip(columns), self.row, &mut out);
        out
    }

    /// What is known of the record before.
    pub(super) fn columns_before(&self) -> Option<&[Column<'_>]> {
        let before = self.of.delivery.changes.columns().before.as_ref()?;
        self.of.before.as_deref().filter(|_| before.present.value(self.row))
    }

    fn text(&self, index: usize) -> Option<String> {
        let text = |columns: &[Column<'_>]| match columns[index].cell(self.row) {
            Cell::Value(value) => Some(value.to_string()),
            Cell::Exception(text) => Some(text.to_owned()),
            Cell::Null | Cell::Unchanged => None,
        };
        text(&self.of.columns).or_else(|| self.columns_before().and_then(text))
    }
}

impl Asked for Change<'_> {
    fn stream(&self) -> &str {
        Change::stream(self).as_str()
    }

    fn op(&self) -> &'static str {
        self.op.as_str()
    }

    fn key(&self) -> Option<Vec<String>> {
        let key = self.of.key;
        (!key.is_empty()).then(|| key.iter().map(|index| self.text(*index)).collect())?
    }

    fn value(&self, column: &str) -> Option<String> {
        self.text(self.of.fields.iter().position(|field| field.name == column)?)
    }
}

/// A JSON string literal.
pub(super) fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
