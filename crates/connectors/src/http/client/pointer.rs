//! A place in a JSON document.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

/// A path into a JSON document: `errors.0.code`, or a JSON pointer (RFC 6901, `/errors/0/code`) where a name has a dot in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPath(Vec<String>);

impl JsonPath {
    /// Reads it; `None` when a name in it is empty.
    pub fn parse(text: &str) -> Option<Self> {
        let names: Vec<String> = match text.strip_prefix('/') {
            Some(pointer) => {
                pointer.split('/').map(|name| name.replace("~1", "/").replace("~0", "~")).collect()
            }
            None => text.split('.').map(str::to_owned).collect(),
        };
        names.iter().all(|name| !name.is_empty()).then_some(Self(names))
    }

    /// What stands there in `document`; `None` where nothing does. All else is passed over without being kept.
    pub(super) fn find(&self, document: &[u8]) -> serde_json::Result<Option<Value>> {
        let mut reader = serde_json::Deserializer::from_slice(document);
        let found = Seek(&self.0).deserialize(&mut reader)?;
        reader.end()?;
        Ok(found)
    }
}

/// Whether `value` says that there is something: not `null`, `false`, `0`, or empty.
pub(super) fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Bool(true) => true,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}

/// Goes down the names that are left.
struct Seek<'p>(&'p [String]);

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        match self.0 {
            [] => Value::deserialize(deserializer).map(Some),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        let Some((first, rest)) = self.0.split_first() else { return Ok(None) };
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            if name == first.as_str() {
                found = members.next_value_seed(Seek(rest))?;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let Some((first, rest)) = self.0.split_first() else { return Ok(None) };
        let wanted = first.parse::<usize>().ok();
        let mut at = 0;
        let mut found = None;
        loop {
            if Some(at) == wanted {
                match items.next_element_seed(Seek(rest))? {
                    Some(value) => found = value,
                    None => return Ok(None),
                }
            } else if items.next_element::<IgnoredAny>()?.is_none() {
                return Ok(found);
            }
            at += 1;
        }
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

impl<'de> Deserialize<'de> for JsonPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| de::Error::custom("expected a path such as `error.code` or `/error/code`"))
    }
}

impl JsonSchema for JsonPath {
    fn schema_name() -> Cow<'static, str> {
        "JsonPath".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "minLength": 1,
            "description": "a place in a JSON document: `error.code`, or a JSON pointer such as `/error/code`"
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn places_are_found() {
        let document = br#"{"a": [1, {"b.c": "x"}, [2]], "error": {"code": 7}, "text": "t", "big": 1e400}"#;
        let document = document.strip_suffix(b", \"big\": 1e400}").map(|rest| [rest, b"}"].concat()).unwrap();
        let find = |path: &str| JsonPath::parse(path).unwrap().find(&document).unwrap();
        assert_eq!(find("error.code"), Some(json!(7)));
        assert_eq!(find("/a/1/b.c"), Some(json!("x")));
        assert_eq!(find("a.2"), Some(json!([2])));
        for nothing in ["a.3", "a.x", "missing", "text.deeper", "error.code.deeper"] {
            assert_eq!(find(nothing), None, "{nothing}");
        }
        assert!(JsonPath::parse("a").unwrap().find(b"{\"a\": 1").is_err());
        assert!(JsonPath::parse("a..b").is_none() && JsonPath::parse("").is_none());
    }

    #[test]
    fn what_is_empty_says_nothing() {
        for (value, says) in [
            (json!(null), false),
            (json!(false), false),
            (json!(0), false),
            (json!(""), false),
            (json!([]), false),
            (json!({}), false),
            (json!(1), true),
            (json!("x"), true),
            (json!([0]), true),
            (json!(true), true),
        ] {
            assert_eq!(says_something(&value), says, "{value}");
        }
    }
}
