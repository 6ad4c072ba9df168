//! How values stand in a column: the table in the [module's](super) documentation.

use std::fmt::Write;

use rusqlite::types::ValueRef;
use tidemark_engine::{
    change::{Value, write_json},
    schema::Kind,
};

/// How a column stores its values. Its declared type tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Storage {
    Boolean,
    Integer,
    Float,
    Double,
    /// Integers and floats side by side, each as it is.
    Mixed,
    Number,
    Json,
    Date,
    Timestamp,
    Text,
    Blob,
}

impl Storage {
    pub(super) fn of(kind: &Kind) -> Self {
        match kind {
            Kind::Bool => Self::Boolean,
            Kind::Int8 | Kind::Int16 | Kind::Int32 | Kind::Int64 => Self::Integer,
            Kind::UInt8 | Kind::UInt16 | Kind::UInt32 => Self::Integer,
            Kind::UInt64 => Self::Mixed,
            Kind::Float32 => Self::Float,
            Kind::Float64 => Self::Double,
            Kind::Decimal { .. } | Kind::Number => Self::Number,
            Kind::Json | Kind::List { .. } => Self::Json,
            Kind::Date => Self::Date,
            Kind::Timestamp => Self::Timestamp,
            Kind::Bytes => Self::Blob,
            _ => Self::Text,
        }
    }

