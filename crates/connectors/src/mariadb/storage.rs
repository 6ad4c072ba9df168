//! How values stand in a column: the table in the [module's](super) documentation.
//! <https://mariadb.com/kb/en/data-types/>

use std::io::Write;

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta};
use tidemark_engine::{
    change::{Cell, Value},
    schema::Kind,
};

const TEXT: &str = "CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin";
const ASCII: &str = "CHARACTER SET ascii COLLATE ascii_nopad_bin";
/// MariaDB's most digits of a DECIMAL, and most of them behind the point.
const DIGITS: (u8, u8) = (65, 38);

/// How a column stores its values. Its type tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Storage {
    Boolean,
    /// An integer of so many bytes.
    Integer {
        bytes: u8,
        unsigned: bool,
    },
    Decimal {
        precision: u8,
        scale: u8,
    },
    Float,
    Double,
    Date,
    Time,
    Timestamp,
    Uuid,
    Text,
    /// Text of so many characters, short enough for a key.
    ShortText(u16),
    Blob,
    /// So many bytes, short enough for a key.
    ShortBlob(u16),
}

impl Storage {
    pub(super) fn of(kind: &Kind) -> Self {
        let integer = |bytes, unsigned| Self::Integer { bytes, unsigned };
        match kind {
            Kind::Bool => Self::Boolean,
            Kind::Int8 => integer(1, false),
            Kind::Int16 => integer(2, false),
            Kind::Int32 => integer(4, false),
            Kind::Int64 => integer(8, false),
            Kind::UInt8 => integer(1, true),
            Kind::UInt16 => integer(2, true),
            Kind::UInt32 => integer(4, true),
            Kind::UInt64 => integer(8, true),
            Kind::Float32 => Self::Float,
            Kind::Float64 => Self::Double,
            Kind::Decimal { precision, scale } => match u8::try_from(*scale) {
                Ok(scale) => Self::decimal(precision.saturating_sub(scale), scale),
                Err(_) => Self::Text,
            },
            Kind::Date => Self::Date,
            Kind::Time => Self::Time,
            Kind::Timestamp | Kind::TimestampTz => Self::Timestamp,
            Kind::Uuid => Self::Uuid,
            Kind::Bytes => Self::Blob,
            _ => Self::Text,
        }
    }

    /// With so many digits before and behind the point; text where MariaDB has no such type.
    fn decimal(whole: u8, scale: u8) -> Self {
        let precision = whole.saturating_add(scale);
        let holds = precision <= DIGITS.0 && scale <= DIGITS.1;
        if holds { Self::Decimal { precision, scale } } else { Self::Text }
    }

    /// The same as part of a key, of which texts and bytes may be `length` long.
    pub(super) fn in_key(self, length: u16) -> Self {
        match self {
            Self::Text => Self::ShortText(length),
            Self::Blob => Self::ShortBlob(length),
            other => other,
        }
    }

    /// How many bytes of a key it takes; `None` when that depends on how long it may be.
    pub(super) fn key_bytes(self) -> Option<u16> {
        Some(match self {
            Self::Text | Self::Blob | Self::ShortText(_) | Self::ShortBlob(_) => return None,
            Self::Uuid => 36,
            Self::Decimal { .. } => 32,
            _ => 8,
        })
    }

    /// The type a column of it is declared with.
    pub(super) fn declared(self) -> String {
        match self {
            Self::Boolean => "tinyint(1)".into(),
            Self::Integer { bytes, unsigned } => {
                let name = match bytes {
                    1 => "tinyint",
                    2 => "smallint",
                    3 => "mediumint",
                    4 => "int",
                    _ => "bigint",
                };
                format!("{name}{}", if unsigned { " unsigned" } else { "" })
            }
            Self::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
            Self::Float => "float".into(),
            Self::Double => "double".into(),
            Self::Date => "date".into(),
            Self::Time => "time(6)".into(),
            Self::Timestamp => "datetime(6)".into(),
            Self::Uuid => format!("char(36) {ASCII}"),
            Self::Text => format!("longtext {TEXT}"),
            Self::ShortText(length) => format!("varchar({length}) {TEXT}"),
            Self::Blob => "longblob".into(),
            Self::ShortBlob(length) => format!("varbinary({length})"),
        }
    }

