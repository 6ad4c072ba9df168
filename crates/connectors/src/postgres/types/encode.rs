//! Values in PostgreSQL's binary format: what each type's `recv` function takes. And the escaping of `COPY` as text.
//! Source: the page "COPY" of PostgreSQL's documentation.

use bytes::{BufMut, BytesMut};
use tidemark_engine::{
    Error, Result,
    arrow_array::{Array, ArrayRef},
    change::{Cell, Column, Value},
    schema::Kind,
};

use super::{
    array::put_header,
    binary::JSONB_VERSION,
    calendar::{EPOCH_DAYS, EPOCH_MICROS},
    format::Format,
    interval::Interval,
    literal::{checked_date, checked_text, checked_time, checked_timestamp},
    numeric,
};

/// Appends what `write` appends behind its length. When that says false, what was appended is of no use.
pub(super) fn measured(
    out: &mut BytesMut,
    write: impl FnOnce(&mut BytesMut) -> Result<bool>,
) -> Result<bool> {
    let start = out.len();
    out.put_i32(0);
    let written = write(out)?;
    let length = field_length(out.len() - start - 4)?;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(written)
}

/// The length of a field of `bytes` bytes, as it stands before it.
pub(super) fn field_length(bytes: usize) -> Result<i32> {
    i32::try_from(bytes)
        .map_err(|_| Error::data("a value takes more than 2 GiB, which PostgreSQL cannot hold"))
}

/// Appends `value`, of a column of `kind`, in `format`; false when it has no binary form there.
#[inline]
pub(super) fn value(format: &Format, kind: &Kind, value: &Value<'_>, out: &mut BytesMut) -> Result<bool> {
    match (format, value) {
        (Format::Bool, Value::Bool(value)) => out.put_u8(u8::from(*value)),
        (Format::Int2, Value::Int(value)) => out.put_i16(narrow(*value)?),
        (Format::Int2, Value::UInt(value)) => out.put_i16(narrow(*value)?),
        (Format::Int4, Value::Int(value)) => out.put_i32(narrow(*value)?),
        (Format::Int4, Value::UInt(value)) => out.put_i32(narrow(*value)?),
        (Format::Int8, Value::Int(value)) => out.put_i64(*value),
        (Format::Int8, Value::UInt(value)) => out.put_i64(narrow(*value)?),
        (Format::Oid, Value::UInt(value)) => out.put_u32(narrow(*value)?),
        (Format::Float4, Value::Float32(value)) => out.put_f32(*value),
        (Format::Float8, Value::Float64(value)) => out.put_f64(*value),
        (Format::Numeric, Value::Decimal(digits, scale)) => {
            return Ok(numeric::encode_unscaled(*digits, *scale, out));
        }
        (Format::Numeric, Value::Int(value)) => {
            return Ok(numeric::encode_unscaled(i128::from(*value), 0, out));
        }
        (Format::Numeric, Value::UInt(value)) => {
            return Ok(numeric::encode_unscaled(i128::from(*value), 0, out));
        }
        (Format::Numeric, Value::Text(text)) => return Ok(numeric::encode_text(text, out)),
        (Format::Text | Format::Json, Value::Text(text)) => out.put_slice(checked_text(text)?.as_bytes()),
        (Format::Jsonb, Value::Text(text)) => {
            out.put_u8(JSONB_VERSION);
            out.put_slice(checked_text(text)?.as_bytes());
        }
        (Format::Bytea, Value::Bytes(bytes)) => out.put_slice(bytes),
        // Within PostgreSQL's range, both counts have room for the other epoch.
        (Format::Date, Value::Date(days)) => out.put_i32(checked_date(*days)? - EPOCH_DAYS),
        (Format::Time, Value::Time(micros)) => out.put_i64(checked_time(*micros)?),
        (Format::Timestamp, Value::Timestamp(micros)) | (Format::TimestampTz, Value::TimestampTz(micros)) => {
            out.put_i64(checked_timestamp(*micros)? - EPOCH_MICROS);
        }
        (Format::Interval, Value::Text(text)) => return Ok(interval(text, out)),
        (Format::Uuid, Value::Uuid(bytes)) => out.put_slice(bytes),
        (Format::Array { of, .. }, Value::List(elements, kind)) => return list(of, kind, elements, out),
        _ => {
            return Err(Error::internal(format!(
                "a {} cannot be stored as `{}`",
                kind.name(),
                format.name()
            )));
        }
    }
    Ok(true)
}

fn interval(text: &str, out: &mut BytesMut) -> bool {
    let Some(Interval { months, days, micros }) = Interval::parse(text) else { return false };
    out.put_i64(micros);
    out.put_i32(days);
    out.put_i32(months);
    true
}

fn list(of: &Format, kind: &Kind, elements: &ArrayRef, out: &mut BytesMut) -> Result<bool> {
    let column = Column::elements(elements, kind);
    put_header(narrow(elements.len())?, elements.null_count() > 0, of.oid(), out);
    for row in 0..elements.len() {
        let written = match column.cell(row) {
            Cell::Value(element) => measured(out, |out| value(of, kind, &element, out))?,
            Cell::Null | Cell::Unchanged | Cell::Exception(_) => {
                out.put_i32(-1);
                true
            }
        };
        if !written {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Appends the value that `text` stands for, which its Arrow type cannot hold; false when it has no binary form.
pub(super) fn exception(format: &Format, text: &str, out: &mut BytesMut) -> Result<bool> {
    match (format, text) {
        (Format::Text, _) => out.put_slice(checked_text(text)?.as_bytes()),
        (Format::Numeric, _) => return Ok(numeric::encode_text(text, out)),
        (Format::Date, "infinity") => out.put_i32(i32::MAX),
        (Format::Date, "-infinity") => out.put_i32(i32::MIN),
        (Format::Timestamp | Format::TimestampTz, "infinity") => out.put_i64(i64::MAX),
        (Format::Timestamp | Format::TimestampTz, "-infinity") => out.put_i64(i64::MIN),
        _ => return Ok(false),
    }
    Ok(true)
}

fn narrow<Wide, Narrow: TryFrom<Wide>>(value: Wide) -> Result<Narrow> {
    Narrow::try_from(value).map_err(|_| Error::data("an integer is beyond the range of its column"))
}

/// Appends `text` as a field of a `COPY` as text.
pub(super) fn escaped(text: &str, out: &mut BytesMut) {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\\' | b'\n' | b'\r' | b'\t')) {
        out.put_slice(&rest[..at]);
        out.put_slice(match rest[at] {
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            _ => b"\\\\",
        });
        rest = &rest[at + 1..];
    }
    out.put_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_copy_are_escaped() {
        let mut out = BytesMut::new();
        escaped("a\\b\nc\rd\te\\N", &mut out);
        assert_eq!(&out[..], b"a\\\\b\\nc\\rd\\te\\\\N");
    }
}
