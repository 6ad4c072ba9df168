//! Values of a record as values of the language, and back. What cannot be carried over exactly is not.

use std::sync::Arc;

use cel::Value as Cel;
use chrono::{DateTime, NaiveDate};
use tidemark_engine::{
    arrow_array::Array,
    change::{Cell, Column, Value},
    schema::Kind,
};

/// Decimals of so many digits and no more come back from a double as they were.
const EXACT_DIGITS: usize = 15;

/// A cell as a value; `None` where the change says nothing of it, an error that says why where there is no exact one.
pub(super) fn of_cell(cell: &Cell<'_>) -> Result<Option<Cel>, &'static str> {
    match cell {
        Cell::Unchanged => Ok(None),
        Cell::Null => Ok(Some(Cel::Null)),
        Cell::Exception(text) => match *text {
            "NaN" => Ok(Some(Cel::Float(f64::NAN))),
            "Infinity" => Ok(Some(Cel::Float(f64::INFINITY))),
            "-Infinity" => Ok(Some(Cel::Float(f64::NEG_INFINITY))),
            _ => Err("holds what its kind cannot"),
        },
        Cell::Value(value) => of_value(value).map(Some),
    }
}

fn of_value(value: &Value<'_>) -> Result<Cel, &'static str> {
    const NO_DATE: &str = "holds a date beyond the calendar of expressions";
    Ok(match value {
        Value::Bool(value) => Cel::Bool(*value),
        Value::Int(value) => Cel::Int(*value),
        Value::UInt(value) => i64::try_from(*value).map_or(Cel::UInt(*value), Cel::Int),
        Value::Float32(value) => Cel::Float(f64::from(*value)),
        Value::Float64(value) => Cel::Float(*value),
        Value::Decimal(..) => double(&value.to_string())?,
        Value::Text(text) => text_value(text),
        Value::Bytes(bytes) => Cel::Bytes(Arc::new(bytes.to_vec())),
        Value::Date(days) => {
            let date = NaiveDate::from_epoch_days(*days).ok_or(NO_DATE)?;
            Cel::Timestamp(date.and_time(chrono::NaiveTime::MIN).and_utc().fixed_offset())
        }
        Value::Timestamp(micros) | Value::TimestampTz(micros) => {
            Cel::Timestamp(DateTime::from_timestamp_micros(*micros).ok_or(NO_DATE)?.fixed_offset())
        }
        Value::Time(_) | Value::Uuid(_) => text_value(&value.to_string()),
        Value::List(elements, of) => {
            let column = Column::elements(elements, of);
            let element = |row| match column.cell(row) {
                Cell::Value(Value::Text(text)) if **of == Kind::Number => double(text),
                cell => of_cell(&cell).map(|value| value.unwrap_or(Cel::Null)),
            };
            Cel::List(Arc::new((0..elements.len()).map(element).collect::<Result<_, _>>()?))
        }
    })
}

/// The decimal number that `text` spells.
pub(super) fn double(text: &str) -> Result<Cel, &'static str> {
    let digits: String = text.bytes().filter(u8::is_ascii_digit).map(char::from).collect();
    let digits = digits.trim_matches('0');
    if digits.len() > EXACT_DIGITS {
        return Err("holds a decimal of more than 15 digits, which is no double: cast it to text");
    }
    text.parse().map(Cel::Float).map_err(|_| "holds a number that is none")
}

fn text_value(text: &str) -> Cel {
    Cel::String(Arc::new(text.to_owned()))
}

/// The canonical text of what an expression has come to; `None` for NULL, an error that says of which type what has no text is.
pub(crate) fn text_of(value: &Cel) -> Result<Option<String>, String> {
    Ok(Some(match value {
        Cel::Null => return Ok(None),
        Cel::Bool(value) => value.to_string(),
        Cel::Int(value) => value.to_string(),
        Cel::UInt(value) => value.to_string(),
        Cel::Float(value) => Value::Float64(*value).to_string(),
        Cel::String(text) => text.as_ref().clone(),
        Cel::Bytes(bytes) => Value::Bytes(bytes).to_string(),
        Cel::Timestamp(time) if time.timestamp_subsec_nanos() % 1_000 == 0 => {
            Value::TimestampTz(time.timestamp_micros()).to_string()
        }
        Cel::List(elements) => {
            let element = |element: &Cel| {
                Ok(match (element, text_of(element)?) {
                    (_, None) => "null".to_owned(),
                    (Cel::Bool(_) | Cel::Int(_) | Cel::UInt(_) | Cel::List(_), Some(text)) => text,
                    (Cel::Float(value), Some(text)) if value.is_finite() => text,
                    (_, Some(text)) => serde_json::Value::from(text).to_string(),
                })
            };
            let elements = elements.iter().map(element).collect::<Result<Vec<_>, String>>()?;
            format!("[{}]", elements.join(","))
        }
        other => return Err(other.type_of().to_string()),
    }))
}
