//! What a column can hold. Every type of PostgreSQL, MySQL, SQLite and JSON has one kind here that holds
//! its values exactly, either in an Arrow type of its own or as canonical text under the type's name.

use std::sync::Arc;

use arrow_schema::{DataType, Field as ArrowField, TimeUnit};
use serde::{Deserialize, Serialize};

/// The kind of a column, and with it the Arrow type that stores it.
///
/// A value that its Arrow type cannot hold (NaN in a decimal, an infinite timestamp) travels as canonical text
/// in the batch's exceptions, see [`crate::change::Exceptions`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// True or false.
    Bool,
    /// Signed, 8 bits.
    Int8,
    /// Signed, 16 bits.
    Int16,
    /// Signed, 32 bits.
    Int32,
    /// Signed, 64 bits.
    Int64,
    /// Unsigned, 8 bits.
    UInt8,
    /// Unsigned, 16 bits.
    UInt16,
    /// Unsigned, 32 bits.
    UInt32,
    /// Unsigned, 64 bits.
    UInt64,
    /// IEEE 754, 32 bits, NaN and infinities included.
    Float32,
    /// IEEE 754, 64 bits, NaN and infinities included.
    Float64,
    /// A decimal with a fixed precision (1 to 38 digits) and scale (0 to precision).
    Decimal {
        /// Total digits.
        precision: u8,
        /// Digits after the point.
        scale: i8,
    },
    /// A decimal of any precision, as its decimal text (`-12.340`); its scale is part of the value.
    Number,
    /// Text in UTF-8.
    Text,
    /// Bytes.
    Bytes,
    /// A day of the proleptic Gregorian calendar: days since 1970-01-01.
    Date,
    /// A time of day without a zone: microseconds since midnight.
    Time,
    /// A date and time without a zone: microseconds since 1970-01-01T00:00:00.
    Timestamp,
    /// A moment: microseconds since 1970-01-01T00:00:00Z.
    TimestampTz,
    /// A length of time as ISO 8601 text with months, days and seconds each apart (`P14M3DT0.5S`): no two of them
    /// convert into one another.
    Interval,
    /// 16 bytes.
    Uuid,
    /// JSON, its text kept to the letter.
    Json,
    /// One of a set of labels, as its label.
    Enum {
        /// Every label, in the source's order.
        labels: Vec<String>,
    },
    /// A list of one kind; elements may be null.
    List {
        /// The kind of each element.
        of: Box<Kind>,
    },
    /// A type without a kind of its own, as the canonical text that its system reads back (`inet`, `int4range`).
    Other {
        /// The type's name in its own system. `native` in JSON, where it stands beside the field's name.
        #[serde(rename = "native")]
        name: String,
    },
}

impl Kind {
    /// The Arrow type that stores it. Every column is nullable there: a delete or an unchanged column holds none.
    pub fn arrow(&self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int8 => DataType::Int8,
            Self::Int16 => DataType::Int16,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::UInt8 => DataType::UInt8,
            Self::UInt16 => DataType::UInt16,
            Self::UInt32 => DataType::UInt32,
            Self::UInt64 => DataType::UInt64,
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::Decimal { precision, scale } => DataType::Decimal128(*precision, *scale),
            Self::Bytes => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::TimestampTz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Uuid => DataType::FixedSizeBinary(16),
            Self::Number
            | Self::Text
            | Self::Interval
            | Self::Json
            | Self::Enum { .. }
            | Self::Other { .. } => DataType::Utf8,
            Self::List { of } => DataType::List(Arc::new(ArrowField::new("item", of.arrow(), true))),
        }
    }

    /// Its name in messages and listings: `int64`, `decimal(12,2)`, `list of text`, `inet`.
    pub fn name(&self) -> String {
        match self {
            Self::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
            Self::List { of } => format!("list of {}", of.name()),
            Self::Other { name } => name.clone(),
            Self::Bool => "bool".into(),
            Self::Int8 => "int8".into(),
            Self::Int16 => "int16".into(),
            Self::Int32 => "int32".into(),
            Self::Int64 => "int64".into(),
            Self::UInt8 => "uint8".into(),
            Self::UInt16 => "uint16".into(),
            Self::UInt32 => "uint32".into(),
            Self::UInt64 => "uint64".into(),
            Self::Float32 => "float32".into(),
            Self::Float64 => "float64".into(),
            Self::Number => "number".into(),
            Self::Text => "text".into(),
            Self::Bytes => "bytes".into(),
            Self::Date => "date".into(),
            Self::Time => "time".into(),
            Self::Timestamp => "timestamp".into(),
            Self::TimestampTz => "timestamptz".into(),
            Self::Interval => "interval".into(),
            Self::Uuid => "uuid".into(),
            Self::Json => "json".into(),
            Self::Enum { .. } => "enum".into(),
        }
    }

    /// The kind a person names in a pipeline file; the reverse of [`Kind::name`] for kinds that need no more than
    /// a name, plus `decimal(p,s)`.
    pub fn parse(name: &str) -> Option<Self> {
        let simple = [
            Self::Bool,
            Self::Int8,
            Self::Int16,
            Self::Int32,
            Self::Int64,
            Self::UInt8,
            Self::UInt16,
            Self::UInt32,
            Self::UInt64,
            Self::Float32,
            Self::Float64,
            Self::Number,
            Self::Text,
            Self::Bytes,
            Self::Date,
            Self::Time,
            Self::Timestamp,
            Self::TimestampTz,
            Self::Uuid,
            Self::Json,
        ];
        if let Some(kind) = simple.into_iter().find(|kind| kind.name() == name) {
            return Some(kind);
        }
        let (precision, scale) = name.strip_prefix("decimal(")?.strip_suffix(')')?.split_once(',')?;
        let (precision, scale) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
        let sound = (1..=38).contains(&precision) && scale >= 0 && i16::from(scale) <= i16::from(precision);
        sound.then_some(Self::Decimal { precision, scale })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back() {
        for name in ["bool", "int64", "uint64", "float32", "number", "timestamptz", "json", "decimal(12,2)"] {
            assert_eq!(Kind::parse(name).map(|kind| kind.name()).as_deref(), Some(name));
        }
        for name in ["", "integer", "decimal", "decimal(0,0)", "decimal(39,2)", "decimal(4,5)"] {
            assert_eq!(Kind::parse(name), None, "{name}");
        }
    }
}
