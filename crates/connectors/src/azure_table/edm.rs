//! One value, by the type that the service gives for it: the entity data model of OData, as "Payload format for Table service
//! operations" and "Understanding the Table service data model" of Microsoft's documentation have it.

use std::fmt::Write;

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::records::{Cell, Shape, Value};

/// The value of a property, whose type is `edm` where the answer names one. Booleans, strings, whole numbers of 32 bits and doubles go without.
/// `None`: it is none of that type, or nobody knows the type.
pub(super) fn value(cell: Cell<'_>, edm: Option<&str>) -> Option<Value> {
    let (text, shape) = match cell {
        Cell::Missing | Cell::Null => return Some(Value::Null),
        Cell::Value { text, shape, .. } => (text, shape),
    };
    let is_whole = |text: &str| text.parse::<i64>().is_ok();
    let (shape, text) = match (edm, shape) {
        (None | Some("Edm.String"), Shape::String) => (Shape::Text, text.to_owned()),
        (None | Some("Edm.Boolean"), Shape::Literal) if matches!(text, "true" | "false") => {
            (Shape::Literal, text.to_owned())
        }
        (None | Some("Edm.Int32"), Shape::Literal) if is_whole(text) => (Shape::Literal, text.to_owned()),
        (None | Some("Edm.Double"), Shape::Literal) => (Shape::Float, double(text)?),
        (Some("Edm.Double"), Shape::String) => (Shape::Float, double(text)?),
        (Some("Edm.Int64"), Shape::String | Shape::Literal) => {
            (Shape::Literal, text.parse::<i64>().ok()?.to_string())
        }
        (Some("Edm.DateTime"), Shape::String) => (Shape::String, universal(text)),
        (Some("Edm.Guid"), Shape::String) => (Shape::Uuid, text.to_owned()),
        (Some("Edm.Binary"), Shape::String) => (Shape::Bytes, bytes(text)?),
        _ => return None,
    };
    Some(Value::Shaped(shape, text))
}

/// A number of 64 bits, by the shortest digits that tell it from all others.
fn double(text: &str) -> Option<String> {
    if matches!(text, "NaN" | "Infinity" | "-Infinity") {
        return Some(text.to_owned());
    }
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite())?;
    Some(format!("{number:?}"))
}

/// Times are in UTC, whether they say so or not.
fn universal(text: &str) -> String {
    let says_so = text.ends_with('Z') || text.get(10..).is_some_and(|clock| clock.contains(['+', '-']));
    if says_so || text.len() <= 10 { text.to_owned() } else { format!("{text}Z") }
}

/// A time without the digits beyond the microsecond: the service counts in tenths of one.
pub(super) fn to_the_microsecond(time: &mut String) {
    if let Some(point) = time.find('.') {
        let digits = time[point + 1..].bytes().take_while(u8::is_ascii_digit).count();
        if digits > 6 {
            time.replace_range(point + 7..point + 1 + digits, "");
        }
    }
}

/// `\x` and two hexadecimal digits a byte.
fn bytes(base64: &str) -> Option<String> {
    let bytes = BASE64_STANDARD.decode(base64).ok()?;
    let mut text = String::with_capacity(2 + 2 * bytes.len());
    text.push_str("\\x");
    for byte in bytes {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, shape: Shape, edm: Option<&str>) -> Option<Value> {
        value(Cell::Value { text, raw: text, shape }, edm)
    }

    #[test]
    fn every_type_reads_exactly() {
        let shaped = |shape, text: &str| Some(Value::Shaped(shape, text.to_owned()));
        let cases = [
            ("2013-01-01", Shape::String, None, shaped(Shape::Text, "2013-01-01")),
            ("", Shape::String, Some("Edm.String"), shaped(Shape::Text, "")),
            ("true", Shape::Literal, None, shaped(Shape::Literal, "true")),
            ("-7", Shape::Literal, None, shaped(Shape::Literal, "-7")),
            ("7", Shape::Literal, Some("Edm.Int32"), shaped(Shape::Literal, "7")),
            (
                "9223372036854775807",
                Shape::String,
                Some("Edm.Int64"),
                shaped(Shape::Literal, "9223372036854775807"),
            ),
            ("5.0", Shape::Literal, None, shaped(Shape::Float, "5.0")),
            ("5", Shape::Literal, Some("Edm.Double"), shaped(Shape::Float, "5.0")),
            ("1E+300", Shape::Literal, None, shaped(Shape::Float, "1e300")),
            ("4.9406564584124654E-324", Shape::Literal, None, shaped(Shape::Float, "5e-324")),
            ("NaN", Shape::String, Some("Edm.Double"), shaped(Shape::Float, "NaN")),
            ("NaN", Shape::String, None, shaped(Shape::Text, "NaN")),
            (
                "2013-08-22T01:12:06.2608595Z",
                Shape::String,
                Some("Edm.DateTime"),
                shaped(Shape::String, "2013-08-22T01:12:06.2608595Z"),
            ),
            (
                "2008-07-10T00:00:00",
                Shape::String,
                Some("Edm.DateTime"),
                shaped(Shape::String, "2008-07-10T00:00:00Z"),
            ),
            (
                "C9DA6455-213d-42c9-9a79-3e9149a57833",
                Shape::String,
                Some("Edm.Guid"),
                shaped(Shape::Uuid, "C9DA6455-213d-42c9-9a79-3e9149a57833"),
            ),
            ("AP8=", Shape::String, Some("Edm.Binary"), shaped(Shape::Bytes, "\\x00ff")),
            ("", Shape::String, Some("Edm.Binary"), shaped(Shape::Bytes, "\\x")),
        ];
        for (text, shape, edm, expected) in cases {
            assert_eq!(read(text, shape, edm), expected, "{text} {edm:?}");
        }
        assert_eq!(value(Cell::Null, Some("Edm.Int64")), Some(Value::Null));
    }

    #[test]
    fn what_is_not_of_its_type_is_none() {
        for (text, shape, edm) in [
            ("9223372036854775808", Shape::String, Some("Edm.Int64")),
            ("5.5", Shape::Literal, Some("Edm.Int32")),
            ("1e999", Shape::Literal, None),
            ("A", Shape::String, Some("Edm.Binary")),
            ("1.5", Shape::String, Some("Edm.Decimal")),
            ("{}", Shape::Nested, None),
        ] {
            assert_eq!(read(text, shape, edm), None, "{text} {edm:?}");
        }
    }

    #[test]
    fn times_are_cut_to_the_microsecond() {
        for (time, cut) in [
            ("2013-08-22T01:12:06.2608595Z", "2013-08-22T01:12:06.260859Z"),
            ("2013-08-22T01:12:06.26Z", "2013-08-22T01:12:06.26Z"),
            ("2013-08-22T01:12:06Z", "2013-08-22T01:12:06Z"),
        ] {
            let mut text = time.to_owned();
            to_the_microsecond(&mut text);
            assert_eq!(text, cut);
        }
    }
}
