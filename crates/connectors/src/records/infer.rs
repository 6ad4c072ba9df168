//! What kind of value a text looks like, and what kind holds all the values of a column.

use serde::{Deserialize, Serialize};
use tidemark_engine::schema::{Kind, widen};

use super::{
    declared,
    moment::{self, Moment},
    rows::Shape,
};

/// The largest whole number up to which every whole number is exact in a float.
pub(crate) const EXACT_IN_FLOAT: u64 = 1 << 53;

/// The kind that holds all values seen so far. It only ever widens.
///
/// No number is changed: it becomes a float only when the float is that very number as far as its digits tell (`1.50` is
/// 1.5), and a column of floats with a whole number beyond 2^53 in it holds numbers as their texts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Inferred {
    /// The narrowest kind that holds them.
    #[serde(flatten)]
    pub(crate) kind: Kind,
    /// Whether one of them was a whole number beyond 2^53, which a float does not hold.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) beyond_float: bool,
    /// Whether one of them was a float that is no number, or infinite, which nothing but a float holds.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) not_finite: bool,
}

impl Inferred {
    pub(crate) fn of(kind: Kind) -> Self {
        Self { kind, beyond_float: false, not_finite: false }
    }

    /// From the looks of one value.
    pub(crate) fn from_value(text: &str, shape: Shape) -> Self {
        match shape {
            Shape::Nested => Some(Self::of(Kind::Json)),
            Shape::Literal => bool(text).map_or_else(|| number(text), |_| Some(Self::of(Kind::Bool))),
            Shape::String => moment_kind(text).map(Self::of),
            Shape::Text => None,
            Shape::Bytes => Some(Self::of(Kind::Bytes)),
            Shape::Float => {
                let float = text.parse::<f64>().ok();
                float.map(|float| Self { not_finite: !float.is_finite(), ..Self::of(Kind::Float64) })
            }
            Shape::Uuid => declared::uuid(text).map(|_| Self::of(Kind::Uuid)),
            Shape::Plain => match text.as_bytes() {
                [b't' | b'f', ..] => bool(text).map(|_| Self::of(Kind::Bool)),
                [b'-' | b'0'..=b'9', ..] => number(text).or_else(|| moment_kind(text).map(Self::of)),
                _ => None,
            },
        }
        .unwrap_or(Self::of(Kind::Text))
    }

    /// What holds the values of both.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        let beyond_float = self.beyond_float || other.beyond_float;
        let not_finite = self.not_finite || other.not_finite;
        let kind = match widen(&self.kind, &other.kind) {
            Kind::Float64 | Kind::Number if beyond_float && not_finite => Kind::Text,
            Kind::Float64 if beyond_float => Kind::Number,
            Kind::Number if not_finite => Kind::Text,
            kind => kind,
        };
        Self { kind, beyond_float, not_finite }
    }

    /// The same for a column of a key: two texts are two keys, so only kinds that give every text back will do. `1.1` and
    /// `1.10` are one number, `10:00Z` and `11:00+01:00` one moment; who knows that says so under `types`.
    #[must_use]
    pub(crate) fn of_a_key(self) -> Self {
        match self.kind {
            Kind::Bool | Kind::Int64 | Kind::Date | Kind::Json | Kind::Bytes => self,
            _ => Self::of(Kind::Text),
        }
    }

    /// Whether no value can widen it any more.
    pub(crate) fn is_widest(&self, shape: Shape) -> bool {
        let is_text = matches!(shape, Shape::Plain | Shape::Text | Shape::Bytes | Shape::Float | Shape::Uuid);
        self.kind == Kind::Json || (self.kind == Kind::Text && is_text)
    }
}

/// `true` or `false`.
pub(crate) fn bool(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn moment_kind(text: &str) -> Option<Kind> {
    if text.len() == 10 {
        return moment::date(text).map(|_| Kind::Date);
    }
    Some(match moment::moment(text)? {
        Moment::Local(_) => Kind::Timestamp,
        Moment::Universal(_) => Kind::TimestampTz,
    })
}

fn number(text: &str) -> Option<Inferred> {
    if let Some(int) = canonical_int(text) {
        return Some(Inferred {
            beyond_float: int.unsigned_abs() > EXACT_IN_FLOAT,
            ..Inferred::of(Kind::Int64)
        });
    }
    let kind = if exact_float(text).is_some() { Kind::Float64 } else { Kind::Number };
    is_number(text).then(|| Inferred::of(kind))
}

/// A whole number of 64 bits written the one way it would be written back: no `+`, no leading zero, no `-0`.
pub(crate) fn canonical_int(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    match digits {
        [] | [b'0', _, ..] => return None,
        [b'0'] => return (text.len() == 1).then_some(0),
        _ => {}
    }
    if digits.len() > 18 {
        // `parse` takes care of what may overflow; it would also take a `+`, which stands in no canonical number.
        return digits[0].is_ascii_digit().then(|| text.parse().ok()).flatten();
    }
    let value = digits
        .iter()
        .try_fold(0_i64, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))?;
    Some(if digits.len() == text.len() { value } else { -value })
}

