//! One column of a batch, built value by value.

use std::sync::Arc;

use tidemark_engine::{
    Error, Result,
    arrow_array::{
        ArrayRef,
        builder::{
            ArrayBuilder, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder,
            FixedSizeBinaryBuilder, Float32Builder, Float64Builder, Int16Builder, Int32Builder, Int64Builder,
            StringBuilder, Time64MicrosecondBuilder, TimestampMicrosecondBuilder, UInt32Builder,
        },
    },
    change::{Cell, Value},
    schema::Kind,
};

use super::{
    binary,
    column_type::ColumnType,
    format::Format,
    list::ListBuilder,
    target::{Form, Target},
    text::{self, Scratch},
};

/// Builds the array of one column from values as PostgreSQL sends them.
///
/// What an Arrow type cannot hold is appended as NULL, and its canonical text is handed back for the batch's
/// [`Exceptions`](tidemark_engine::change::Exceptions). Errors are [`tidemark_engine::ErrorKind::Data`] and name neither
/// the column, which the caller adds, nor the value; after one the builder is of no more use.
#[derive(Debug)]
pub(in crate::postgres) struct ColumnBuilder {
    format: Format,
    kind: Kind,
    is_binary: bool,
    values: Values,
    scratch: Scratch,
    bytes: usize,
}

