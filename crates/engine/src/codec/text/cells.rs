//! The columns of a batch, ready to be written cell by cell.

use arrow_array::{
    Array, BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float32Array,
    Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
    StructArray, Time64MicrosecondArray, TimestampMicrosecondArray, UInt8Array, UInt16Array, UInt32Array,
    UInt64Array, cast::AsArray,
};

use super::{Column, Type, absence::Absence, bytes, calendar, numbers};

/// A column, a list's elements or a struct's field.
pub(in crate::codec) struct Cells<'a> {
    array: &'a dyn Array,
    values: Values<'a>,
    absence: Absence,
}

/// What a cell holds.
pub(in crate::codec) enum Cell<'c, 'a> {
    /// Nothing is said of it: it is left out.
    Absent,
    Null,
    /// Text of any kind.
    Text(&'a str),
    /// A value whose text is digits, letters and a few signs: [`Cells::write`] gives it. Whether it reads as a literal of JSON.
    Plain {
        literal: bool,
    },
    /// These of the elements.
    List(&'c Cells<'a>, std::ops::Range<usize>),
    /// The fields, all at the row of the struct.
    Struct(&'c [Cells<'a>]),
}

enum Values<'a> {
    Bool(&'a BooleanArray),
    Int8(&'a Int8Array),
    Int16(&'a Int16Array),
    Int32(&'a Int32Array),
    Int64(&'a Int64Array),
    UInt8(&'a UInt8Array),
    UInt16(&'a UInt16Array),
    UInt32(&'a UInt32Array),
    UInt64(&'a UInt64Array),
    Float32(&'a Float32Array),
    Float64(&'a Float64Array),
    Decimal(&'a Decimal128Array, i8),
    Text(&'a StringArray),
    Bytes(&'a BinaryArray),
    Date(&'a Date32Array),
    Time(&'a Time64MicrosecondArray),
    Timestamp(&'a TimestampMicrosecondArray),
    TimestampTz(&'a TimestampMicrosecondArray),
    Uuid(&'a FixedSizeBinaryArray),
    Op(&'a UInt8Array),
    List(&'a ListArray, Box<Cells<'a>>),
    Struct(Vec<Cells<'a>>),
}

/// The columns of `batch`, which has `columns`.
pub(super) fn cells<'a>(batch: &'a RecordBatch, columns: &[Column]) -> Vec<Cells<'a>> {
    let absences = Absence::of_columns(batch, columns);
    let arrays = batch.columns().iter();
    let cells = arrays.zip(columns).zip(absences).map(|((array, column), absence)| {
        let mut cells = Cells::new(array.as_ref(), &column.holds, absence);
        cells.tell_before(batch, &column.name);
        cells
    });
    cells.collect()
}

impl<'a> Cells<'a> {
    /// # Panics
    /// When the array is not of the type: a batch is checked against the schema that the columns come from.
    fn new(array: &'a dyn Array, holds: &Type, absence: Absence) -> Self {
        let values = match holds {
            Type::Bool => Values::Bool(array.as_boolean()),
            Type::Int8 => Values::Int8(array.as_primitive()),
            Type::Int16 => Values::Int16(array.as_primitive()),
            Type::Int32 => Values::Int32(array.as_primitive()),
            Type::Int64 => Values::Int64(array.as_primitive()),
            Type::UInt8 => Values::UInt8(array.as_primitive()),
            Type::UInt16 => Values::UInt16(array.as_primitive()),
            Type::UInt32 => Values::UInt32(array.as_primitive()),
            Type::UInt64 => Values::UInt64(array.as_primitive()),
            Type::Float32 => Values::Float32(array.as_primitive()),
            Type::Float64 => Values::Float64(array.as_primitive()),
            Type::Decimal { scale, .. } => Values::Decimal(array.as_primitive(), *scale),
            Type::Text => Values::Text(array.as_string()),
            Type::Bytes => Values::Bytes(array.as_binary()),
            Type::Date => Values::Date(array.as_primitive()),
            Type::Time => Values::Time(array.as_primitive()),
            Type::Timestamp => Values::Timestamp(array.as_primitive()),
            Type::TimestampTz => Values::TimestampTz(array.as_primitive()),
            Type::Uuid => Values::Uuid(array.as_fixed_size_binary()),
            Type::Op => Values::Op(array.as_primitive()),
            Type::List(item) => {
                let list: &ListArray = array.as_list();
                Values::List(list, Box::new(Self::new(list.values().as_ref(), &item.holds, Absence::Never)))
            }
            Type::Struct(fields) => {
                let parts: &StructArray = array.as_struct();
                let arrays = parts.columns().iter().zip(fields);
                let cells =
                    arrays.map(|(array, field)| Self::new(array.as_ref(), &field.holds, Absence::Never));
                Values::Struct(cells.collect())
            }
        };
        Self { array, values, absence }
    }

    /// Where this is the column of values before: which of them are not known.
    fn tell_before(&mut self, batch: &RecordBatch, name: &str) {
        let Values::Struct(fields) = &mut self.values else { return };
        let absences = Absence::of_before(batch, name, fields.len());
        fields.iter_mut().zip(absences).for_each(|(field, absence)| field.absence = absence);
    }

    /// What `row` holds.
    pub(in crate::codec) fn cell<'c>(&'c self, row: usize) -> Cell<'c, 'a> {
        if self.array.is_null(row) {
            return if self.absence.holds(row) { Cell::Absent } else { Cell::Null };
        }
        match &self.values {
            Values::Text(array) => Cell::Text(array.value(row)),
            Values::List(array, elements) => {
                let offsets = array.value_offsets();
                // Offsets of Arrow are never negative.
                Cell::List(elements, offsets[row] as usize..offsets[row + 1] as usize)
            }
            Values::Struct(fields) => Cell::Struct(fields),
            Values::Float32(array) => Cell::Plain { literal: array.value(row).is_finite() },
            Values::Float64(array) => Cell::Plain { literal: array.value(row).is_finite() },
            Values::Bool(_)
            | Values::Int8(_)
            | Values::Int16(_)
            | Values::Int32(_)
            | Values::Int64(_)
            | Values::UInt8(_)
            | Values::UInt16(_)
            | Values::UInt32(_)
            | Values::UInt64(_) => Cell::Plain { literal: true },
            _ => Cell::Plain { literal: false },
        }
    }

    /// Appends the text of a [`Cell::Plain`] in `row` to `out`; the infinite among floats is called `infinity`.
    pub(in crate::codec) fn write(&self, row: usize, infinity: &str, out: &mut Vec<u8>) {
        match self.values {
            Values::Bool(array) => out.extend_from_slice(if array.value(row) { b"true" } else { b"false" }),
            Values::Int8(array) => numbers::write_int(array.value(row), out),
            Values::Int16(array) => numbers::write_int(array.value(row), out),
            Values::Int32(array) => numbers::write_int(array.value(row), out),
            Values::Int64(array) => numbers::write_int(array.value(row), out),
            Values::UInt8(array) => numbers::write_int(array.value(row), out),
            Values::UInt16(array) => numbers::write_int(array.value(row), out),
            Values::UInt32(array) => numbers::write_int(array.value(row), out),
            Values::UInt64(array) => numbers::write_int(array.value(row), out),
            Values::Float32(array) => numbers::write_float32(array.value(row), infinity, out),
            Values::Float64(array) => numbers::write_float64(array.value(row), infinity, out),
            Values::Decimal(array, scale) => numbers::write_decimal(array.value(row), scale, out),
            Values::Bytes(array) => bytes::write(array.value(row), out),
            Values::Date(array) => calendar::write_date(array.value(row).into(), out),
            Values::Time(array) => calendar::write_time(array.value(row), out),
            Values::Timestamp(array) => calendar::write_timestamp(array.value(row), out),
            Values::TimestampTz(array) => {
                calendar::write_timestamp(array.value(row), out);
                out.push(b'Z');
            }
            Values::Uuid(array) => bytes::write_uuid(array.value(row), out),
            Values::Op(array) => out.push(array.value(row)),
            Values::Text(_) | Values::List(..) | Values::Struct(_) => {}
        }
    }

    /// Whether an operation of it, if it has such, has a letter in every row.
    pub(super) fn has_letters(&self) -> bool {
        let Values::Op(ops) = self.values else { return true };
        ops.values().iter().all(u8::is_ascii_lowercase)
    }
}
