//! How the values of a type are laid out.

/// A type whose binary format we read and write, or [`Format::Opaque`]: any other, which travels as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Format {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    Numeric,
    /// Text, and every type whose binary format is its text.
    Text,
    Json,
    Jsonb,
    Bytea,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Interval,
    Uuid,
    /// Elements of one format, and what stands between them in text.
    Array {
        of: Box<Format>,
        delimiter: char,
    },
    /// Known by its text alone.
    Opaque,
}

impl Format {
    /// The format of a built-in type; `None` when it has none here.
    pub(super) fn of_builtin(oid: u32) -> Option<Self> {
        Some(match oid {
            16 => Self::Bool,
            17 => Self::Bytea,
            19 | 25 | 1042 | 1043 => Self::Text,
            20 => Self::Int8,
            21 => Self::Int2,
            23 => Self::Int4,
            26 => Self::Oid,
            114 => Self::Json,
            700 => Self::Float4,
            701 => Self::Float8,
            1082 => Self::Date,
            1083 => Self::Time,
            1114 => Self::Timestamp,
            1184 => Self::TimestampTz,
            1186 => Self::Interval,
            1700 => Self::Numeric,
            2950 => Self::Uuid,
            3802 => Self::Jsonb,
            _ => return None,
        })
    }

    /// The built-in type that has it; 0 for arrays and what is known by its text alone.
    pub(super) fn oid(&self) -> u32 {
        match self {
            Self::Bool => 16,
            Self::Bytea => 17,
            Self::Int8 => 20,
            Self::Int2 => 21,
            Self::Int4 => 23,
            Self::Text => 25,
            Self::Oid => 26,
            Self::Json => 114,
            Self::Float4 => 700,
            Self::Float8 => 701,
            Self::Date => 1082,
            Self::Time => 1083,
            Self::Timestamp => 1114,
            Self::TimestampTz => 1184,
            Self::Interval => 1186,
            Self::Numeric => 1700,
            Self::Uuid => 2950,
            Self::Jsonb => 3802,
            Self::Array { .. } | Self::Opaque => 0,
        }
    }

    /// Whether we know its values in binary.
    pub(super) fn is_binary(&self) -> bool {
        match self {
            Self::Array { of, .. } => of.is_binary(),
            Self::Opaque => false,
            _ => true,
        }
    }

    /// Its name in messages.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Bool => "boolean",
            Self::Int2 => "smallint",
            Self::Int4 => "integer",
            Self::Int8 => "bigint",
            Self::Oid => "oid",
            Self::Float4 => "real",
            Self::Float8 => "double precision",
            Self::Numeric => "numeric",
            Self::Text => "text",
            Self::Json => "json",
            Self::Jsonb => "jsonb",
            Self::Bytea => "bytea",
            Self::Date => "date",
            Self::Time => "time",
            Self::Timestamp => "timestamp",
            Self::TimestampTz => "timestamptz",
            Self::Interval => "interval",
            Self::Uuid => "uuid",
            Self::Array { .. } => "array",
            Self::Opaque => "text",
        }
    }
}
