//! Arrays in the making, filled cell by cell from text.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, ListArray, StructArray,
    builder::{
        ArrayBuilder, BinaryBuilder, BooleanBuilder, FixedSizeBinaryBuilder, PrimitiveBuilder, StringBuilder,
    },
    types::{
        ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type,
        Int32Type, Int64Type, Time64MicrosecondType, TimestampMicrosecondType, UInt8Type, UInt16Type,
        UInt32Type, UInt64Type,
    },
};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, FieldRef, Fields};

use super::{Column, Type, Unsound, bytes, calendar, numbers};

/// A column, a list's elements or a struct's field.
pub(crate) enum Filling {
    Bool(BooleanBuilder),
    Int8(PrimitiveBuilder<Int8Type>),
    Int16(PrimitiveBuilder<Int16Type>),
    Int32(PrimitiveBuilder<Int32Type>),
    Int64(PrimitiveBuilder<Int64Type>),
    UInt8(PrimitiveBuilder<UInt8Type>),
    UInt16(PrimitiveBuilder<UInt16Type>),
    UInt32(PrimitiveBuilder<UInt32Type>),
    UInt64(PrimitiveBuilder<UInt64Type>),
    Float32(PrimitiveBuilder<Float32Type>),
    Float64(PrimitiveBuilder<Float64Type>),
    Decimal(PrimitiveBuilder<Decimal128Type>, i8),
    Text(StringBuilder),
    /// With room to decode in.
    Bytes(BinaryBuilder, Vec<u8>),
    Date(PrimitiveBuilder<Date32Type>),
    Time(PrimitiveBuilder<Time64MicrosecondType>),
    Timestamp(PrimitiveBuilder<TimestampMicrosecondType>),
    TimestampTz(PrimitiveBuilder<TimestampMicrosecondType>),
    Uuid(FixedSizeBinaryBuilder),
    Op(PrimitiveBuilder<UInt8Type>),
    List(Box<List>),
    Struct(Struct),
}

/// The elements so far, and where each list of them ends.
pub(crate) struct List {
    field: FieldRef,
    offsets: Vec<i32>,
    present: NullBufferBuilder,
    elements: Filling,
    count: usize,
}

/// The fields so far, and which structs there are.
pub(crate) struct Struct {
    fields: Fields,
    parts: Vec<Filling>,
    present: NullBufferBuilder,
}

