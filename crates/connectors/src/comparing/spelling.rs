//! Values as texts that are the same on both sides when the values are.

use std::fmt::Write;

use tidemark_engine::{
    change::{Cell, Value, write_json},
    schema::Kind,
};

/// How the values of one column are spelled. As a rule by their canonical text; the others say what became of values on their way
/// into a column of another type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// The canonical text.
    Canonical,
    /// The same, but zero has no sign.
    Unsigned,
    /// A float of 32 bits as the one of 64 bits that equals it. Zero has no sign.
    Widened,
    /// A number as the float of 64 bits that its text means.
    Float,
    /// A float that is a whole number as the integer that equals it, where that has 64 bits; a float of 32 bits as the one of 64
    /// bits that equals it. Zero has no sign.
    Whole,
    /// A decimal without zeros at its end: the column has a scale of its own.
    Trimmed,
    /// A day as the moment that it begins with.
    Midnight,
    /// As JSON; what is no JSON by itself as a JSON value.
    Json,
}

impl Spelling {
    /// Writes what `cell`, of a column of `kind`, holds into `out`, instead of what was there; false for NULL.
    pub fn spell(self, cell: &Cell<'_>, kind: &Kind, out: &mut String) -> bool {
        out.clear();
        match cell {
            Cell::Unchanged | Cell::Null => return false,
            Cell::Value(value) => self.value(value, kind, out),
            Cell::Exception(text) => match self {
                Self::Json => write_json(&Value::Text(text), &Kind::Text, out),
                _ => out.push_str(text),
            },
        }
        true
    }

    fn value(self, value: &Value<'_>, kind: &Kind, out: &mut String) {
        // Writing to a `String` cannot fail.
        let _ = match (self, value) {
            (Self::Json, _) => {
                write_json(value, kind, out);
                Ok(())
            }
            (Self::Unsigned, Value::Float32(float)) => write!(out, "{}", Value::Float32(float + 0.0)),
            (Self::Unsigned, Value::Float64(float)) => write!(out, "{}", Value::Float64(float + 0.0)),
            (Self::Widened, Value::Float32(float)) => {
                write!(out, "{}", Value::Float64(f64::from(*float) + 0.0))
            }
            (Self::Widened, Value::Float64(float)) => write!(out, "{}", Value::Float64(float + 0.0)),
            (Self::Whole, Value::Float32(float)) => whole(f64::from(*float), out),
            (Self::Whole, Value::Float64(float)) => whole(*float, out),
            (Self::Float, _) => {
                let text = value.to_string();
                match text.parse() {
                    Ok(float) => write!(out, "{}", Value::Float64(float)),
                    Err(_) => write!(out, "{text}"),
                }
            }
            (Self::Midnight, Value::Date(_)) => {
                let written = write!(out, "{value}");
                // A day beyond the calendar of people is a count, and has no time of day.
                if out.ends_with(|last: char| last.is_ascii_digit()) {
                    out.push_str("T00:00:00");
                }
                written
            }
            _ => write!(out, "{value}"),
        };
        if self == Self::Trimmed && out.contains('.') {
            let length = out.trim_end_matches('0').trim_end_matches('.').len();
            out.truncate(length);
        }
    }
}

fn whole(float: f64, out: &mut String) -> std::fmt::Result {
    const END: f64 = 9_223_372_036_854_775_808.0;
    if float.fract() == 0.0 && (-END..END).contains(&float) {
        return write!(out, "{}", float as i64);
    }
    write!(out, "{}", Value::Float64(float))
}

#[cfg(test)]
mod tests {
    use super::{Spelling::*, *};

    fn spelled(spelling: Spelling, value: Value<'_>, kind: &Kind) -> String {
        let mut out = "before".to_owned();
        assert!(spelling.spell(&Cell::Value(value), kind, &mut out));
        out
    }

    #[test]
    fn what_became_of_values() {
        let float = |spelling, value| spelled(spelling, Value::Float64(value), &Kind::Float64);
        assert_eq!(float(Canonical, -0.0), "-0.0");
        assert_eq!((float(Unsigned, -0.0), float(Widened, -0.0)), ("0.0".to_owned(), "0.0".to_owned()));
        let narrow = |spelling| spelled(spelling, Value::Float32(0.1), &Kind::Float32);
        assert_eq!((narrow(Float), narrow(Widened)), ("0.1".to_owned(), float(Canonical, f64::from(0.1f32))));
        let kind = Kind::Decimal { precision: 9, scale: 2 };
        assert_eq!(spelled(Canonical, Value::Decimal(110, 2), &kind), "1.10");
        assert_eq!(spelled(Trimmed, Value::Decimal(110, 2), &kind), "1.1");
        assert_eq!(spelled(Trimmed, Value::Decimal(100, 2), &kind), "1");
        assert_eq!(spelled(Trimmed, Value::Int(100), &Kind::Int64), "100");
        assert_eq!(spelled(Whole, Value::Int(-7), &Kind::Int64), "-7");
        assert_eq!(spelled(Whole, Value::Float32(0.1), &Kind::Float32), float(Canonical, f64::from(0.1f32)));
        for (value, text) in [
            (-7.0, "-7"),
            (-0.0, "0"),
            (9_007_199_254_740_992.0, "9007199254740992"),
            (i64::MIN as f64, "-9223372036854775808"),
        ] {
            assert_eq!(float(Whole, value), text);
        }
        for value in [0.5, -(i64::MIN as f64), f64::NAN, f64::INFINITY] {
            assert_eq!(float(Whole, value), float(Canonical, value));
        }
        assert_eq!(spelled(Midnight, Value::Date(0), &Kind::Date), "1970-01-01T00:00:00");
        assert_eq!(spelled(Midnight, Value::Timestamp(0), &Kind::Timestamp), "1970-01-01T00:00:00");
        assert_eq!(spelled(Json, Value::Text("a\"b"), &Kind::Text), "\"a\\\"b\"");
        assert_eq!(spelled(Json, Value::Text("{\"a\": 1}"), &Kind::Json), "{\"a\": 1}");
    }

    #[test]
    fn null_and_what_a_kind_cannot_hold() {
        let mut out = String::new();
        assert!(!Canonical.spell(&Cell::Null, &Kind::Date, &mut out));
        for (spelling, text) in [(Canonical, "infinity"), (Midnight, "infinity"), (Json, "\"infinity\"")] {
            assert!(spelling.spell(&Cell::Exception("infinity"), &Kind::Date, &mut out));
            assert_eq!(out, text);
        }
    }
}
