//! Columns whose values are written in binary straight from their array. What is to be asked of a column is asked once, not for
//! every value; for most tables that is most of the work.

use bytes::{BufMut, BytesMut};
use tidemark_engine::{
    Result,
    arrow_array::{
        Array, ArrayRef, BinaryArray, BooleanArray, FixedSizeBinaryArray, Float64Array, Int32Array,
        Int64Array, StringArray, TimestampMicrosecondArray, cast::AsArray, types,
    },
    schema::Kind,
};

use super::{
    binary::JSONB_VERSION,
    calendar::EPOCH_MICROS,
    encode::field_length,
    format::Format,
    literal::{checked_text, checked_timestamp},
    target::{Form, Target},
};

/// A column of one of the commonest types.
#[derive(Debug)]
pub(in crate::postgres) enum Plain<'a> {
    Bool(&'a BooleanArray),
    Int4(&'a Int32Array),
    Int8(&'a Int64Array),
    Float8(&'a Float64Array),
    Text(&'a StringArray),
    Jsonb(&'a StringArray),
    Bytea(&'a BinaryArray),
    Uuid(&'a FixedSizeBinaryArray),
    Timestamp(&'a TimestampMicrosecondArray),
}

impl<'a> Plain<'a> {
    /// The values in `array` for a column that stores them as `target` says; `None` where each has to be looked at.
    pub(in crate::postgres) fn of(target: &Target, array: &'a ArrayRef) -> Option<Self> {
        let Form::Own(format) = &target.form else { return None };
        match (format, &target.kind) {
            (Format::Bool, _) => array.as_boolean_opt().map(Self::Bool),
            (Format::Int4, _) => array.as_primitive_opt::<types::Int32Type>().map(Self::Int4),
            (Format::Int8, _) => array.as_primitive_opt::<types::Int64Type>().map(Self::Int8),
            (Format::Float8, _) => array.as_primitive_opt::<types::Float64Type>().map(Self::Float8),
            (Format::Text | Format::Json, _) => array.as_string_opt().map(Self::Text),
            (Format::Jsonb, _) => array.as_string_opt().map(Self::Jsonb),
            (Format::Bytea, _) => array.as_binary_opt().map(Self::Bytea),
            (Format::Uuid, _) => array.as_fixed_size_binary_opt().map(Self::Uuid),
            (Format::Timestamp, Kind::Timestamp) | (Format::TimestampTz, Kind::TimestampTz) => {
                array.as_primitive_opt::<types::TimestampMicrosecondType>().map(Self::Timestamp)
            }
            _ => None,
        }
    }

    /// Appends what `row` holds, as [`Target::write_binary`] does; false, with nothing appended, where the array holds NULL, which
    /// may stand for something else.
    #[inline]
    pub(in crate::postgres) fn write(&self, row: usize, out: &mut BytesMut) -> Result<bool> {
        macro_rules! write {
            ($array:expr, $write:expr) => {{
                if $array.is_null(row) {
                    return Ok(false);
                }
                $write($array.value(row))
            }};
        }
        match *self {
            Self::Bool(array) => write!(array, |value| out.put_slice(&[0, 0, 0, 1, u8::from(value)])),
            Self::Int4(array) => write!(array, |value| put_fixed(4, i64::from(value), out)),
            Self::Int8(array) => write!(array, |value| put_fixed(8, value, out)),
            Self::Float8(array) => {
                write!(array, |value: f64| put_fixed(8, value.to_bits().cast_signed(), out))
            }
            Self::Text(array) => {
                let text = write!(array, checked_text)?;
                out.put_i32(field_length(text.len())?);
                out.put_slice(text.as_bytes());
            }
            Self::Jsonb(array) => {
                let text = write!(array, checked_text)?;
                out.put_i32(field_length(text.len() + 1)?);
                out.put_u8(JSONB_VERSION);
                out.put_slice(text.as_bytes());
            }
            Self::Bytea(array) => {
                let bytes = write!(array, |bytes| bytes);
                out.put_i32(field_length(bytes.len())?);
                out.put_slice(bytes);
            }
            Self::Uuid(array) => {
                let bytes = write!(array, |bytes| bytes);
                out.put_i32(16);
                out.put_slice(bytes);
            }
            Self::Timestamp(array) => {
                let micros = checked_timestamp(write!(array, |micros| micros))?;
                put_fixed(8, micros - EPOCH_MICROS, out);
            }
        }
        Ok(true)
    }
}

/// Appends a number of `width` bytes behind its length, in one go.
fn put_fixed(width: usize, value: i64, out: &mut BytesMut) {
    let mut field = [0, 0, 0, width as u8, 0, 0, 0, 0, 0, 0, 0, 0];
    field[4..4 + width].copy_from_slice(&value.to_be_bytes()[8 - width..]);
    out.put_slice(&field[..4 + width]);
}