/// What a cell is filled with.
pub(in crate::codec) enum Slot<'f> {
    /// Any text.
    Text(&'f mut StringBuilder),
    /// The text of a value, see [`Filling::parse`].
    Plain(&'f mut Filling),
    /// Elements, one after another.
    List(Elements<'f>),
    /// Fields, each once.
    Struct(Parts<'f>),
}

/// A list in the making.
pub(in crate::codec) struct Elements<'f>(&'f mut List);

/// A struct in the making.
pub(in crate::codec) struct Parts<'f>(&'f mut Struct);

impl Filling {
    /// An empty one; `None` where `column` is none that can be.
    pub(super) fn new(column: &Column) -> Option<Self> {
        let data_type = column.holds.arrow(0)?;
        Self::of(&column.holds, &data_type)
    }

    fn of(holds: &Type, data_type: &DataType) -> Option<Self> {
        fn primitive<T: ArrowPrimitiveType>(data_type: &DataType) -> PrimitiveBuilder<T> {
            PrimitiveBuilder::new().with_data_type(data_type.clone())
        }
        let values = match (holds, data_type) {
            (Type::Bool, _) => Self::Bool(BooleanBuilder::new()),
            (Type::Int8, of) => Self::Int8(primitive(of)),
            (Type::Int16, of) => Self::Int16(primitive(of)),
            (Type::Int32, of) => Self::Int32(primitive(of)),
            (Type::Int64, of) => Self::Int64(primitive(of)),
            (Type::UInt8, of) => Self::UInt8(primitive(of)),
            (Type::UInt16, of) => Self::UInt16(primitive(of)),
            (Type::UInt32, of) => Self::UInt32(primitive(of)),
            (Type::UInt64, of) => Self::UInt64(primitive(of)),
            (Type::Float32, of) => Self::Float32(primitive(of)),
            (Type::Float64, of) => Self::Float64(primitive(of)),
            (Type::Decimal { scale, .. }, of) => Self::Decimal(primitive(of), *scale),
            (Type::Text, _) => Self::Text(StringBuilder::new()),
            (Type::Bytes, _) => Self::Bytes(BinaryBuilder::new(), Vec::new()),
            (Type::Date, of) => Self::Date(primitive(of)),
            (Type::Time, of) => Self::Time(primitive(of)),
            (Type::Timestamp, of) => Self::Timestamp(primitive(of)),
            (Type::TimestampTz, of) => Self::TimestampTz(primitive(of)),
            (Type::Uuid, _) => Self::Uuid(FixedSizeBinaryBuilder::new(16)),
            (Type::Op, of) => Self::Op(primitive(of)),
            (Type::List(item), DataType::List(field)) => Self::List(Box::new(List {
                field: field.clone(),
                offsets: vec![0],
                present: NullBufferBuilder::new(0),
                elements: Self::of(&item.holds, field.data_type())?,
                count: 0,
            })),
            (Type::Struct(columns), DataType::Struct(fields)) => {
                let parts = columns.iter().zip(fields);
                let parts = parts.map(|(column, field)| Self::of(&column.holds, field.data_type()));
                let parts = parts.collect::<Option<_>>()?;
                Self::Struct(Struct { fields: fields.clone(), parts, present: NullBufferBuilder::new(0) })
            }
            (Type::List(_) | Type::Struct(_), _) => return None,
        };
        Some(values)
    }

    /// An empty one of `data_type`; `None` where no column of a batch has that.
    pub(crate) fn of_type(data_type: &DataType) -> Option<Self> {
        Self::of(&Type::of(data_type, 0)?, data_type)
    }

    /// Adds the value that `text` spells as the canonical text, and says whether it spells one. No list or struct is spelled so.
    pub(crate) fn add(&mut self, text: &str) -> bool {
        match self {
            Self::Text(builder) => {
                builder.append_value(text);
                true
            }
            other => other.parse(text, "Infinity").is_some(),
        }
    }

    /// The array of all cells since the last; why there is none.
    pub(crate) fn array(&mut self) -> Result<ArrayRef, Unsound> {
        self.finish()
    }

    /// Where the next cell's value goes.
    pub(in crate::codec) fn slot(&mut self) -> Slot<'_> {
        match self {
            Self::Text(builder) => Slot::Text(builder),
            Self::List(list) => Slot::List(Elements(list)),
            Self::Struct(parts) => Slot::Struct(Parts(parts)),
            plain => Slot::Plain(plain),
        }
    }

    /// Adds a cell without a value.
    pub(crate) fn null(&mut self) {
        match self {
            Self::Bool(builder) => builder.append_null(),
            Self::Int8(builder) => builder.append_null(),
            Self::Int16(builder) => builder.append_null(),
            Self::Int32(builder) => builder.append_null(),
            Self::Int64(builder) => builder.append_null(),
            Self::UInt8(builder) | Self::Op(builder) => builder.append_null(),
            Self::UInt16(builder) => builder.append_null(),
            Self::UInt32(builder) => builder.append_null(),
            Self::UInt64(builder) => builder.append_null(),
            Self::Float32(builder) => builder.append_null(),
            Self::Float64(builder) => builder.append_null(),
            Self::Decimal(builder, _) => builder.append_null(),
            Self::Text(builder) => builder.append_null(),
            Self::Bytes(builder, _) => builder.append_null(),
            Self::Date(builder) => builder.append_null(),
            Self::Time(builder) => builder.append_null(),
            Self::Timestamp(builder) | Self::TimestampTz(builder) => builder.append_null(),
            Self::Uuid(builder) => builder.append_null(),
            Self::List(list) => list.end(false),
            Self::Struct(parts) => {
                parts.parts.iter_mut().for_each(Self::null);
                parts.present.append_null();
            }
        }
    }

    /// Adds the value that `text` spells; `None` when it spells none. The infinite among floats is called `infinity`.
    pub(in crate::codec) fn parse(&mut self, text: &str, infinity: &str) -> Option<()> {
        match self {
            Self::Bool(builder) => builder.append_value(match text {
                "true" => true,
                "false" => false,
                _ => return None,
            }),
            Self::Int8(builder) => builder.append_value(text.parse().ok()?),
            Self::Int16(builder) => builder.append_value(text.parse().ok()?),
            Self::Int32(builder) => builder.append_value(text.parse().ok()?),
            Self::Int64(builder) => builder.append_value(text.parse().ok()?),
            Self::UInt8(builder) => builder.append_value(text.parse().ok()?),
            Self::UInt16(builder) => builder.append_value(text.parse().ok()?),
            Self::UInt32(builder) => builder.append_value(text.parse().ok()?),
            Self::UInt64(builder) => builder.append_value(text.parse().ok()?),
            Self::Float32(builder) => builder.append_value(numbers::parse_float32(text, infinity)?),
            Self::Float64(builder) => builder.append_value(numbers::parse_float64(text, infinity)?),
            Self::Decimal(builder, scale) => builder.append_value(numbers::parse_decimal(text, *scale)?),
            Self::Bytes(builder, room) => {
                bytes::parse(text, room)?;
                builder.append_value(room);
            }
            Self::Date(builder) => builder.append_value(calendar::parse_date(text)?),
            Self::Time(builder) => builder.append_value(calendar::parse_time(text)?),
            Self::Timestamp(builder) => builder.append_value(calendar::parse_timestamp(text)?),
            Self::TimestampTz(builder) => {
                builder.append_value(calendar::parse_timestamp(text.strip_suffix('Z')?)?)
            }
            Self::Uuid(builder) => builder.append_value(bytes::parse_uuid(text)?).ok()?,
            Self::Op(builder) => match text.as_bytes() {
                [letter @ b'a'..=b'z'] => builder.append_value(*letter),
                _ => return None,
            },
            Self::Text(_) | Self::List(_) | Self::Struct(_) => return None,
        }
        Some(())
    }

    /// About how many bytes of memory it takes.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Bool(builder) => builder.len() / 8,
            Self::Int8(builder) => builder.len(),
            Self::Int16(builder) => builder.len() * 2,
            Self::Int32(builder) => builder.len() * 4,
            Self::Int64(builder) => builder.len() * 8,
            Self::UInt8(builder) | Self::Op(builder) => builder.len(),
            Self::UInt16(builder) => builder.len() * 2,
            Self::UInt32(builder) => builder.len() * 4,
            Self::UInt64(builder) => builder.len() * 8,
            Self::Float32(builder) => builder.len() * 4,
            Self::Float64(builder) => builder.len() * 8,
            Self::Decimal(builder, _) => builder.len() * 16,
            Self::Text(builder) => builder.values_slice().len() + builder.len() * 4,
            Self::Bytes(builder, _) => builder.values_slice().len() + builder.len() * 4,
            Self::Date(builder) => builder.len() * 4,
            Self::Time(builder) => builder.len() * 8,
            Self::Timestamp(builder) | Self::TimestampTz(builder) => builder.len() * 8,
            Self::Uuid(builder) => builder.len() * 16,
            Self::List(list) => list.offsets.len() * 4 + list.elements.size(),
            Self::Struct(parts) => parts.parts.iter().map(Self::size).sum(),
        }
    }

    /// The array of all cells since the last.
    pub(super) fn finish(&mut self) -> Result<ArrayRef, Unsound> {
        Ok(match self {
            Self::Bool(builder) => Arc::new(builder.finish()),
            Self::Int8(builder) => Arc::new(builder.finish()),
            Self::Int16(builder) => Arc::new(builder.finish()),
            Self::Int32(builder) => Arc::new(builder.finish()),
            Self::Int64(builder) => Arc::new(builder.finish()),
            Self::UInt8(builder) | Self::Op(builder) => Arc::new(builder.finish()),
            Self::UInt16(builder) => Arc::new(builder.finish()),
            Self::UInt32(builder) => Arc::new(builder.finish()),
            Self::UInt64(builder) => Arc::new(builder.finish()),
            Self::Float32(builder) => Arc::new(builder.finish()),
            Self::Float64(builder) => Arc::new(builder.finish()),
            Self::Decimal(builder, _) => Arc::new(builder.finish()),
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Bytes(builder, _) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Time(builder) => Arc::new(builder.finish()),
            Self::Timestamp(builder) | Self::TimestampTz(builder) => Arc::new(builder.finish()),
            Self::Uuid(builder) => Arc::new(builder.finish()),
            Self::List(list) => list.finish()?,
            Self::Struct(parts) => parts.finish()?,
        })
    }
}