#[derive(Debug)]
enum Values {
    Bool(BooleanBuilder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    UInt32(UInt32Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Decimal(Decimal128Builder),
    Text(StringBuilder),
    Bytes(BinaryBuilder),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Uuid(FixedSizeBinaryBuilder),
    List(Box<ListBuilder>),
}

/// Values that there is room for to begin with. Arrow's own choice, 1,024 in each column, would be most of what a batch of a few
/// changes holds in memory, and nobody would count it.
const ROOM: usize = 16;
/// What one value takes beside its text or bytes, about.
const FIXED_BYTES: usize = 8;
/// Arrow counts the bytes of a column's texts in 31 bits.
const MOST_BYTES: usize = i32::MAX as usize;

impl ColumnBuilder {
    /// For a column of this type.
    pub(in crate::postgres) fn new(column: &ColumnType) -> Self {
        Self::of(&column.format, &column.kind)
    }

    /// For values as a column stored like this sends them in binary; `None` where it sends another text or JSON instead.
    pub(in crate::postgres) fn of_stored(target: &Target) -> Option<Self> {
        match &target.form {
            Form::Own(format) => Some(Self::of(format, &target.kind)),
            Form::Canonical | Form::Json => None,
        }
    }

    pub(super) fn of(format: &Format, kind: &Kind) -> Self {
        let values = match (format, kind) {
            (Format::Bool, _) => Values::Bool(BooleanBuilder::with_capacity(ROOM)),
            (Format::Int2, _) => Values::Int16(Int16Builder::with_capacity(ROOM)),
            (Format::Int4, _) => Values::Int32(Int32Builder::with_capacity(ROOM)),
            (Format::Int8, _) => Values::Int64(Int64Builder::with_capacity(ROOM)),
            (Format::Oid, _) => Values::UInt32(UInt32Builder::with_capacity(ROOM)),
            (Format::Float4, _) => Values::Float32(Float32Builder::with_capacity(ROOM)),
            (Format::Float8, _) => Values::Float64(Float64Builder::with_capacity(ROOM)),
            (Format::Numeric, Kind::Decimal { .. }) => {
                Values::Decimal(Decimal128Builder::with_capacity(ROOM).with_data_type(kind.arrow()))
            }
            (Format::Bytea, _) => Values::Bytes(BinaryBuilder::with_capacity(ROOM, ROOM)),
            (Format::Date, _) => Values::Date(Date32Builder::with_capacity(ROOM)),
            (Format::Time, _) => Values::Time(Time64MicrosecondBuilder::with_capacity(ROOM)),
            (Format::Timestamp | Format::TimestampTz, _) => Values::Timestamp(
                TimestampMicrosecondBuilder::with_capacity(ROOM).with_data_type(kind.arrow()),
            ),
            (Format::Uuid, _) => Values::Uuid(FixedSizeBinaryBuilder::with_capacity(ROOM, 16)),
            (Format::Array { of, delimiter }, Kind::List { of: kind }) => {
                Values::List(Box::new(ListBuilder::new(of, kind, *delimiter)))
            }
            _ => Values::Text(StringBuilder::with_capacity(ROOM, ROOM)),
        };
        let (format, kind, is_binary) = (format.clone(), kind.clone(), format.is_binary());
        Self { format, kind, is_binary, values, scratch: Scratch::default(), bytes: 0 }
    }

    /// Appends a value of a `COPY` in binary that selected [`ColumnType::selected`], or of `pgoutput` with `binary` when the
    /// column's type [is binary](ColumnType::is_binary).
    #[inline]
    pub(in crate::postgres) fn append_binary(&mut self, bytes: &[u8]) -> Result<Option<String>> {
        if !self.is_binary {
            return self.append_text(binary::utf8(bytes)?);
        }
        self.reserve(bytes.len())?;
        if self.values.append_plain(&self.format, bytes)? {
            return Ok(None);
        }
        if let Values::List(list) = &mut self.values {
            return list.append_binary(bytes);
        }
        let cell = binary::read(&self.format, &self.kind, bytes, &mut self.scratch.text)?;
        self.values.push(&cell)
    }

    /// Appends a value as text, under the settings in [`SESSION`](super::SESSION).
    #[inline]
    pub(in crate::postgres) fn append_text(&mut self, text: &str) -> Result<Option<String>> {
        self.reserve(text.len())?;
        if let Values::List(list) = &mut self.values {
            return list.append_text(text);
        }
        let cell = text::read(&self.format, &self.kind, text, &mut self.scratch)?;
        self.values.push(&cell)
    }

    /// Appends NULL.
    pub(in crate::postgres) fn append_null(&mut self) {
        self.bytes += FIXED_BYTES;
        self.values.push_null();
    }

    /// How many values it holds.
    pub(in crate::postgres) fn len(&self) -> usize {
        match &self.values {
            Values::Bool(values) => values.len(),
            Values::Int16(values) => values.len(),
            Values::Int32(values) => values.len(),
            Values::Int64(values) => values.len(),
            Values::UInt32(values) => values.len(),
            Values::Float32(values) => values.len(),
            Values::Float64(values) => values.len(),
            Values::Decimal(values) => values.len(),
            Values::Text(values) => values.len(),
            Values::Bytes(values) => values.len(),
            Values::Date(values) => values.len(),
            Values::Time(values) => values.len(),
            Values::Timestamp(values) => values.len(),
            Values::Uuid(values) => values.len(),
            Values::List(values) => values.len(),
        }
    }

    /// The array of what was appended; the builder begins anew.
    pub(in crate::postgres) fn finish(&mut self) -> Result<ArrayRef> {
        self.bytes = 0;
        Ok(match &mut self.values {
            Values::Bool(values) => Arc::new(values.finish()),
            Values::Int16(values) => Arc::new(values.finish()),
            Values::Int32(values) => Arc::new(values.finish()),
            Values::Int64(values) => Arc::new(values.finish()),
            Values::UInt32(values) => Arc::new(values.finish()),
            Values::Float32(values) => Arc::new(values.finish()),
            Values::Float64(values) => Arc::new(values.finish()),
            Values::Decimal(values) => Arc::new(values.finish()),
            Values::Text(values) => Arc::new(values.finish()),
            Values::Bytes(values) => Arc::new(values.finish()),
            Values::Date(values) => Arc::new(values.finish()),
            Values::Time(values) => Arc::new(values.finish()),
            Values::Timestamp(values) => Arc::new(values.finish()),
            Values::Uuid(values) => Arc::new(values.finish()),
            Values::List(values) => values.finish()?,
        })
    }

    /// Counts a value of about `bytes`. Values in PostgreSQL's formats are never smaller than what they become by more than a
    /// few times, so the count stays below what Arrow can count.
    fn reserve(&mut self, bytes: usize) -> Result<()> {
        self.bytes += bytes + FIXED_BYTES;
        if self.bytes > MOST_BYTES {
            return Err(Error::data("a column's values in one batch take more than 2 GiB")
                .hint("exclude the column, or make its values smaller"));
        }
        Ok(())
    }
}

impl Values {
    /// Appends a value that every array of its type can hold, straight from its bytes; false where more is to be looked at.
    #[inline]
    fn append_plain(&mut self, format: &Format, bytes: &[u8]) -> Result<bool> {
        match self {
            Self::Int16(values) => values.append_value(i16::from_be_bytes(binary::fixed(bytes, format)?)),
            Self::Int32(values) => values.append_value(i32::from_be_bytes(binary::fixed(bytes, format)?)),
            Self::Int64(values) => values.append_value(i64::from_be_bytes(binary::fixed(bytes, format)?)),
            Self::Float32(values) => values.append_value(f32::from_be_bytes(binary::fixed(bytes, format)?)),
            Self::Float64(values) => values.append_value(f64::from_be_bytes(binary::fixed(bytes, format)?)),
            Self::Bytes(values) => values.append_value(bytes),
            Self::Text(values) if matches!(format, Format::Text | Format::Json) => {
                values.append_value(binary::utf8(bytes)?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    #[inline]
    fn push(&mut self, cell: &Cell<'_>) -> Result<Option<String>> {
        match (self, cell) {
            (Self::Bool(values), Cell::Value(Value::Bool(value))) => values.append_value(*value),
            (Self::Int16(values), Cell::Value(Value::Int(value))) => values.append_value(narrow(*value)?),
            (Self::Int32(values), Cell::Value(Value::Int(value))) => values.append_value(narrow(*value)?),
            (Self::Int64(values), Cell::Value(Value::Int(value))) => values.append_value(*value),
            (Self::UInt32(values), Cell::Value(Value::UInt(value))) => values.append_value(narrow(*value)?),
            (Self::Float32(values), Cell::Value(Value::Float32(value))) => values.append_value(*value),
            (Self::Float64(values), Cell::Value(Value::Float64(value))) => values.append_value(*value),
            (Self::Decimal(values), Cell::Value(Value::Decimal(digits, _))) => values.append_value(*digits),
            (Self::Text(values), Cell::Value(Value::Text(text))) => values.append_value(text),
            (Self::Bytes(values), Cell::Value(Value::Bytes(bytes))) => values.append_value(bytes),
            (Self::Date(values), Cell::Value(Value::Date(days))) => values.append_value(*days),
            (Self::Time(values), Cell::Value(Value::Time(micros))) => values.append_value(*micros),
            (Self::Timestamp(values), Cell::Value(Value::Timestamp(micros) | Value::TimestampTz(micros))) => {
                values.append_value(*micros)
            }
            (Self::Uuid(values), Cell::Value(Value::Uuid(bytes))) => values
                .append_value(bytes)
                .map_err(|error| Error::internal("a UUID does not have 16 bytes").source(error))?,
            (values, Cell::Exception(text)) => {
                values.push_null();
                return Ok(Some((*text).to_owned()));
            }
            _ => return Err(Error::internal("a value is of another kind than its column")),
        }
        Ok(None)
    }

    fn push_null(&mut self) {
        match self {
            Self::Bool(values) => values.append_null(),
            Self::Int16(values) => values.append_null(),
            Self::Int32(values) => values.append_null(),
            Self::Int64(values) => values.append_null(),
            Self::UInt32(values) => values.append_null(),
            Self::Float32(values) => values.append_null(),
            Self::Float64(values) => values.append_null(),
            Self::Decimal(values) => values.append_null(),
            Self::Text(values) => values.append_null(),
            Self::Bytes(values) => values.append_null(),
            Self::Date(values) => values.append_null(),
            Self::Time(values) => values.append_null(),
            Self::Timestamp(values) => values.append_null(),
            Self::Uuid(values) => values.append_null(),
            Self::List(values) => values.append_null(),
        }
    }
}

fn narrow<Wide, Narrow: TryFrom<Wide>>(value: Wide) -> Result<Narrow> {
    Narrow::try_from(value).map_err(|_| Error::data("an integer is beyond the range of its type"))
}
