//! `application/x-www-form-urlencoded`: names and values of a form, as the URL standard writes them.
//!
//! As a record, a name that stands there several times is a JSON array of its values, and a value with nothing in it is NULL.

use indexmap::IndexMap;
use percent_encoding::percent_decode;
use tidemark_engine::{Error, Result};

use crate::records::{BuiltRows, Value};

/// Fields of one form; more are refused.
const FIELDS: usize = 4_096;

/// Something in a form that is no text, or too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// The names and values, in their order.
pub(super) fn fields(form: &[u8]) -> Result<Vec<(String, String)>, Malformed> {
    let mut fields = Vec::new();
    for pair in form.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        if fields.len() == FIELDS {
            return Err(Malformed);
        }
        let equals = pair.iter().position(|byte| *byte == b'=');
        let (name, value) = match equals {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &b""[..]),
        };
        fields.push((decode(name)?, decode(value)?));
    }
    Ok(fields)
}

/// The one field `name` of a form.
pub(super) fn field(form: &[u8], name: &str, origin: &str) -> Result<String> {
    let fields = fields(form).map_err(|Malformed| malformed(origin))?;
    let mut values = fields.into_iter().filter(|(field, _)| field == name).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value),
        (None, _) => Err(Error::data(format!("the form sent to `{origin}` has no field `{name}`"))),
        (Some(_), Some(_)) => {
            Err(Error::data(format!("the form sent to `{origin}` has the field `{name}` twice")))
        }
    }
}

/// The form as a record.
pub(super) fn record(form: &[u8], origin: &str) -> Result<BuiltRows> {
    let mut values: IndexMap<String, Vec<String>> = IndexMap::new();
    for (name, value) in fields(form).map_err(|Malformed| malformed(origin))? {
        if name.is_empty() {
            return Err(malformed(origin));
        }
        values.entry(name).or_default().push(value);
    }
    let mut rows = BuiltRows::default();
    if values.is_empty() {
        return Ok(rows);
    }
    rows.begin(1);
    for (name, values) in values {
        let value = match <[String; 1]>::try_from(values) {
            Ok([empty]) if empty.is_empty() => Value::Null,
            Ok([one]) => Value::Text(one),
            Err(several) => Value::Nested(serde_json::Value::from(several).to_string()),
        };
        // Each name is there once, and there are no more of them than there may be.
        rows.put(&name, value).map_err(|_| malformed(origin))?;
    }
    Ok(rows)
}

/// `+` is a space, `%2B` what it stands for.
fn decode(text: &[u8]) -> Result<String, Malformed> {
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    String::from_utf8(percent_decode(&spaced).collect()).map_err(|_| Malformed)
}

fn malformed(origin: &str) -> Error {
    Error::data(format!("what was sent to `{origin}` is not a form, or has more than {FIELDS} fields"))
        .hint("send names and values in UTF-8, as `application/x-www-form-urlencoded`")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use url::form_urlencoded;

    use super::*;
    use crate::records::{Cell, Rows, Shape};

    proptest! {
        #[test]
        fn what_was_encoded_comes_back(pairs in prop::collection::vec((".{0,8}", ".{0,8}"), 0..8)) {
            let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
            prop_assert_eq!(fields(form.as_bytes()), Ok(pairs));
        }

        #[test]
        fn whatever_comes_is_read_or_refused(form in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = fields(&form);
            let _ = record(&form, "/hook");
        }
    }

    #[test]
    fn several_values_of_a_name_are_an_array_and_an_empty_one_is_null() {
        let rows = record(b"a=1+2&b=x%3D&b=&c=&d", "/hook").unwrap();
        let cells: Vec<_> = (0..4).map(|column| rows.cell(column, 0)).collect();
        let nested = "[\"x=\",\"\"]";
        assert_eq!(
            cells,
            [
                Cell::Value { text: "1 2", raw: "1 2", shape: Shape::Plain },
                Cell::Value { text: nested, raw: nested, shape: Shape::Nested },
                Cell::Null,
                Cell::Null,
            ]
        );
        assert_eq!(record(b"", "/hook").unwrap().len(), 0);
    }

    #[test]
    fn what_is_no_text_is_refused() {
        assert_eq!(fields(b"a=%ff"), Err(Malformed));
        assert!(record(b"=secret", "/hook").is_err_and(|error| !error.to_string().contains("secret")));
        assert_eq!(field(b"payload=%7B%7D&a=1", "payload", "/hook").unwrap(), "{}");
        assert!(field(b"payload=1&payload=2", "payload", "/hook").is_err());
    }
}
