//! A value read from PostgreSQL's binary format: what each type's `send` function makes.

use tidemark_engine::{
    Error, Result,
    change::{Cell, Value},
    schema::Kind,
};

use super::{
    calendar::{EPOCH_DAYS, EPOCH_MICROS, write_date, write_timestamp},
    format::Format,
    interval::Interval,
    numeric::Numeric,
};

/// The version of `jsonb`'s binary format, before the text.
pub(super) const JSONB_VERSION: u8 = 1;

/// The value in `bytes`; text that must be made is made in `scratch`. For every format but arrays.
#[inline]
pub(super) fn read<'a>(
    format: &Format,
    kind: &Kind,
    bytes: &'a [u8],
    scratch: &'a mut String,
) -> Result<Cell<'a>> {
    scratch.clear();
    let value = match format {
        Format::Bool => Value::Bool(fixed::<1>(bytes, format)? != [0]),
        Format::Int2 => Value::Int(i64::from(i16::from_be_bytes(fixed(bytes, format)?))),
        Format::Int4 => Value::Int(i64::from(i32::from_be_bytes(fixed(bytes, format)?))),
        Format::Int8 => Value::Int(i64::from_be_bytes(fixed(bytes, format)?)),
        Format::Oid => Value::UInt(u64::from(u32::from_be_bytes(fixed(bytes, format)?))),
        Format::Float4 => Value::Float32(f32::from_be_bytes(fixed(bytes, format)?)),
        Format::Float8 => Value::Float64(f64::from_be_bytes(fixed(bytes, format)?)),
        Format::Numeric => return numeric(bytes, kind, scratch),
        Format::Text | Format::Json | Format::Opaque => Value::Text(utf8(bytes)?),
        Format::Jsonb => match bytes.split_first() {
            Some((&JSONB_VERSION, text)) => Value::Text(utf8(text)?),
            _ => return Err(unreadable(format)),
        },
        Format::Bytea => Value::Bytes(bytes),
        Format::Date => return Ok(date(i32::from_be_bytes(fixed(bytes, format)?), scratch)),
        Format::Time => Value::Time(i64::from_be_bytes(fixed(bytes, format)?)),
        Format::Timestamp => {
            return Ok(timestamp(i64::from_be_bytes(fixed(bytes, format)?), "", scratch, Value::Timestamp));
        }
        Format::TimestampTz => {
            return Ok(timestamp(
                i64::from_be_bytes(fixed(bytes, format)?),
                "+00",
                scratch,
                Value::TimestampTz,
            ));
        }
        Format::Interval => return interval(bytes, scratch),
        Format::Uuid => Value::Uuid(&fixed_ref::<16>(bytes, format)?[..]),
        Format::Array { .. } => return Err(Error::internal("an array was to be read as a single value")),
    };
    Ok(Cell::Value(value))
}

fn numeric<'a>(bytes: &[u8], kind: &Kind, scratch: &'a mut String) -> Result<Cell<'a>> {
    let number = Numeric::read(bytes).ok_or_else(|| unreadable(&Format::Numeric))?;
    let Kind::Decimal { precision, scale } = *kind else {
        number.write_text(scratch);
        return Ok(Cell::Value(Value::Text(scratch)));
    };
    Ok(match number.unscaled(scale).filter(|digits| fits(*digits, precision)) {
        Some(digits) => Cell::Value(Value::Decimal(digits, scale)),
        None => {
            number.write_text(scratch);
            Cell::Exception(scratch)
        }
    })
}

/// Whether `digits` are at most `precision` many.
pub(super) fn fits(digits: i128, precision: u8) -> bool {
    10_u128.checked_pow(u32::from(precision)).is_none_or(|limit| digits.unsigned_abs() < limit)
}

fn date(days: i32, scratch: &mut String) -> Cell<'_> {
    match days {
        i32::MAX => Cell::Exception("infinity"),
        i32::MIN => Cell::Exception("-infinity"),
        _ => match days.checked_add(EPOCH_DAYS) {
            Some(days) => Cell::Value(Value::Date(days)),
            None => {
                write_date(days, scratch);
                Cell::Exception(scratch)
            }
        },
    }
}

fn timestamp<'a>(
    micros: i64,
    zone: &str,
    scratch: &'a mut String,
    value: impl Fn(i64) -> Value<'a>,
) -> Cell<'a> {
    match micros {
        i64::MAX => Cell::Exception("infinity"),
        i64::MIN => Cell::Exception("-infinity"),
        _ => match micros.checked_add(EPOCH_MICROS) {
            Some(micros) => Cell::Value(value(micros)),
            None => {
                write_timestamp(i128::from(micros) + i128::from(EPOCH_MICROS), zone, scratch);
                Cell::Exception(scratch)
            }
        },
    }
}

fn interval<'a>(bytes: &[u8], scratch: &'a mut String) -> Result<Cell<'a>> {
    let bytes: [u8; 16] = fixed(bytes, &Format::Interval)?;
    let packed = u128::from_be_bytes(bytes);
    let interval = Interval {
        micros: ((packed >> 64) as u64).cast_signed(),
        days: ((packed >> 32) as u32).cast_signed(),
        months: (packed as u32).cast_signed(),
    };
    Ok(match interval {
        Interval::INFINITY => Cell::Exception("infinity"),
        Interval::NEGATIVE_INFINITY => Cell::Exception("-infinity"),
        _ => {
            interval.write_canonical(scratch);
            Cell::Value(Value::Text(scratch))
        }
    })
}

/// `bytes` as text.
pub(super) fn utf8(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| {
        Error::data("a text is not in UTF-8")
            .hint("see whether the database's encoding is `SQL_ASCII`, which lets any bytes be text")
    })
}

/// `bytes`, which are to be this many.
#[inline]
pub(super) fn fixed<const N: usize>(bytes: &[u8], format: &Format) -> Result<[u8; N]> {
    fixed_ref(bytes, format).copied()
}

fn fixed_ref<'a, const N: usize>(bytes: &'a [u8], format: &Format) -> Result<&'a [u8; N]> {
    bytes.try_into().map_err(|_| unreadable(format))
}

/// Bytes that are not in the format of their type.
pub(super) fn unreadable(format: &Format) -> Error {
    Error::data(format!("a value is not in the binary format of the type `{}`", format.name()))
}