    /// The storage that a type as the server tells it stands for; `None` when it is none that values are kept in unaltered.
    pub(super) fn from_declared(declared: &str) -> Option<Self> {
        let declared = declared.to_ascii_lowercase();
        let (name, rest) = declared.split_once('(').unwrap_or((&declared, ""));
        let (name, unsigned) = (name.trim_end_matches(" unsigned"), declared.ends_with("unsigned"));
        let mut numbers =
            rest.split(')').next().unwrap_or("").split(',').map(|it| it.trim().parse::<u16>().ok());
        let (first, second) = (numbers.next().flatten(), numbers.next().flatten());
        let integer = |bytes| Some(Self::Integer { bytes, unsigned });
        if declared.contains("zerofill") {
            return None;
        }
        match (name, first) {
            ("tinyint", Some(1)) if !unsigned => Some(Self::Boolean),
            ("tinyint", _) => integer(1),
            ("smallint", _) => integer(2),
            ("mediumint", _) => integer(3),
            ("int", _) => integer(4),
            ("bigint", _) => integer(8),
            ("decimal", Some(precision)) if !unsigned => {
                let scale = u8::try_from(second.unwrap_or(0)).ok()?;
                Some(Self::Decimal { precision: u8::try_from(precision).ok()?, scale })
            }
            ("float", None) if !unsigned => Some(Self::Float),
            ("double", None) if !unsigned => Some(Self::Double),
            ("date", _) => Some(Self::Date),
            ("time", Some(6)) => Some(Self::Time),
            ("datetime", Some(6)) => Some(Self::Timestamp),
            ("char", Some(36)) => Some(Self::Uuid),
            ("longtext" | "mediumtext" | "text", _) => Some(Self::Text),
            ("varchar", Some(length)) => Some(Self::ShortText(length)),
            ("longblob" | "mediumblob" | "blob", _) => Some(Self::Blob),
            ("varbinary", Some(length)) => Some(Self::ShortBlob(length)),
            _ => None,
        }
    }

    /// The narrowest storage that keeps what is stored as `self` and as `other`, where MariaDB turns the former into it without a loss
    /// and in the form that new values have; `None` where it does not.
    pub(super) fn widen(self, other: Self) -> Option<Self> {
        use Storage::{
            Blob, Boolean, Date, Decimal, Double, Float, Integer, ShortBlob, ShortText, Text, Timestamp, Uuid,
        };
        if self == other {
            return Some(self);
        }
        Some(match (self, other) {
            (Integer { bytes: a, unsigned: x }, Integer { bytes: b, unsigned: y }) if x == y => {
                Integer { bytes: a.max(b), unsigned: x }
            }
            (Integer { bytes, unsigned }, Integer { bytes: other, .. }) => {
                // The one with a sign needs more bytes than the other.
                let (signed, plain) = if unsigned { (other, bytes) } else { (bytes, other) };
                match signed.max(plain.saturating_mul(2)) {
                    bytes @ ..=4 => Integer { bytes, unsigned: false },
                    8 if plain <= 4 => Integer { bytes: 8, unsigned: false },
                    6 => Integer { bytes: 8, unsigned: false },
                    _ => Decimal { precision: 20, scale: 0 },
                }
            }
            (Boolean, Integer { .. }) => other,
            (Integer { .. }, Boolean) => self,
            (Integer { bytes, .. }, Decimal { precision, scale })
            | (Decimal { precision, scale }, Integer { bytes, .. }) => Self::decimal(
                precision.saturating_sub(scale).max(DIGITS_OF_INTEGERS[usize::from(bytes)]),
                scale,
            ),
            (Decimal { precision: a, scale: x }, Decimal { precision: b, scale: y }) => {
                Self::decimal(a.saturating_sub(x).max(b.saturating_sub(y)), x.max(y))
            }
            (Float, Double) | (Double, Float) => Double,
            // Every integer of these is one of the float.
            (Integer { bytes: ..=4, .. }, Double) | (Double, Integer { bytes: ..=4, .. }) => Double,
            (Integer { bytes: ..=4, .. }, Float) | (Float, Integer { bytes: ..=4, .. }) => Double,
            (Date, Timestamp) | (Timestamp, Date) => Timestamp,
            (ShortText(a), ShortText(b)) => ShortText(a.max(b)),
            (ShortBlob(a), ShortBlob(b)) => ShortBlob(a.max(b)),
            (ShortText(_), Text) | (Text, ShortText(_)) => Text,
            (ShortBlob(_), Blob) | (Blob, ShortBlob(_)) => Blob,
            // What is in a column of text holds everything; what becomes text must read as text of ours does.
            (Text, _) => Text,
            (ShortText(length), _) => ShortText(length),
            (Integer { .. } | Decimal { .. } | Date | Uuid, ShortText(length)) => ShortText(length),
            (Integer { .. } | Decimal { .. } | Date | Uuid, _) => Text,
            _ => return None,
        })
    }