/// A number whose digits a float holds: at most 15 significant ones, a whole number up to 2^53, or the very digits that
/// a float is written with.
pub(crate) fn exact_float(text: &str) -> Option<f64> {
    if !is_number(text) {
        return None;
    }
    let mantissa = text.split(['e', 'E']).next().unwrap_or(text).bytes().filter(u8::is_ascii_digit);
    let significant = mantissa.skip_while(|digit| *digit == b'0').count();
    if significant > 15 {
        return match canonical_int(text) {
            Some(int) => (int.unsigned_abs() <= EXACT_IN_FLOAT).then_some(int as f64),
            None => text.parse().ok().filter(|float| was_written_from(*float, text)),
        };
    }
    let float = text.parse::<f64>().ok()?;
    // Beyond a float's range it reads as infinite, below it as zero or with fewer digits.
    (float.is_normal() || (float == 0.0 && significant == 0)).then_some(float)
}

/// Whether `text` is what a program writes that had `float`: its shortest digits, such as `10.357019999999999`, or 16 or
/// 17 digits of it, such as `48.053808600000004` where the shortest are `48.0538086`.
fn was_written_from(float: f64, text: &str) -> bool {
    let digits = significant_digits(text);
    let rounded = || format!("{float:.*e}", digits.len() - 1);
    let shortest = || format!("{float:e}");
    float.is_normal()
        && digits.len() <= 17
        && [rounded(), shortest()].iter().any(|written| significant_digits(written) == digits)
}

/// The digits of a number's mantissa from the first that is not zero.
fn significant_digits(text: &str) -> Vec<u8> {
    let mantissa = text.split(['e', 'E']).next().unwrap_or(text);
    mantissa.bytes().filter(u8::is_ascii_digit).skip_while(|digit| *digit == b'0').collect()
}

