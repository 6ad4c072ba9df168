//! A staged change as a line, for people or for programs.

use tidemark_engine::{
    ChangeId, Error, LogId, Result, Time,
    arrow_array::Array,
    change::{ChangeBatch, Column, write_object},
    schema::Field,
    write::Delivery,
};

/// Who reads the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Text,
    Json,
}

/// Writes the changes of one delivery.
pub(crate) struct ChangeLine<'a> {
    log: &'a LogId,
    recorded: Time,
    delivery: &'a Delivery,
    style: Style,
    fields: &'a [Field],
    columns: Vec<Column<'a>>,
    before: Option<Vec<Column<'a>>>,
}

impl<'a> ChangeLine<'a> {
    /// For changes of `log` that were recorded at `recorded`.
    pub(crate) fn new(log: &'a LogId, recorded: Time, delivery: &'a Delivery, style: Style) -> Self {
        let changes = &delivery.changes;
        let fields = changes.schema().fields();
        let before = (0..fields.len()).map(|index| changes.column_before(index)).collect();
        Self { log, recorded, delivery, style, fields, columns: columns(changes), before }
    }

    /// The line of the change in `row`.
    pub(crate) fn of(&self, row: usize) -> Result<String> {
        let Delivery { sequence, changes, .. } = self.delivery;
        let (op, stream) = (changes.op(row)?.as_str(), changes.schema().stream());
        let ordinal = changes.ordinals().map_or(0, |ordinals| ordinals.value(row));
        let values = object(self.fields, &self.columns, row);
        if self.style == Style::Text {
            return Ok(format!("{sequence}-{ordinal} {op} {stream} {values}"));
        }
        // By hand, because the values are JSON already, to the letter.
        let position = ChangeId { log: self.log, sequence: *sequence, ordinal };
        let (stream, recorded) = (string(stream.as_str()), self.recorded);
        let source_time = self.source_time(row).map_or("null".to_owned(), |time| format!("\"{time}\""));
        let source_position = self.source_position(row).map_or("null".to_owned(), |hex| format!("\"{hex}\""));
        let transaction = self.transaction(row).map_or("null".to_owned(), string);
        let before = self.before.as_ref().filter(|_| self.has_before(row));
        let before = before.map(|before| format!(",\"before\":{}", object(self.fields, before, row)));
        Ok(format!(
            "{{\"position\":\"{position}\",\"op\":\"{op}\",\"stream\":{stream},\"recorded\":\"{recorded}\",\
             \"source_time\":{source_time},\"source_position\":{source_position},\"transaction\":{transaction},\"values\":{values}{}}}",
            before.unwrap_or_default()
        ))
    }

    /// The line of its only change, which a destination is not given because of `error`.
    pub(crate) fn of_refused(&self, error: &Error) -> Result<String> {
        let Delivery { sequence, changes, .. } = self.delivery;
        let (op, stream) = (changes.op(0)?.as_str(), changes.schema().stream());
        let ordinal = changes.ordinals().map_or(0, |ordinals| ordinals.value(0));
        if self.style == Style::Text {
            return Ok(format!("{sequence}-{ordinal} {op} {stream} refused: {error}"));
        }
        let position = ChangeId { log: self.log, sequence: *sequence, ordinal };
        let (stream, error) = (string(stream.as_str()), string(&error.to_string()));
        Ok(format!("{{\"position\":\"{position}\",\"op\":\"{op}\",\"stream\":{stream},\"refused\":{error}}}"))
    }

    fn source_time(&self, row: usize) -> Option<Time> {
        let times = self.delivery.changes.columns().source_times.as_ref()?;
        times.is_valid(row).then(|| Time::from_micros(times.value(row)))
    }

    /// Where it stands in the source, as hexadecimal digits that sort as it does.
    fn source_position(&self, row: usize) -> Option<String> {
        let positions = self.delivery.changes.columns().source_positions.as_ref()?;
        let digits = || positions.value(row).iter().map(|byte| format!("{byte:02x}")).collect();
        positions.is_valid(row).then(digits)
    }

    fn transaction(&self, row: usize) -> Option<&str> {
        let transactions = self.delivery.changes.columns().transactions.as_ref()?;
        transactions.is_valid(row).then(|| transactions.value(row))
    }

    fn has_before(&self, row: usize) -> bool {
        let before = self.delivery.changes.columns().before.as_ref();
        before.is_some_and(|before| before.present.value(row))
    }
}

/// The values of the change in `row` as a JSON object.
pub(crate) fn values_of(changes: &ChangeBatch, row: usize) -> String {
    object(changes.schema().fields(), &columns(changes), row)
}

fn columns(changes: &ChangeBatch) -> Vec<Column<'_>> {
    (0..changes.schema().fields().len()).map(|index| changes.column(index)).collect()
}

/// The values of a row as a JSON object.
fn object(fields: &[Field], columns: &[Column<'_>], row: usize) -> String {
    let mut out = String::new();
    write_object(fields.iter().zip(columns), row, &mut out);
    out
}

/// A JSON string literal.
fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