    /// Adds what a cell of a column of `kind` holds to `out`, as this storage reads it. `false` when it cannot hold it.
    pub(super) fn write(self, cell: &Cell<'_>, kind: &Kind, out: &mut Vec<u8>) -> bool {
        match cell {
            Cell::Unchanged | Cell::Null => false,
            Cell::Value(value) => self.write_value(value, kind, out),
            Cell::Exception(text) => match self {
                Self::Text => put(out, text),
                Self::ShortText(length) => fits(text, length) && put(out, text),
                _ => false,
            },
        }
    }

    fn write_value(self, value: &Value<'_>, kind: &Kind, out: &mut Vec<u8>) -> bool {
        match (self, value) {
            (Self::Text, Value::Text(text)) => put(out, text),
            (Self::Text, _) => put(out, value),
            (Self::ShortText(length), Value::Text(text)) => fits(text, length) && put(out, text),
            (Self::ShortText(length), _) => {
                let text = value.to_string();
                fits(&text, length) && put(out, text)
            }
            (Self::Blob, Value::Bytes(bytes)) => append(out, bytes),
            (Self::ShortBlob(length), Value::Bytes(bytes)) => {
                bytes.len() <= usize::from(length) && append(out, bytes)
            }
            (Self::Boolean | Self::Integer { .. }, Value::Bool(value)) => put(out, u8::from(*value)),
            (Self::Integer { bytes, unsigned }, Value::Int(int)) => {
                in_range(i128::from(*int), bytes, unsigned) && put(out, int)
            }
            (Self::Integer { bytes, unsigned }, Value::UInt(int)) => {
                in_range(i128::from(*int), bytes, unsigned) && put(out, int)
            }
            (Self::Decimal { .. }, Value::Int(_) | Value::UInt(_) | Value::Decimal(..)) => put(out, value),
            (Self::Float | Self::Double, Value::Float32(float)) => put_float(out, f64::from(*float)),
            (Self::Double, Value::Float64(float)) => put_float(out, *float),
            (Self::Double, Value::Int(int)) if i32::try_from(*int).is_ok() => put(out, int),
            (Self::Double, Value::UInt(int)) if u32::try_from(*int).is_ok() => put(out, int),
            (Self::Date, Value::Date(days)) => date(*days).is_some_and(|date| put(out, date)),
            (Self::Timestamp, Value::Date(days)) if *kind == Kind::Date => {
                date(*days).is_some_and(|date| put(out, date.format("%Y-%m-%d 00:00:00.000000")))
            }
            (Self::Time, Value::Time(micros @ 0..=86_400_000_000)) => {
                let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
                let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
                put(out, format_args!("{hours:02}:{minutes:02}:{seconds:02}.{micros:06}"))
            }
            (Self::Timestamp, Value::Timestamp(micros) | Value::TimestampTz(micros)) => {
                let time =
                    DateTime::from_timestamp_micros(*micros).filter(|time| (1..=9999).contains(&time.year()));
                time.is_some_and(|time| put(out, time.format("%Y-%m-%d %H:%M:%S%.6f")))
            }
            (Self::Uuid, Value::Uuid(_)) => put(out, value),
            _ => false,
        }
    }
}

/// How many digits the integers of so many bytes have.
const DIGITS_OF_INTEGERS: [u8; 9] = [0, 3, 5, 8, 10, 13, 15, 18, 20];

