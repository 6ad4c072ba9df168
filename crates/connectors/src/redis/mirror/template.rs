//! Keys of Redis by template.

use schemars::JsonSchema;
use serde::Deserialize;
use tidemark_engine::schema::StreamName;

const STREAM: &str = "{stream}";
const KEY: &str = "{key}";

/// The key under which a record stands: a template with `{key}`, once, for the record's key, and `{stream}`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct KeyTemplate {
    before: String,
    after: String,
}

/// The keys of one stream's records: what stands before and after a record's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    before: String,
    after: String,
}

impl KeyTemplate {
    /// Reads a template.
    ///
    /// Fails with what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (before, after) = text
            .split_once(KEY)
            .ok_or_else(|| format!("`{text}` has no `{KEY}`, so all records would stand under one key"))?;
        let rest = [before, after].map(|part| part.replace(STREAM, ""));
        if rest.iter().any(|rest| rest.contains(['{', '}'])) {
            return Err(format!("`{text}` may have `{KEY}` once, `{STREAM}`, and no other placeholder"));
        }
        Ok(Self { before: before.to_owned(), after: after.to_owned() })
    }

    /// The keys of the records of `stream`.
    pub(super) fn of(&self, stream: &StreamName) -> Pattern {
        let part = |part: &str| part.replace(STREAM, stream.as_str());
        Pattern { before: part(&self.before), after: part(&self.after) }
    }
}

impl Default for KeyTemplate {
    /// The stream's name, a colon, the record's key.
    fn default() -> Self {
        Self { before: format!("{STREAM}:"), after: String::new() }
    }
}

impl TryFrom<String> for KeyTemplate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl Pattern {
    /// As a template: the name under which it is registered.
    pub(super) fn text(&self) -> String {
        format!("{}{KEY}{}", self.before, self.after)
    }

    /// The pattern that [`Pattern::text`] told.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (before, after) = text.split_once(KEY)?;
        Some(Self { before: before.to_owned(), after: after.to_owned() })
    }

    /// The key of Redis for a record's key.
    pub(super) fn key(&self, key: &str) -> String {
        format!("{}{key}{}", self.before, self.after)
    }

    /// Whether some record of the one may stand under the same key as some record of the other.
    pub(super) fn meets(&self, other: &Self) -> bool {
        begin_alike(&self.before, &other.before)
            && (self.after.ends_with(&other.after) || other.after.ends_with(&self.after))
    }
}

fn begin_alike(one: &str, other: &str) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(template: &str, stream: &str) -> Pattern {
        KeyTemplate::parse(template).unwrap().of(&StreamName::new(stream))
    }

    #[test]
    fn a_key_is_made_of_stream_and_key() {
        let orders = KeyTemplate::default().of(&StreamName::new("public.orders"));
        assert_eq!(orders.key("7"), "public.orders:7");
        assert_eq!(pattern("shop/{stream}/{key}.json", "orders").key("7"), "shop/orders/7.json");
        for template in ["{stream}", "{key}{key}", "{op}{key}", "{key", ""] {
            assert!(KeyTemplate::parse(template).is_err(), "{template}");
        }
    }

    #[test]
    fn patterns_that_may_meet_are_known() {
        let meet = |template, one, other| pattern(template, one).meets(&pattern(template, other));
        assert!(!meet("{stream}:{key}", "orders", "orders_old"));
        assert!(meet("{stream}:{key}", "orders", "orders:old"));
        assert!(meet("{stream}{key}", "orders", "orders_old"));
        assert!(meet("x:{key}", "orders", "customers"));
        assert!(!meet("{key}:{stream}", "orders", "customers"));
        assert!(meet("{key}:{stream}", "orders", "x:orders"));
    }

    #[test]
    fn a_pattern_survives_its_text() {
        assert_eq!(Pattern::parse(&pattern("a{key}b", "s").text()), Some(pattern("a{key}b", "s")));
    }
}