/// A number as JSON writes it (RFC 8259, section 6): `-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?`.
pub(crate) fn is_number(text: &str) -> bool {
    let text = text.as_bytes();
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let (whole, mut rest) = split_digits(text);
    if whole.is_empty() || (whole.len() > 1 && whole[0] == b'0') {
        return false;
    }
    if let [b'.', fraction @ ..] = rest {
        let (digits, behind) = split_digits(fraction);
        if digits.is_empty() {
            return false;
        }
        rest = behind;
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let unsigned = exponent.strip_prefix(b"+").or(exponent.strip_prefix(b"-")).unwrap_or(exponent);
        let (digits, behind) = split_digits(unsigned);
        if digits.is_empty() {
            return false;
        }
        rest = behind;
    }
    rest.is_empty()
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kind(text: &str) -> Kind {
        Inferred::from_value(text, Shape::Plain).kind
    }

    #[test]
    fn kinds_by_looks() {
        let expected = [
            (Kind::Bool, &["true", "false"][..]),
            (Kind::Int64, &["0", "-1", "9223372036854775807", "-9223372036854775808"]),
            (
                Kind::Float64,
                &[
                    "0.1",
                    "-0",
                    "1e3",
                    "12345678901234.5e-3",
                    "0.000",
                    "-1.50",
                    "10.357019999999999",
                    "48.053808600000004",
                    "1234567890123456.5",
                ],
            ),
            (
                Kind::Number,
                &[
                    "9223372036854775808",
                    "0.123456789012345678",
                    "48.053808600000005",
                    "1e999",
                    "1e-999",
                    "1234567890123456.7",
                ],
            ),
            (Kind::Date, &["2013-01-01"]),
            (Kind::Timestamp, &["2013-01-01T05:00:00", "2013-01-01 05:00"]),
            (Kind::TimestampTz, &["2013-01-01T05:00:00Z", "2013-01-01 05:00:00.5+01"]),
            (
                Kind::Text,
                &["", "007", "+1", "-", "1.", ".5", "1e", "TRUE", "NaN", "2013-02-30", "1_000", " 1", "-+1"],
            ),
        ];
        for (expected, texts) in expected {
            for text in texts {
                assert_eq!(kind(text), expected, "{text}");
            }
        }
        assert_eq!(kind("--12345678901234567890"), Kind::Text);
        assert_eq!(kind("-+1234567890123456789"), Kind::Text);
    }

    #[test]
    fn kinds_of_keys_give_every_text_back() {
        let of = |text| Inferred::from_value(text, Shape::Plain).of_a_key().kind;
        assert_eq!((of("7"), of("2013-01-01"), of("true")), (Kind::Int64, Kind::Date, Kind::Bool));
        for text in ["1.10", "1e3", "99999999999999999999", "2013-01-01T10:00:00Z", "2013-01-01 10:00", "N1"]
        {
            assert_eq!(of(text), Kind::Text, "{text}");
        }
    }

    #[test]
    fn a_string_is_no_number() {
        assert_eq!(Inferred::from_value("5", Shape::String).kind, Kind::Text);
        assert_eq!(Inferred::from_value("2013-01-01", Shape::String).kind, Kind::Date);
        assert_eq!(Inferred::from_value("[1]", Shape::Nested).kind, Kind::Json);
    }

    #[test]
    fn what_a_system_says_is_not_guessed() {
        for text in ["5", "true", "2013-01-01", "\\x00", ""] {
            assert_eq!(Inferred::from_value(text, Shape::Text).kind, Kind::Text, "{text}");
        }
        let bytes = Inferred::from_value("\\x00", Shape::Bytes);
        assert_eq!(bytes.kind, Kind::Bytes);
        assert_eq!(bytes.clone().of_a_key().kind, Kind::Bytes);
        assert_eq!(bytes.and(Inferred::from_value("5", Shape::Literal)).kind, Kind::Text);
    }

    #[test]
    fn floats_that_are_no_numbers_stay_floats_or_become_texts() {
        let float = |text| Inferred::from_value(text, Shape::Float);
        let whole = |text| Inferred::from_value(text, Shape::Literal);
        for text in ["5.0", "5e-324", "NaN", "-Infinity"] {
            assert_eq!(float(text).kind, Kind::Float64, "{text}");
        }
        assert_eq!(float("NaN").and(whole("7")).kind, Kind::Float64);
        assert_eq!(float("0.5").and(whole("9007199254740993")).kind, Kind::Number);
        for order in [["NaN", "0.5"], ["0.5", "NaN"]] {
            let mixed = float(order[0]).and(whole("9007199254740993")).and(float(order[1]));
            assert_eq!(mixed.kind, Kind::Text, "{order:?}");
        }
        let uuid = Inferred::from_value("c9da6455-213d-42c9-9a79-3e9149a57833", Shape::Uuid);
        assert_eq!(uuid.kind, Kind::Uuid);
        assert_eq!(uuid.and(Inferred::from_value("x", Shape::Text)).kind, Kind::Text);
    }

    #[test]
    fn large_whole_numbers_keep_a_column_from_becoming_floats() {
        let of = |text| Inferred::from_value(text, Shape::Plain);
        assert_eq!(of("9007199254740992").and(of("0.5")).kind, Kind::Float64);
        assert_eq!(of("9007199254740993").and(of("0.5")).kind, Kind::Number);
        assert_eq!(of("0.5").and(of("1")).and(of("-9007199254740993")).kind, Kind::Number);
    }

    proptest! {
        #[test]
        fn the_order_of_values_does_not_matter(
            mut texts in prop::collection::vec("-?[0-9]{1,17}|[0-9]{1,3}\\.[0-9]{1,16}|true|x|2013-01-0[1-9](T05:00Z?)?", 1..6),
            seed in any::<u64>(),
        ) {
            let all = |texts: &[String]| {
                texts.iter().map(|text| Inferred::from_value(text, Shape::Plain)).reduce(Inferred::and)
            };
            let before = all(&texts);
            let len = texts.len();
            texts.rotate_left((seed % len as u64) as usize);
            texts.reverse();
            prop_assert_eq!(before.map(|all| all.kind), all(&texts).map(|all| all.kind));
        }

        #[test]
        fn whatever_looks_like_a_float_keeps_its_digits(text in "-?(0|[1-9][0-9]{0,8})\\.[0-9]{1,9}") {
            if let Some(float) = exact_float(&text) {
                let decimals = text.split_once('.').unwrap().1.len();
                prop_assert_eq!(format!("{float:.decimals$}"), text);
            }
        }
    }
}