    /// The type a column of it is declared with.
    pub(super) fn declared(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::Integer => "INTEGER",
            Self::Float => "FLOAT",
            Self::Double => "DOUBLE",
            Self::Mixed => "",
            Self::Number => "NUMBER TEXT",
            Self::Json => "JSON TEXT",
            Self::Date => "DATE TEXT",
            Self::Timestamp => "TIMESTAMP TEXT",
            Self::Text => "TEXT",
            Self::Blob => "BLOB",
        }
    }

    /// The storage that `declared` tells; `None` when it is not one of ours.
    pub(super) fn from_declared(declared: &str) -> Option<Self> {
        use Storage::{Blob, Boolean, Date, Double, Float, Integer, Json, Mixed, Number, Text, Timestamp};
        [Boolean, Integer, Float, Double, Mixed, Number, Json, Date, Timestamp, Text, Blob]
            .into_iter()
            .find(|storage| storage.declared().eq_ignore_ascii_case(declared))
    }

    /// The narrowest storage that keeps what is stored as `self` and as `other`.
    pub(super) fn widen(self, other: Self) -> Self {
        use Storage::{Date, Double, Float, Integer, Json, Mixed, Number, Text, Timestamp};
        match (self, other) {
            _ if self == other => self,
            (Float, Double) | (Double, Float) => Double,
            (Integer | Float | Double | Mixed, Integer | Float | Double | Mixed) => Mixed,
            (Number, Integer | Float | Double | Mixed) | (Integer | Float | Double | Mixed, Number) => Number,
            (Date, Timestamp) | (Timestamp, Date) => Timestamp,
            (Json, _) | (_, Json) => Json,
            _ => Text,
        }
    }

    /// `value`, of a column of `kind`, as this storage holds it; text that must be made is made in `scratch`. `None` when
    /// it cannot hold it.
    #[inline]
    pub(super) fn store<'a>(
        self,
        value: &Value<'a>,
        kind: &Kind,
        scratch: &'a mut String,
    ) -> Option<ValueRef<'a>> {
        let stored = match (self, value) {
            (Self::Integer | Self::Mixed, Value::Int(int)) => ValueRef::Integer(*int),
            (Self::Integer | Self::Mixed, Value::UInt(int)) => match i64::try_from(*int) {
                Ok(int) => ValueRef::Integer(int),
                Err(_) if self == Self::Mixed => canonical(value, scratch),
                Err(_) => return None,
            },
            (Self::Boolean, Value::Bool(bool)) => ValueRef::Integer(i64::from(*bool)),
            (Self::Float | Self::Double | Self::Mixed, Value::Float32(float)) => real(f64::from(*float)),
            (Self::Float | Self::Double | Self::Mixed, Value::Float64(float)) => real(*float),
            (Self::Blob, Value::Bytes(bytes)) => ValueRef::Blob(bytes),
            (Self::Timestamp, _) if *kind == Kind::Date => midnight(value, scratch),
            (Self::Text | Self::Number | Self::Date | Self::Timestamp, Value::Text(text)) => {
                ValueRef::Text(text.as_bytes())
            }
            (Self::Json, Value::Text(text)) if *kind == Kind::Json => ValueRef::Text(text.as_bytes()),
            (Self::Json, _) => {
                scratch.clear();
                write_json(value, kind, scratch);
                ValueRef::Text(scratch.as_bytes())
            }
            (Self::Text | Self::Number | Self::Date | Self::Timestamp, _) => canonical(value, scratch),
            // What a column of numbers holds as text: NaN, an integer beyond 64 bits, an exception.
            (_, Value::Text(text)) if *kind == Kind::Number => return self.store_exception(text, scratch),
            _ => return None,
        };
        Some(stored)
    }

    /// `text`, the canonical text of a value that the column's kind cannot hold. `None` when SQLite would turn it into
    /// another value: a column with a numeric affinity makes a number of what looks like one.
    pub(super) fn store_exception<'a>(self, text: &'a str, scratch: &'a mut String) -> Option<ValueRef<'a>> {
        match self {
            Self::Json => {
                scratch.clear();
                write_json(&Value::Text(text), &Kind::Text, scratch);
                Some(ValueRef::Text(scratch.as_bytes()))
            }
            Self::Boolean | Self::Integer | Self::Float | Self::Double if looks_numeric(text) => None,
            _ => Some(ValueRef::Text(text.as_bytes())),
        }
    }

    /// The value that `stored` stands for in a column of this storage; `None` for NULL.
    pub(super) fn value(self, stored: ValueRef<'_>) -> Option<(Value<'_>, Kind)> {
        let value = match stored {
            ValueRef::Null => return None,
            ValueRef::Integer(int) if self == Self::Boolean => (Value::Bool(int != 0), Kind::Bool),
            ValueRef::Integer(int) => (Value::Int(int), Kind::Int64),
            // A float32 was widened exactly, so narrowing it back is exact too.
            ValueRef::Real(float) if self == Self::Float => (Value::Float32(float as f32), Kind::Float32),
            ValueRef::Real(float) => (Value::Float64(float), Kind::Float64),
            ValueRef::Blob(bytes) => (Value::Bytes(bytes), Kind::Bytes),
            ValueRef::Text(text) => match (self, std::str::from_utf8(text)) {
                (_, Err(_)) => (Value::Bytes(text), Kind::Bytes),
                (Self::Json, Ok(text)) => (Value::Text(text), Kind::Json),
                (Self::Date, Ok(text)) => (Value::Text(text), Kind::Date),
                (Self::Text | Self::Timestamp | Self::Blob, Ok(text)) => (Value::Text(text), Kind::Text),
                (_, Ok(text)) => (Value::Text(text), Kind::Number),
            },
        };
        Some(value)
    }
}

fn canonical<'a>(value: &Value<'_>, scratch: &'a mut String) -> ValueRef<'a> {
    scratch.clear();
    // Writing to a `String` cannot fail.
    let _ = write!(scratch, "{value}");
    ValueRef::Text(scratch.as_bytes())
}

/// The beginning of the day `date` as a timestamp. What is not a day, `infinity`, stays as it is.
fn midnight<'a>(date: &Value<'_>, scratch: &'a mut String) -> ValueRef<'a> {
    canonical(date, scratch);
    if scratch.ends_with(|last: char| last.is_ascii_digit()) {
        scratch.push_str("T00:00:00");
    }
    ValueRef::Text(scratch.as_bytes())
}

