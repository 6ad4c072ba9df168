//! What templates may name of an envelope.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;
use tidemark_engine::{Error, Result};

/// The fields of an envelope; under `json` each as it stands there.
#[derive(Debug, Serialize)]
pub(super) struct Values<'a> {
    json: BTreeMap<&'a str, &'a str>,
    #[serde(flatten)]
    fields: BTreeMap<&'a str, Node>,
}

/// JSON whose numbers keep their digits.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Node {
    Null,
    Bool(bool),
    Integer(i64),
    Text(String),
    List(Vec<Node>),
    Map(BTreeMap<String, Node>),
}

impl<'a> Values<'a> {
    /// Those of `envelope`; none where it is empty, as a tombstone is.
    pub(super) fn of(envelope: &'a [u8]) -> Result<Self> {
        let unsound = |error| Error::internal("an envelope is no JSON object").source(error);
        let fields: BTreeMap<&str, &RawValue> = match envelope {
            [] => BTreeMap::new(),
            envelope => serde_json::from_slice(envelope).map_err(unsound)?,
        };
        let json = fields.iter().map(|(name, raw)| (*name, raw.get())).collect();
        let node = |(name, raw): (&'a str, &RawValue)| Ok((name, Node::of(raw)?));
        let fields = fields.into_iter().map(node).collect::<serde_json::Result<_>>().map_err(unsound)?;
        Ok(Self { json, fields })
    }
}

impl Node {
    fn of(raw: &RawValue) -> serde_json::Result<Self> {
        let text = raw.get();
        Ok(match text.as_bytes().first() {
            Some(b'{') => {
                let map: BTreeMap<String, &RawValue> = serde_json::from_str(text)?;
                let node = |(name, raw): (String, &RawValue)| Ok((name, Self::of(raw)?));
                Self::Map(map.into_iter().map(node).collect::<serde_json::Result<_>>()?)
            }
            Some(b'[') => {
                let list: Vec<&RawValue> = serde_json::from_str(text)?;
                Self::List(list.into_iter().map(Self::of).collect::<serde_json::Result<_>>()?)
            }
            Some(b'"') => Self::Text(serde_json::from_str(text)?),
            Some(b'n') => Self::Null,
            Some(b't' | b'f') => Self::Bool(text == "true"),
            _ => text.parse().map_or_else(|_| Self::Text(text.to_owned()), Self::Integer),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::client::Template;

    #[test]
    fn templates_see_every_field_and_numbers_keep_their_digits() {
        let envelope = br#"{"op":"u","key":{"id":7},"values":{"id":7,"price":12.50,"note":"a \"b\"","tags":["x",null],"big":123456789012345678901234567890}}"#;
        let render = |text: &str| Template::parse(text).unwrap().render(&Values::of(envelope).unwrap());
        assert_eq!(
            render("{{ op }} {{ key.id }} {{ values.price }} {{ values.big }}").unwrap(),
            "u 7 12.50 123456789012345678901234567890"
        );
        assert_eq!(render("{{ values.note | json }} {{ values.tags[0] }}").unwrap(), r#""a \"b\"" x"#);
        assert_eq!(render("{{ json.key }} {{ json.op }}").unwrap(), r#"{"id":7} "u""#);
        assert!(render("{{ json.values }}").unwrap().contains("\"price\":12.50"));
        assert!(render("{{ nothing }}").is_err() && render("{{ values.nothing }}").is_err());
        assert!(Values::of(b"").unwrap().fields.is_empty() && Values::of(b"7").is_err());
    }
}
