//! Values as Debezium has them in JSON, and their schemas in the words of Kafka Connect.
//!
//! They are those of its connector for PostgreSQL with `time.precision.mode=adaptive`, `interval.handling.mode=string` and
//! `binary.handling.mode=bytes`.

use base64::{Engine, prelude::BASE64_STANDARD};
use tidemark_engine::{
    Error, Result,
    change::{Cell, Column, Value, write_json},
    schema::{Field, Kind},
};

use super::number;
use crate::messages::{changes::string, envelope::Decimals};

/// What stands where a large value is as it was.
const UNAVAILABLE: &str = "\"__debezium_unavailable_value\"";

/// Appends what `row` holds.
pub(super) fn write(
    field: &Field,
    column: &Column<'_>,
    row: usize,
    decimals: Decimals,
    out: &mut String,
) -> Result<()> {
    match column.cell(row) {
        Cell::Null => out.push_str("null"),
        Cell::Unchanged => out.push_str(UNAVAILABLE),
        Cell::Value(value) => {
            write_value(&value, &field.kind, decimals, out).map_err(|error| of_column(error, field))?
        }
        Cell::Exception(text) => match is_text(&field.kind, decimals) {
            true => out.push_str(&string(text)),
            false => return Err(of_column(exceptional(), field)),
        },
    }
    Ok(())
}

fn write_value(value: &Value<'_>, kind: &Kind, decimals: Decimals, out: &mut String) -> Result<()> {
    match value {
        Value::Decimal(..) if decimals == Decimals::String => out.push_str(&string(&value.to_string())),
        Value::Decimal(unscaled, _) if decimals == Decimals::Precise => {
            base64(&number::bytes_of(*unscaled), out)
        }
        Value::UInt(unsigned) if *kind == Kind::UInt64 => match decimals {
            Decimals::Precise => base64(&number::bytes_of(i128::from(*unsigned)), out),
            Decimals::String => out.push_str(&string(&value.to_string())),
            Decimals::Double => out.push_str(&value.to_string()),
        },
        Value::Text(text) if *kind == Kind::Number => match decimals {
            Decimals::String => out.push_str(&string(text)),
            Decimals::Double => write_json(value, kind, out),
            Decimals::Precise => {
                let (scale, bytes) = number::parts(text).ok_or_else(exceptional)?;
                out.push_str(&format!("{{\"scale\":{scale},\"value\":"));
                base64(&bytes, out);
                out.push('}');
            }
        },
        Value::Bytes(bytes) => base64(bytes, out),
        Value::Date(days) => out.push_str(&days.to_string()),
        Value::Time(micros) | Value::Timestamp(micros) => out.push_str(&micros.to_string()),
        Value::List(elements, of) => {
            let column = Column::elements(elements, of);
            let field = Field::new("item", (*of).clone());
            out.push('[');
            for row in 0..elements.len() {
                if row > 0 {
                    out.push(',');
                }
                write(&field, &column, row, decimals, out)?;
            }
            out.push(']');
        }
        // JSON is text there.
        Value::Text(text) => out.push_str(&string(text)),
        _ => write_json(value, kind, out),
    }
    Ok(())
}

fn base64(bytes: &[u8], out: &mut String) {
    out.push('"');
    BASE64_STANDARD.encode_string(bytes, out);
    out.push('"');
}

/// Whether values of a kind are strings, so that any text is one.
fn is_text(kind: &Kind, decimals: Decimals) -> bool {
    match kind {
        Kind::Decimal { .. } | Kind::Number | Kind::UInt64 => decimals == Decimals::String,
        kind => schema_type(kind, decimals).0 == "string",
    }
}

fn exceptional() -> Error {
    Error::data("Debezium's envelope has no way to tell the value")
        .hint("use `envelope: plain`, or `decimals: string` where it is a decimal")
}

fn of_column(error: Error, field: &Field) -> Error {
    error.context(format_args!("column `{}`", field.name))
}

/// A column's schema, as an object that still wants its name.
pub(super) fn schema(field: &Field, decimals: Decimals) -> String {
    let optional = field.nullable;
    format!(
        "{{{},\"optional\":{optional},\"field\":{}}}",
        schema_of(&field.kind, decimals),
        string(&field.name)
    )
}

fn schema_of(kind: &Kind, decimals: Decimals) -> String {
    match (kind, decimals) {
        (Kind::Decimal { precision, scale }, Decimals::Precise) => decimal_schema(*precision, *scale),
        (Kind::UInt64, Decimals::Precise) => decimal_schema(20, 0),
        (Kind::Number, Decimals::Precise) => "\"type\":\"struct\",\"fields\":[{\"type\":\"int32\",\"optional\":false,\"field\":\"scale\"},\
             {\"type\":\"bytes\",\"optional\":false,\"field\":\"value\"}],\"name\":\"io.debezium.data.VariableScaleDecimal\",\"version\":1"
            .to_owned(),
        (Kind::Enum { labels }, _) => format!(
            "\"type\":\"string\",\"name\":\"io.debezium.data.Enum\",\"version\":1,\"parameters\":{{\"allowed\":{}}}",
            string(&labels.join(","))
        ),
        (Kind::List { of }, _) => {
            format!("\"type\":\"array\",\"items\":{{{},\"optional\":true}}", schema_of(of, decimals))
        }
        _ => match schema_type(kind, decimals) {
            (name, None) => format!("\"type\":\"{name}\""),
            (name, Some(logical)) => format!("\"type\":\"{name}\",\"name\":\"{logical}\",\"version\":1"),
        },
    }
}

fn decimal_schema(precision: u8, scale: i8) -> String {
    format!(
        "\"type\":\"bytes\",\"name\":\"org.apache.kafka.connect.data.Decimal\",\"version\":1,\
         \"parameters\":{{\"scale\":\"{scale}\",\"connect.decimal.precision\":\"{precision}\"}}"
    )
}

/// The type of Kafka Connect, and what Debezium calls what is in it.
fn schema_type(kind: &Kind, decimals: Decimals) -> (&'static str, Option<&'static str>) {
    match kind {
        Kind::Bool => ("boolean", None),
        Kind::Int8 | Kind::Int16 | Kind::UInt8 => ("int16", None),
        Kind::Int32 | Kind::UInt16 => ("int32", None),
        Kind::Int64 | Kind::UInt32 => ("int64", None),
        Kind::Float32 => ("float", None),
        Kind::Float64 => ("double", None),
        Kind::Decimal { .. } | Kind::Number | Kind::UInt64 => match decimals {
            Decimals::String => ("string", None),
            Decimals::Precise | Decimals::Double => ("double", None),
        },
        Kind::Bytes => ("bytes", None),
        Kind::Date => ("int32", Some("io.debezium.time.Date")),
        Kind::Time => ("int64", Some("io.debezium.time.MicroTime")),
        Kind::Timestamp => ("int64", Some("io.debezium.time.MicroTimestamp")),
        Kind::TimestampTz => ("string", Some("io.debezium.time.ZonedTimestamp")),
        Kind::Interval => ("string", Some("io.debezium.time.Interval")),
        Kind::Uuid => ("string", Some("io.debezium.data.Uuid")),
        Kind::Json => ("string", Some("io.debezium.data.Json")),
        _ => ("string", None),
    }
}