fn put(out: &mut Vec<u8>, text: impl std::fmt::Display) -> bool {
    write!(out, "{text}").is_ok()
}

fn append(out: &mut Vec<u8>, bytes: &[u8]) -> bool {
    out.extend_from_slice(bytes);
    true
}

/// MariaDB knows neither NaN nor infinity.
fn put_float(out: &mut Vec<u8>, float: f64) -> bool {
    float.is_finite() && put(out, format_args!("{float:e}"))
}

fn fits(text: &str, length: u16) -> bool {
    text.len() <= usize::from(length) || text.chars().count() <= usize::from(length)
}

fn in_range(int: i128, bytes: u8, unsigned: bool) -> bool {
    let bits = u32::from(bytes) * 8;
    if unsigned {
        (0..1i128 << bits).contains(&int)
    } else {
        (-(1i128 << (bits - 1))..1i128 << (bits - 1)).contains(&int)
    }
}

/// A day that MariaDB has.
fn date(days: i32) -> Option<NaiveDate> {
    let date = NaiveDate::default().checked_add_signed(TimeDelta::days(i64::from(days)))?;
    (1..=9999).contains(&date.year()).then_some(date)
}

#[cfg(test)]
mod tests {
    use super::{Storage::*, *};

    fn all() -> Vec<Storage> {
        let integers = [1, 2, 4, 8]
            .into_iter()
            .flat_map(|bytes| [false, true].map(|unsigned| Integer { bytes, unsigned }));
        let others =
            [Boolean, Float, Double, Date, Time, Timestamp, Uuid, Text, ShortText(255), Blob, ShortBlob(255)];
        let decimals = [(38, 2), (20, 0), (10, 9)].map(|(precision, scale)| Decimal { precision, scale });
        integers.chain(others).chain(decimals).collect()
    }

    #[test]
    fn types_are_recognized() {
        for storage in all() {
            let declared = storage.declared();
            let told = declared.split(" CHARACTER").next().unwrap();
            assert_eq!(Storage::from_declared(told), Some(storage));
        }
        assert_eq!(Storage::from_declared("int(11)"), Some(Integer { bytes: 4, unsigned: false }));
        assert_eq!(Storage::from_declared("bigint(20) unsigned"), Some(Integer { bytes: 8, unsigned: true }));
        assert_eq!(Storage::from_declared("timestamp(6)"), None);
    }

    #[test]
    fn widening_settles() {
        for a in all() {
            for b in all() {
                let Some(wide) = a.widen(b) else { continue };
                assert_eq!(wide.widen(a), Some(wide), "{a:?} {b:?}");
                assert_eq!(wide.widen(b), Some(wide), "{a:?} {b:?}");
            }
        }
        let (signed, plain) = (Integer { bytes: 4, unsigned: false }, Integer { bytes: 8, unsigned: true });
        assert_eq!(signed.widen(plain), Some(Decimal { precision: 20, scale: 0 }));
        // What the server would write of them is not what we write.
        assert_eq!((Float.widen(Text), Boolean.widen(Text), Timestamp.widen(Text)), (None, None, None));
    }

    #[test]
    fn what_cannot_be_held_is_not_written() {
        let written = |storage: Storage, value: Value<'_>| {
            let mut out = Vec::new();
            storage.write(&Cell::Value(value), &Kind::Text, &mut out).then(|| String::from_utf8(out).unwrap())
        };
        assert_eq!(written(Double, Value::Float64(f64::NAN)), None);
        assert_eq!(written(Double, Value::Float64(0.1)), Some("1e-1".into()));
        assert_eq!(written(Date, Value::Date(i32::MAX)), None);
        assert_eq!(written(Timestamp, Value::Timestamp(-1)), Some("1969-12-31 23:59:59.999999".into()));
        assert_eq!(written(Time, Value::Time(86_400_000_000)), Some("24:00:00.000000".into()));
        assert_eq!(written(ShortText(2), Value::Text("abc")), None);
        assert_eq!(written(ShortText(2), Value::Text("éé")), Some("éé".into()));
        assert_eq!(written(Integer { bytes: 1, unsigned: true }, Value::Int(256)), None);
    }
}
