//! A staged change as a line, for people or for programs.

use tidemark_engine::{
    ChangeId, LogId, Result, Time,
    change::{Cell, Column, write_json},
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
    pub(crate) fn new(log: &'a LogId, recorded: Time, delivery: &'a Delivery, style: Style) -> Self {
        let changes = &delivery.changes;
        let fields = changes.schema().fields();
        let columns = (0..fields.len()).map(|index| changes.column(index)).collect();
        let before = (0..fields.len()).map(|index| changes.column_before(index)).collect();
        Self { log, recorded, delivery, style, fields, columns, before }
    }

    /// The line of the change in `row`.
    pub(crate) fn of(&self, row: usize) -> Result<String> {
        let changes = &self.delivery.changes;
        let (op, stream) = (changes.op(row)?.as_str(), changes.schema().stream());
        let sequence = self.delivery.sequence;
        let ordinal = changes.ordinals().map_or(0, |ordinals| ordinals.value(row));
        let values = self.values(&self.columns, row);
        if self.style == Style::Text {
            return Ok(format!("{sequence}-{ordinal} {op} {stream} {values}"));
        }
        let position = ChangeId { log: self.log, sequence, ordinal };
        let source_time = changes.columns().source_times.as_ref().and_then(|times| {
            use tidemark_engine::arrow_array::Array;
            times.is_valid(row).then(|| Time::from_micros(times.value(row)))
        });
        let source_time = source_time.map_or("null".to_owned(), |time| format!("\"{time}\""));
        let stream = serde_json::Value::from(stream.as_str());
        let mut line = format!(
            "{{\"position\":\"{position}\",\"op\":\"{op}\",\"stream\":{stream},\"recorded\":\"{}\",\"source_time\":{source_time},\"values\":{values}",
            self.recorded
        );
        let before = self.before.as_ref().filter(|_| self.has_before(row));
        if let Some(before) = before {
            line.push_str(",\"before\":");
            line.push_str(&self.values(before, row));
        }
        line.push('}');
        Ok(line)
    }

    fn has_before(&self, row: usize) -> bool {
        let before = self.delivery.changes.columns().before.as_ref();
        before.is_some_and(|before| before.present.value(row))
    }

    /// The values of a row as a JSON object. A column that the change does not carry is absent.
    fn values(&self, columns: &[Column<'_>], row: usize) -> String {
        let mut out = String::from("{");
        for (field, column) in self.fields.iter().zip(columns) {
            let cell = column.cell(row);
            if cell == Cell::Unchanged {
                continue;
            }
            if out.len() > 1 {
                out.push(',');
            }
            out.push_str(&serde_json::Value::from(field.name.as_str()).to_string());
            out.push(':');
            match cell {
                Cell::Unchanged | Cell::Null => out.push_str("null"),
                Cell::Exception(text) => out.push_str(&serde_json::Value::from(text).to_string()),
                Cell::Value(value) => write_json(&value, &field.kind, &mut out),
            }
        }
        out.push('}');
        out
    }
}
