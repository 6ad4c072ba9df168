//! A value read from text: what each type's output function makes under the settings in [`SESSION`](super::SESSION).

use tidemark_engine::{
    Error, Result,
    change::{Cell, Value},
    schema::Kind,
};

use super::{binary::fits, calendar, format::Format, interval::Interval, numeric::parse_unscaled};

/// Room for what a value is put together in.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) text: String,
    bytes: Vec<u8>,
}

/// The value in `text`; what must be made of it is made in `scratch`. For every format but arrays.
#[inline]
pub(super) fn read<'a>(
    format: &Format,
    kind: &Kind,
    text: &'a str,
    scratch: &'a mut Scratch,
) -> Result<Cell<'a>> {
    let value = match format {
        Format::Text | Format::Json | Format::Jsonb | Format::Opaque => Value::Text(text),
        Format::Bool => match text {
            "t" => Value::Bool(true),
            "f" => Value::Bool(false),
            _ => return Err(unreadable(format)),
        },
        Format::Int2 | Format::Int4 | Format::Int8 => Value::Int(parsed(text, format)?),
        Format::Oid => Value::UInt(parsed(text, format)?),
        Format::Float4 => Value::Float32(parsed(text, format)?),
        Format::Float8 => Value::Float64(parsed(text, format)?),
        Format::Numeric => return Ok(numeric(text, kind)),
        Format::Bytea => {
            decode_hex(text, &mut scratch.bytes).ok_or_else(|| unreadable(format))?;
            Value::Bytes(&scratch.bytes)
        }
        Format::Date | Format::Timestamp | Format::TimestampTz | Format::Interval if is_infinite(text) => {
            return Ok(Cell::Exception(text));
        }
        Format::Date => Value::Date(calendar::parse_date(text).ok_or_else(|| unreadable(format))?),
        Format::Time => Value::Time(calendar::parse_time(text).ok_or_else(|| unreadable(format))?),
        Format::Timestamp => return timestamp(text, "", format, Value::Timestamp),
        Format::TimestampTz => return timestamp(text, "+00", format, Value::TimestampTz),
        Format::Interval => {
            scratch.text.clear();
            let interval = Interval::parse(text).ok_or_else(|| unreadable(format))?;
            interval.write_canonical(&mut scratch.text);
            Value::Text(&scratch.text)
        }
        Format::Uuid => {
            decode_uuid(text, &mut scratch.bytes).ok_or_else(|| unreadable(format))?;
            Value::Uuid(&scratch.bytes)
        }
        Format::Array { .. } => return Err(Error::internal("an array was to be read as a single value")),
    };
    Ok(Cell::Value(value))
}

fn is_infinite(text: &str) -> bool {
    matches!(text, "infinity" | "-infinity")
}

fn numeric<'a>(text: &'a str, kind: &Kind) -> Cell<'a> {
    let Kind::Decimal { precision, scale } = *kind else { return Cell::Value(Value::Text(text)) };
    match parse_unscaled(text, scale).filter(|digits| fits(*digits, precision)) {
        Some(digits) => Cell::Value(Value::Decimal(digits, scale)),
        None => Cell::Exception(text),
    }
}

fn timestamp<'a>(
    text: &'a str,
    zone: &str,
    format: &Format,
    value: impl Fn(i64) -> Value<'a>,
) -> Result<Cell<'a>> {
    let micros = calendar::parse_timestamp(text, zone).ok_or_else(|| unreadable(format))?;
    Ok(match i64::try_from(micros) {
        Ok(micros) => Cell::Value(value(micros)),
        Err(_) => Cell::Exception(text),
    })
}

fn parsed<T: std::str::FromStr>(text: &str, format: &Format) -> Result<T> {
    text.parse().map_err(|_| unreadable(format))
}

fn decode_hex(text: &str, bytes: &mut Vec<u8>) -> Option<()> {
    bytes.clear();
    let (pairs, rest) = text.strip_prefix("\\x")?.as_bytes().as_chunks::<2>();
    for pair in pairs {
        bytes.push(nibble(pair[0])? << 4 | nibble(pair[1])?);
    }
    rest.is_empty().then_some(())
}

fn decode_uuid(text: &str, bytes: &mut Vec<u8>) -> Option<()> {
    bytes.clear();
    let mut nibbles = text.bytes().filter(|byte| *byte != b'-');
    while let Some(first) = nibbles.next() {
        bytes.push(nibble(first)? << 4 | nibble(nibbles.next()?)?);
    }
    (bytes.len() == 16).then_some(())
}

fn nibble(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

/// Text that the type's output function does not make under our settings.
pub(super) fn unreadable(format: &Format) -> Error {
    Error::data(format!("a value is not in the text format of the type `{}`", format.name()))
}
