//! What the columns of a blob are called and hold, as the blob itself says it.

use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use serde::{Deserialize, Serialize};

use crate::change::reserved;

/// Lists and structs within one another: far more than any source has, and far less than a stack holds.
/// The columns of a stream may be one less deep: `_tidemark_before` holds them as well.
const DEEPEST: usize = 60;

/// One column, or a part of one: the elements of a list, a field of a struct.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::codec) struct Column {
    pub(in crate::codec) name: String,
    #[serde(rename = "type")]
    pub(in crate::codec) holds: Type,
    pub(in crate::codec) nullable: bool,
}

/// What a column holds: the Arrow types that a batch of changes has, and no others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(in crate::codec) enum Type {
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    Float32,
    Float64,
    Decimal {
        precision: u8,
        scale: i8,
    },
    Text,
    Bytes,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Uuid,
    /// The letter of an operation, stored as its byte.
    Op,
    List(Box<Column>),
    Struct(Vec<Column>),
}

/// The columns of `schema`; the name of the one that has no text.
pub(in crate::codec) fn columns(schema: &Schema) -> Result<Vec<Column>, String> {
    if !schema.metadata().is_empty() {
        return Err("its schema has metadata".into());
    }
    let column = |field: &FieldRef| {
        let unknown = || format!("column `{}` of type {} has no text", field.name(), field.data_type());
        Column::of(field, 0).ok_or_else(unknown)
    };
    schema.fields().iter().map(column).collect()
}

/// The schema of `columns`; `None` when a blob made them up.
pub(in crate::codec) fn schema(columns: &[Column]) -> Option<SchemaRef> {
    let fields: Option<Vec<_>> = columns.iter().map(|column| column.field(0)).collect();
    Some(Arc::new(Schema::new(fields?)))
}

impl Column {
    fn of(field: &Field, depth: usize) -> Option<Self> {
        if !field.metadata().is_empty() {
            return None;
        }
        let holds = match field.data_type() {
            DataType::UInt8 if depth == 0 && field.name() == reserved::OP => Type::Op,
            data_type => Type::of(data_type, depth)?,
        };
        Some(Self { name: field.name().clone(), holds, nullable: field.is_nullable() })
    }

    fn field(&self, depth: usize) -> Option<Field> {
        Some(Field::new(&self.name, self.holds.arrow(depth)?, self.nullable))
    }

    /// Whether it is one of our own, beside those of the stream.
    pub(in crate::codec) fn is_reserved(&self) -> bool {
        self.name.starts_with(crate::schema::RESERVED_PREFIX)
    }
}

impl Type {
    pub(in crate::codec) fn of(data_type: &DataType, depth: usize) -> Option<Self> {
        let below = |field: &FieldRef| Column::of(field, depth + 1);
        Some(match data_type {
            DataType::Boolean => Self::Bool,
            DataType::Int8 => Self::Int8,
            DataType::Int16 => Self::Int16,
            DataType::Int32 => Self::Int32,
            DataType::Int64 => Self::Int64,
            DataType::UInt8 => Self::UInt8,
            DataType::UInt16 => Self::UInt16,
            DataType::UInt32 => Self::UInt32,
            DataType::UInt64 => Self::UInt64,
            DataType::Float32 => Self::Float32,
            DataType::Float64 => Self::Float64,
            DataType::Decimal128(precision, scale) if is_sound(*precision, *scale) => {
                Self::Decimal { precision: *precision, scale: *scale }
            }
            DataType::Utf8 => Self::Text,
            DataType::Binary => Self::Bytes,
            DataType::Date32 => Self::Date,
            DataType::Time64(TimeUnit::Microsecond) => Self::Time,
            DataType::Timestamp(TimeUnit::Microsecond, None) => Self::Timestamp,
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if zone.as_ref() == "UTC" => {
                Self::TimestampTz
            }
            DataType::FixedSizeBinary(16) => Self::Uuid,
            DataType::List(item) if depth < DEEPEST => Self::List(Box::new(below(item)?)),
            DataType::Struct(fields) if depth < DEEPEST && !fields.is_empty() => {
                Self::Struct(fields.iter().map(below).collect::<Option<_>>()?)
            }
            _ => return None,
        })
    }

    /// The Arrow type that holds it; `None` for one that cannot be.
    pub(in crate::codec) fn arrow(&self, depth: usize) -> Option<DataType> {
        Some(match self {
            Self::Bool => DataType::Boolean,
            Self::Int8 => DataType::Int8,
            Self::Int16 => DataType::Int16,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::UInt8 | Self::Op => DataType::UInt8,
            Self::UInt16 => DataType::UInt16,
            Self::UInt32 => DataType::UInt32,
            Self::UInt64 => DataType::UInt64,
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::Decimal { precision, scale } if is_sound(*precision, *scale) => {
                DataType::Decimal128(*precision, *scale)
            }
            Self::Decimal { .. } => return None,
            Self::Text => DataType::Utf8,
            Self::Bytes => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::TimestampTz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Uuid => DataType::FixedSizeBinary(16),
            Self::List(_) | Self::Struct(_) if depth >= DEEPEST => return None,
            Self::Struct(fields) if fields.is_empty() => return None,
            Self::List(item) => DataType::List(Arc::new(item.field(depth + 1)?)),
            Self::Struct(fields) => {
                DataType::Struct(fields.iter().map(|field| field.field(depth + 1)).collect::<Option<_>>()?)
            }
        })
    }
}

fn is_sound(precision: u8, scale: i8) -> bool {
    (1..=38).contains(&precision) && scale >= 0 && scale.unsigned_abs() <= precision
}
