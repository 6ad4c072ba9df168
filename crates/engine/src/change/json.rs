//! Values as JSON: what JSON Lines files and listings show.

use arrow_array::{Array, ArrayRef};

use super::{Cell, Column, Value};
use crate::schema::{Field, Kind};

/// Appends `value`, of a column of `kind`, to `out` as JSON.
///
/// | Value | JSON |
/// |---|---|
/// | booleans, integers, decimals, numbers, finite floats | literals with every digit; a reader that keeps only doubles rounds beyond 2^53 |
/// | NaN, infinities | the strings `"NaN"`, `"Infinity"`, `"-Infinity"` |
/// | JSON | itself, to the letter |
/// | lists | arrays |
/// | everything else | a string, the canonical text |
pub fn write_json(value: &Value<'_>, kind: &Kind, out: &mut String) {
    use std::fmt::Write;
    let literal = match value {
        Value::Bool(_) | Value::Int(_) | Value::UInt(_) | Value::Decimal(..) | Value::List(..) => true,
        Value::Float32(float) => float.is_finite(),
        Value::Float64(float) => float.is_finite(),
        Value::Text(text) => match kind {
            Kind::Json => true,
            Kind::Number => serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok(),
            _ => false,
        },
        _ => false,
    };
    // Writing to a `String` cannot fail.
    let _ = match value {
        _ if literal => write!(out, "{value}"),
        Value::Text(text) => write_string(text, out),
        _ => write_string(&value.to_string(), out),
    };
}

/// Appends the values of a row to `out` as a JSON object. A column that the change does not carry is absent.
pub fn write_object<'a>(
    columns: impl IntoIterator<Item = (&'a Field, &'a Column<'a>)>,
    row: usize,
    out: &mut String,
) {
    out.push('{');
    let mut is_first = true;
    for (field, column) in columns {
        let cell = column.cell(row);
        if cell == Cell::Unchanged {
            continue;
        }
        if !std::mem::take(&mut is_first) {
            out.push(',');
        }
        // Writing to a `String` cannot fail.
        let _ = write_string(&field.name, out);
        out.push(':');
        match cell {
            Cell::Unchanged | Cell::Null => out.push_str("null"),
            Cell::Exception(text) => _ = write_string(text, out),
            Cell::Value(value) => write_json(&value, &field.kind, out),
        }
    }
    out.push('}');
}

/// A JSON string literal.
fn write_string(text: &str, out: &mut String) -> std::fmt::Result {
    use std::fmt::Write;
    write!(out, "{}", serde_json::Value::from(text))
}

pub(super) fn list_to_json(elements: &ArrayRef, of: &Kind) -> String {
    let column = Column::elements(elements, of);
    let mut out = String::from("[");
    for row in 0..elements.len() {
        if row > 0 {
            out.push(',');
        }
        match column.cell(row) {
            Cell::Value(value) => write_json(&value, of, &mut out),
            Cell::Null | Cell::Unchanged | Cell::Exception(_) => out.push_str("null"),
        }
    }
    out.push(']');
    out
}
