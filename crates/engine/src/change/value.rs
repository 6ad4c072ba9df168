//! One cell of a batch: what it holds, and its canonical text.

use std::fmt;

use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, FixedSizeBinaryArray, ListArray, StringArray,
    cast::AsArray,
    types::{
        Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
        Time64MicrosecondType, TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
    },
};
use arrow_buffer::BooleanBuffer;
use chrono::{DateTime, Days, NaiveDate, NaiveTime, SecondsFormat, TimeDelta};

use super::{Bitmap, Exceptions, json::list_to_json};
use crate::schema::Kind;

/// What a change says of one column.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell<'a> {
    /// Nothing: an update leaves it as it is, a created record is missing it, a delete does not know it.
    Unchanged,
    /// NULL.
    Null,
    /// A value of the column's kind.
    Value(Value<'a>),
    /// A value that the column's Arrow type cannot hold, as canonical text.
    Exception(&'a str),
}

/// A value, borrowed from its batch. Its [`Display`](fmt::Display) is its canonical text.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// `true` or `false`.
    Bool(bool),
    /// Every signed integer.
    Int(i64),
    /// Every unsigned integer.
    UInt(u64),
    /// The shortest digits that read back to the same bits.
    Float32(f32),
    /// The shortest digits that read back to the same bits.
    Float64(f64),
    /// Unscaled digits and scale: `(1234, 2)` is 12.34.
    Decimal(i128, i8),
    /// Text, and every kind that is stored as text.
    Text(&'a str),
    /// Bytes; `\x` and hexadecimal digits as text.
    Bytes(&'a [u8]),
    /// Days since 1970-01-01; `2013-01-01` as text.
    Date(i32),
    /// Microseconds since midnight; `05:00:00` as text, a fraction only where there is one.
    Time(i64),
    /// Microseconds since 1970-01-01T00:00:00; `2013-01-01T05:00:00` as text.
    Timestamp(i64),
    /// Microseconds since 1970-01-01T00:00:00Z; `2013-01-01T05:00:00Z` as text.
    TimestampTz(i64),
    /// 16 bytes; hyphenated as text.
    Uuid(&'a [u8]),
    /// A list and the kind of its elements; a JSON array as text.
    List(ArrayRef, &'a Kind),
}

/// One column of a batch, ready to be read row by row.
#[derive(Debug)]
pub struct Column<'a> {
    cells: Cells<'a>,
    /// Its number in `unchanged`.
    index: usize,
    unchanged: Option<&'a Bitmap>,
    /// Its number in `exceptions`.
    exception_index: usize,
    exceptions: Option<&'a Exceptions>,
    /// The rows that have a value at all, where not every row does.
    present: Option<&'a BooleanBuffer>,
}

/// The column's array under its own type.
#[derive(Debug)]
enum Cells<'a> {
    Bool(&'a BooleanArray),
    Int8(&'a arrow_array::Int8Array),
    Int16(&'a arrow_array::Int16Array),
    Int32(&'a arrow_array::Int32Array),
    Int64(&'a arrow_array::Int64Array),
    UInt8(&'a arrow_array::UInt8Array),
    UInt16(&'a arrow_array::UInt16Array),
    UInt32(&'a arrow_array::UInt32Array),
    UInt64(&'a arrow_array::UInt64Array),
    Float32(&'a arrow_array::Float32Array),
    Float64(&'a arrow_array::Float64Array),
    Decimal(&'a arrow_array::Decimal128Array, i8),
    Text(&'a StringArray),
    Bytes(&'a BinaryArray),
    Date(&'a arrow_array::Date32Array),
    Time(&'a arrow_array::Time64MicrosecondArray),
    Timestamp(&'a arrow_array::TimestampMicrosecondArray),
    TimestampTz(&'a arrow_array::TimestampMicrosecondArray),
    Uuid(&'a FixedSizeBinaryArray),
    List(&'a ListArray, &'a Kind),
}

impl<'a> Column<'a> {
    pub(super) fn new(
        kind: &'a Kind,
        array: &'a ArrayRef,
        index: usize,
        unchanged: Option<&'a Bitmap>,
        exceptions: Option<&'a Exceptions>,
    ) -> Self {
        Self {
            cells: Cells::new(kind, array),
            index,
            unchanged,
            exception_index: index,
            exceptions,
            present: None,
        }
    }

    /// The elements of a list, see [`Value::List`], ready to be read one by one.
    pub fn elements(elements: &'a ArrayRef, of: &'a Kind) -> Self {
        Self::new(of, elements, 0, None, None)
    }

    /// The same column holding values before, of the rows `present`, under a schema of `columns` columns.
    pub(super) fn before(self, present: &'a BooleanBuffer, columns: usize) -> Self {
        Self { exception_index: columns + self.index, present: Some(present), ..self }
    }

    /// What `row` holds.
    ///
    /// # Panics
    /// When the batch has no such row.
    #[inline]
    pub fn cell(&self, row: usize) -> Cell<'a> {
        if self.present.is_some_and(|present| !present.value(row)) {
            return Cell::Unchanged;
        }
        if let Some(value) = self.cells.value(row) {
            return Cell::Value(value);
        }
        if self.unchanged.is_some_and(|unchanged| unchanged.contains(row, self.index)) {
            return Cell::Unchanged;
        }
        match self.exceptions.and_then(|exceptions| exceptions.get(row, self.exception_index)) {
            Some(text) => Cell::Exception(text),
            None => Cell::Null,
        }
    }
}

impl<'a> Cells<'a> {
    /// # Panics
    /// When the array is not of the kind's Arrow type; every batch is checked when it is made.
    fn new(kind: &'a Kind, array: &'a ArrayRef) -> Self {
        match kind {
            Kind::Bool => Self::Bool(array.as_boolean()),
            Kind::Int8 => Self::Int8(array.as_primitive::<Int8Type>()),
            Kind::Int16 => Self::Int16(array.as_primitive::<Int16Type>()),
            Kind::Int32 => Self::Int32(array.as_primitive::<Int32Type>()),
            Kind::Int64 => Self::Int64(array.as_primitive::<Int64Type>()),
            Kind::UInt8 => Self::UInt8(array.as_primitive::<UInt8Type>()),
            Kind::UInt16 => Self::UInt16(array.as_primitive::<UInt16Type>()),
            Kind::UInt32 => Self::UInt32(array.as_primitive::<UInt32Type>()),
            Kind::UInt64 => Self::UInt64(array.as_primitive::<UInt64Type>()),
            Kind::Float32 => Self::Float32(array.as_primitive::<Float32Type>()),
            Kind::Float64 => Self::Float64(array.as_primitive::<Float64Type>()),
            Kind::Decimal { scale, .. } => Self::Decimal(array.as_primitive::<Decimal128Type>(), *scale),
            Kind::Bytes => Self::Bytes(array.as_binary()),
            Kind::Date => Self::Date(array.as_primitive::<Date32Type>()),
            Kind::Time => Self::Time(array.as_primitive::<Time64MicrosecondType>()),
            Kind::Timestamp => Self::Timestamp(array.as_primitive::<TimestampMicrosecondType>()),
            Kind::TimestampTz => Self::TimestampTz(array.as_primitive::<TimestampMicrosecondType>()),
            Kind::Uuid => Self::Uuid(array.as_fixed_size_binary()),
            Kind::Number
            | Kind::Text
            | Kind::Interval
            | Kind::Json
            | Kind::Enum { .. }
            | Kind::Other { .. } => Self::Text(array.as_string()),
            Kind::List { of } => Self::List(array.as_list(), of),
        }
    }

    /// The value in `row`; `None` when the array holds NULL there.
    #[inline]
    fn value(&self, row: usize) -> Option<Value<'a>> {
        macro_rules! read {
            ($array:expr, $value:expr) => {
                if $array.is_null(row) { None } else { Some($value($array.value(row))) }
            };
        }
        match *self {
            Self::Bool(array) => read!(array, Value::Bool),
            Self::Int8(array) => read!(array, |value| Value::Int(i64::from(value))),
            Self::Int16(array) => read!(array, |value| Value::Int(i64::from(value))),
            Self::Int32(array) => read!(array, |value| Value::Int(i64::from(value))),
            Self::Int64(array) => read!(array, Value::Int),
            Self::UInt8(array) => read!(array, |value| Value::UInt(u64::from(value))),
            Self::UInt16(array) => read!(array, |value| Value::UInt(u64::from(value))),
            Self::UInt32(array) => read!(array, |value| Value::UInt(u64::from(value))),
            Self::UInt64(array) => read!(array, Value::UInt),
            Self::Float32(array) => read!(array, Value::Float32),
            Self::Float64(array) => read!(array, Value::Float64),
            Self::Decimal(array, scale) => read!(array, |value| Value::Decimal(value, scale)),
            Self::Text(array) => read!(array, Value::Text),
            Self::Bytes(array) => read!(array, Value::Bytes),
            Self::Date(array) => read!(array, Value::Date),
            Self::Time(array) => read!(array, Value::Time),
            Self::Timestamp(array) => read!(array, Value::Timestamp),
            Self::TimestampTz(array) => read!(array, Value::TimestampTz),
            Self::Uuid(array) => read!(array, Value::Uuid),
            Self::List(array, of) => read!(array, |value| Value::List(value, of)),
        }
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::UInt(value) => write!(f, "{value}"),
            Self::Float32(value) => write_float(f, f64::from(*value), value),
            Self::Float64(value) => write_float(f, *value, value),
            Self::Decimal(digits, scale) => write_decimal(f, *digits, *scale),
            Self::Text(text) => f.write_str(text),
            Self::Bytes(bytes) => {
                f.write_str("\\x")?;
                write_hex(f, bytes)
            }
            Self::Date(days) => write_date(f, *days),
            Self::Time(micros) => write_time(f, *micros),
            Self::Timestamp(micros) => write_timestamp(f, *micros),
            Self::TimestampTz(micros) => write_timestamp(f, *micros).and_then(|()| f.write_str("Z")),
            Self::Uuid(bytes) => write_uuid(f, bytes),
            Self::List(elements, of) => f.write_str(&list_to_json(elements, of)),
        }
    }
}

fn write_float(f: &mut fmt::Formatter<'_>, value: f64, shortest: &impl fmt::Debug) -> fmt::Result {
    match value {
        _ if value.is_nan() => f.write_str("NaN"),
        f64::INFINITY => f.write_str("Infinity"),
        f64::NEG_INFINITY => f.write_str("-Infinity"),
        // `Debug` gives the shortest digits, with an exponent where that is shorter.
        _ => write!(f, "{shortest:?}"),
    }
}

fn write_decimal(f: &mut fmt::Formatter<'_>, digits: i128, scale: i8) -> fmt::Result {
    let Ok(scale @ 1..) = usize::try_from(scale) else { return write!(f, "{digits}") };
    let sign = if digits < 0 { "-" } else { "" };
    let digits = format!("{:0width$}", digits.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    write!(f, "{sign}{whole}.{fraction}")
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

fn write_uuid(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            f.write_str("-")?;
        }
        write!(f, "{byte:02x}")?;
    }
    Ok(())
}

/// Days beyond the calendar of the library stand as a count, which no date looks like.
fn write_date(f: &mut fmt::Formatter<'_>, days: i32) -> fmt::Result {
    let epoch = NaiveDate::default();
    let distance = Days::new(u64::from(days.unsigned_abs()));
    let date = if days < 0 { epoch.checked_sub_days(distance) } else { epoch.checked_add_days(distance) };
    match date {
        Some(date) => write!(f, "{date}"),
        None => write!(f, "{days}d"),
    }
}

fn write_time(f: &mut fmt::Formatter<'_>, micros: i64) -> fmt::Result {
    // 24:00:00 is a time of day in SQL, and none here.
    if micros == 86_400_000_000 {
        return f.write_str("24:00:00");
    }
    let (time, _) = NaiveTime::MIN.overflowing_add_signed(TimeDelta::microseconds(micros));
    write!(f, "{time}")
}

fn write_timestamp(f: &mut fmt::Formatter<'_>, micros: i64) -> fmt::Result {
    match DateTime::from_timestamp_micros(micros) {
        Some(time) => {
            let text = time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
            f.write_str(text.strip_suffix('Z').unwrap_or(&text))
        }
        None => write!(f, "{micros}us"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_texts() {
        let text = |value: Value<'_>| value.to_string();
        assert_eq!(text(Value::Decimal(-5, 2)), "-0.05");
        assert_eq!(text(Value::Decimal(1234, 2)), "12.34");
        assert_eq!(text(Value::Decimal(1234, 0)), "1234");
        assert_eq!(text(Value::Float64(0.1)), "0.1");
        assert_eq!(text(Value::Float32(0.1)), "0.1");
        assert_eq!(text(Value::Float64(1e300)), "1e300");
        assert_eq!(text(Value::Float64(f64::NEG_INFINITY)), "-Infinity");
        assert_eq!(text(Value::Bytes(&[0, 255])), "\\x00ff");
        assert_eq!(text(Value::Date(-1)), "1969-12-31");
        assert_eq!(text(Value::Time(18_000_000_001)), "05:00:00.000001");
        assert_eq!(text(Value::Timestamp(0)), "1970-01-01T00:00:00");
        assert_eq!(text(Value::TimestampTz(1_500_000)), "1970-01-01T00:00:01.500Z");
        assert_eq!(text(Value::Uuid(&[0x11; 16])), "11111111-1111-1111-1111-111111111111");
    }
}