fn real(float: f64) -> ValueRef<'static> {
    // SQLite would store NULL.
    if float.is_nan() { ValueRef::Text(b"NaN") } else { ValueRef::Real(float) }
}

fn looks_numeric(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit()) && text.trim().parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::{Storage::*, *};

    #[test]
    fn widening_is_commutative_and_settles() {
        let all = [Boolean, Integer, Float, Double, Mixed, Number, Json, Date, Timestamp, Text, Blob];
        for a in all {
            assert_eq!(Storage::from_declared(a.declared()), Some(a));
            for b in all {
                let wide = a.widen(b);
                assert_eq!(wide, b.widen(a));
                assert_eq!(wide.widen(a), wide, "{a:?} {b:?}");
                assert_eq!(wide.widen(b), wide, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn what_is_stored_can_be_stored_wider() {
        let restore = |from: Storage, stored: ValueRef<'static>, to: Storage| {
            let (value, kind) = from.value(stored).unwrap();
            let mut scratch = String::new();
            match to.store(&value, &kind, &mut scratch).unwrap() {
                ValueRef::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
                other => format!("{other:?}"),
            }
        };
        assert_eq!(restore(Boolean, ValueRef::Integer(1), Text), "true");
        assert_eq!(restore(Boolean, ValueRef::Integer(0), Json), "false");
        assert_eq!(restore(Integer, ValueRef::Integer(i64::MAX), Mixed), "Integer(9223372036854775807)");
        assert_eq!(restore(Float, ValueRef::Real(f64::from(0.1f32)), Text), "0.1");
        assert_eq!(restore(Double, ValueRef::Text(b"NaN"), Number), "NaN");
        assert_eq!(restore(Mixed, ValueRef::Text(b"18446744073709551615"), Json), "18446744073709551615");
        assert_eq!(restore(Number, ValueRef::Text(b"1.10"), Json), "1.10");
        assert_eq!(restore(Text, ValueRef::Text(b"a\"b"), Json), "\"a\\\"b\"");
        assert_eq!(restore(Date, ValueRef::Text(b"2013-01-01"), Timestamp), "2013-01-01T00:00:00");
        assert_eq!(restore(Date, ValueRef::Text(b"infinity"), Timestamp), "infinity");
        assert_eq!(restore(Date, ValueRef::Text(b"2013-01-01"), Text), "2013-01-01");
        assert_eq!(
            restore(Timestamp, ValueRef::Text(b"2013-01-01T00:00:00"), Json),
            "\"2013-01-01T00:00:00\""
        );
        assert_eq!(restore(Blob, ValueRef::Blob(&[0, 255]), Text), "\\x00ff");
    }

    #[test]
    fn exceptions_and_nan_can_be_stored_wider() {
        let all = [Boolean, Integer, Float, Double, Mixed, Number, Json, Date, Timestamp, Text, Blob];
        for (from, other) in all.into_iter().flat_map(|from| all.map(|other| (from, other))) {
            let to = from.widen(other);
            if from == to {
                continue;
            }
            for text in ["NaN", "infinity"] {
                let (mut before, mut after) = (String::new(), String::new());
                let stored = from.store_exception(text, &mut before).unwrap();
                let (value, kind) = from.value(stored).unwrap();
                let wider = to.store(&value, &kind, &mut after);
                let expected = if to == Json { format!("\"{text}\"") } else { text.to_owned() };
                assert_eq!(wider, Some(ValueRef::Text(expected.as_bytes())), "{from:?} {to:?}");
            }
        }
    }

    #[test]
    fn exceptions_that_sqlite_would_alter_are_refused() {
        let mut scratch = String::new();
        assert!(Integer.store_exception("99999999999999999999", &mut scratch).is_none());
        assert!(Double.store_exception("infinity", &mut scratch).is_some());
        assert!(Text.store_exception("007", &mut scratch).is_some());
    }
}
