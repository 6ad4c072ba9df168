//! Texts of numbers as other kinds write them, where that changes nothing about the number.

use tidemark_engine::schema::Kind;

/// More zeros than this make no sense of an exponent.
const FAR: i32 = 400;

/// `text`, of a value of kind `from`, as kind `to` writes it; `None` where a number would become another. What is no number comes back as it is.
pub(crate) fn respelled(text: &str, from: &Kind, to: &Kind) -> Option<String> {
    match to {
        Kind::Int8
        | Kind::Int16
        | Kind::Int32
        | Kind::Int64
        | Kind::UInt8
        | Kind::UInt16
        | Kind::UInt32
        | Kind::UInt64 => scaled(text, 0),
        Kind::Decimal { scale, .. } => scaled(text, usize::from(scale.unsigned_abs())),
        Kind::Number => Some(plain(text).map_or_else(|| text.to_owned(), |number| number.text())),
        Kind::Float32 if *from == Kind::Float64 => text.parse::<f64>().ok().and_then(|value| {
            let narrow = value as f32;
            (f64::from(narrow) == value || value.is_nan()).then(|| text_of_f32(narrow))
        }),
        Kind::Float64 if *from == Kind::Float32 => {
            Some(text.parse::<f32>().map_or_else(|_| text.to_owned(), |value| text_of_f64(f64::from(value))))
        }
        Kind::Float32 => floating(text, |text| text.parse::<f32>().ok().map(text_of_f32)),
        Kind::Float64 => floating(text, |text| text.parse::<f64>().ok().map(text_of_f64)),
        _ => Some(text.to_owned()),
    }
}

/// The number with exactly `scale` digits behind the point; what is no number as it is.
fn scaled(text: &str, scale: usize) -> Option<String> {
    let Some(number) = plain(text) else { return Some(text.to_owned()) };
    let fraction = number.fraction.trim_end_matches('0');
    if fraction.len() > scale {
        return None;
    }
    let sign = if number.is_negative && !(number.is_zero()) { "-" } else { "" };
    Some(match scale {
        0 => format!("{sign}{}", number.whole),
        scale => format!("{sign}{}.{fraction:0<scale$}", number.whole),
    })
}

/// The number as a float, where the shortest digits of the float are those of the number.
fn floating(text: &str, shortest: impl Fn(&str) -> Option<String>) -> Option<String> {
    let Some(number) = plain(text) else { return Some(text.to_owned()) };
    let float = shortest(text)?;
    let again = plain(&float)?;
    let same = (again.is_negative, &again.whole, again.fraction.trim_end_matches('0'))
        == (number.is_negative, &number.whole, number.fraction.trim_end_matches('0'));
    same.then_some(float)
}

fn text_of_f32(value: f32) -> String {
    if value.is_finite() { format!("{value:?}") } else { text_of_f64(f64::from(value)) }
}

fn text_of_f64(value: f64) -> String {
    tidemark_engine::change::Value::Float64(value).to_string()
}

/// A decimal number without an exponent.
struct Plain {
    is_negative: bool,
    /// Without zeros before it; at least one digit.
    whole: String,
    fraction: String,
}

impl Plain {
    fn is_zero(&self) -> bool {
        self.whole == "0" && self.fraction.bytes().all(|digit| digit == b'0')
    }

    fn text(&self) -> String {
        let (sign, point) =
            (if self.is_negative { "-" } else { "" }, if self.fraction.is_empty() { "" } else { "." });
        format!("{sign}{}{point}{}", self.whole, self.fraction)
    }
}

/// The number that `text` spells, with an exponent or without; `None` where it spells none.
fn plain(text: &str) -> Option<Plain> {
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (digits, exponent) = match digits.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok().filter(|it| it.abs() <= FAR)?),
        None => (digits, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) || (digits.ends_with('.')) {
        return None;
    }
    let all = format!("{whole}{fraction}");
    let point = i64::try_from(whole.len()).ok()? + i64::from(exponent);
    let (whole, fraction) = match usize::try_from(point) {
        Ok(point) if point >= all.len() => (format!("{all:0<point$}"), String::new()),
        Ok(point) => (all[..point].to_owned(), all[point..].to_owned()),
        Err(_) => {
            let zeros = usize::try_from(-point).ok()?;
            (String::new(), format!("{}{all}", "0".repeat(zeros)))
        }
    };
    let whole = match whole.trim_start_matches('0') {
        "" => "0".to_owned(),
        whole => whole.to_owned(),
    };
    Some(Plain { is_negative, whole, fraction })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(text: &str, kind: &Kind) -> Option<String> {
        respelled(text, &Kind::Text, kind)
    }

    #[test]
    fn numbers_stay_what_they_are_or_are_refused() {
        let decimal = Kind::Decimal { precision: 10, scale: 2 };
        assert_eq!(to("12.00", &Kind::Int64).as_deref(), Some("12"));
        assert_eq!(to("12.50", &Kind::Int64), None);
        assert_eq!(to("12", &decimal).as_deref(), Some("12.00"));
        assert_eq!(to("-0.5", &decimal).as_deref(), Some("-0.50"));
        assert_eq!(to("0.125", &decimal), None);
        assert_eq!(to("1.25e1", &decimal).as_deref(), Some("12.50"));
        assert_eq!(to("1e-1", &decimal).as_deref(), Some("0.10"));
        assert_eq!(to("0.1", &Kind::Float64).as_deref(), Some("0.1"));
        assert_eq!(to("9007199254740993", &Kind::Float64), None);
        assert_eq!(to("1e300", &Kind::Number).map(|text| text.len()), Some(301));
        assert_eq!(respelled("0.1", &Kind::Float64, &Kind::Float32), None);
        assert_eq!(respelled("0.5", &Kind::Float64, &Kind::Float32).as_deref(), Some("0.5"));
        assert_eq!(respelled("0.1", &Kind::Float32, &Kind::Float64).as_deref(), Some("0.10000000149011612"));
        assert_eq!(to("NaN", &Kind::Float64).as_deref(), Some("NaN"));
        assert_eq!(to("true", &Kind::Bool).as_deref(), Some("true"));
    }
}