impl List {
    fn end(&mut self, is_present: bool) {
        // A batch is far smaller than what an offset can say.
        self.offsets.push(i32::try_from(self.count).unwrap_or(i32::MAX));
        self.present.append(is_present);
    }

    fn finish(&mut self) -> Result<ArrayRef, Unsound> {
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        self.count = 0;
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let (elements, present) = (self.elements.finish()?, self.present.finish());
        let list = ListArray::try_new(self.field.clone(), offsets, elements, present);
        Ok(Arc::new(list.map_err(|_| "a list lacks what it cannot lack")?))
    }
}

impl Struct {
    fn finish(&mut self) -> Result<ArrayRef, Unsound> {
        let parts = self.parts.iter_mut().map(Filling::finish).collect::<Result<Vec<_>, _>>()?;
        let present = self.present.finish();
        let whole = StructArray::try_new(self.fields.clone(), parts, present);
        Ok(Arc::new(whole.map_err(|_| "a struct lacks what it cannot lack")?))
    }
}

impl Elements<'_> {
    /// Where the next element goes: it must be filled.
    pub(in crate::codec) fn next(&mut self) -> &mut Filling {
        self.0.count += 1;
        &mut self.0.elements
    }

    pub(in crate::codec) fn end(self) {
        self.0.end(true);
    }
}

impl Parts<'_> {
    /// The fields, each to be filled once.
    pub(in crate::codec) fn fields(&mut self) -> &mut [Filling] {
        &mut self.0.parts
    }

    pub(in crate::codec) fn end(self) {
        self.0.present.append_non_null();
    }
}
