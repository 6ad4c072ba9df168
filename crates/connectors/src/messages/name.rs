//! Names by template: which queue, topic or subject a change goes to.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::JsonSchema;
use serde::Deserialize;
use tidemark_engine::{Error, Result};

/// All but the unreserved characters of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A name, or a template of names: `{stream}`, `{op}` (`r`, `c`, `u`, `d`, `t`), `{key}` (the key's values, joined by `-`), and
/// `{value.COLUMN}` (what the record has there; of a deleted one, what it had).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct NameTemplate {
    text: String,
    parts: Vec<Part>,
    is_url: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Stream,
    Op,
    Key,
    Value(String),
}

/// What a template asks of a change.
pub(crate) trait Asked {
    fn stream(&self) -> &str;
    fn op(&self) -> &'static str;
    /// The values of the key; `None` where there is none.
    fn key(&self) -> Option<Vec<String>>;
    /// A value as text; `None`: the change does not say, or it is NULL.
    fn value(&self, column: &str) -> Option<String>;
}

impl NameTemplate {
    /// Reads a template.
    ///
    /// Fails with what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            if at > 0 {
                parts.push(Part::Text(rest[..at].to_owned()));
            }
            let end = rest[at..].find('}').filter(|_| rest[at..].starts_with('{'));
            let end = end.ok_or_else(|| format!("`{text}` has a brace without its other half"))?;
            parts.push(match &rest[at + 1..at + end] {
                "stream" => Part::Stream,
                "op" => Part::Op,
                "key" => Part::Key,
                other => match other.strip_prefix("value.") {
                    Some(column) if !column.is_empty() => Part::Value(column.to_owned()),
                    _ => return Err(format!("`{text}` has the unknown placeholder `{{{other}}}`")),
                },
            });
            rest = &rest[at + end + 1..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        match parts.is_empty() {
            true => Err("a name is empty".to_owned()),
            false => Ok(Self { text: text.to_owned(), parts, is_url: false }),
        }
    }

    /// The stream's name.
    pub fn of_stream() -> Self {
        Self { text: "{stream}".to_owned(), parts: vec![Part::Stream], is_url: false }
    }

    /// The same as a URL, in which what a change says is text of one place: it is encoded.
    pub(crate) fn in_url(self) -> Self {
        Self { is_url: true, ..self }
    }

    /// What stands before the first placeholder.
    pub(crate) fn beginning(&self) -> &str {
        match self.parts.first() {
            Some(Part::Text(text)) => text,
            _ => "",
        }
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The one name that it stands for, where that does not depend on the change.
    pub(crate) fn fixed(&self) -> Option<&str> {
        let is_fixed = self.parts.iter().all(|part| matches!(part, Part::Text(_)));
        is_fixed.then_some(self.text.as_str())
    }

    /// The name for a change.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Data`] where the change does not say what it asks for.
    pub(crate) fn of(&self, change: &impl Asked) -> Result<String> {
        let mut name = String::new();
        for part in &self.parts {
            let said = match part {
                Part::Text(text) => {
                    name.push_str(text);
                    continue;
                }
                Part::Stream => change.stream().to_owned(),
                Part::Op => change.op().to_owned(),
                Part::Key => change.key().ok_or_else(|| self.silent("a key"))?.join("-"),
                Part::Value(column) => {
                    change.value(column).ok_or_else(|| self.silent(&format!("a value of `{column}`")))?
                }
            };
            match self.is_url {
                true => name.extend(utf8_percent_encode(&said, ENCODED)),
                false => name.push_str(&said),
            }
        }
        Ok(name)
    }

    fn silent(&self, what: &str) -> Error {
        Error::data(format!("the name `{}` asks for {what}, which the change does not have", self.text))
            .hint("use a name that every change has, such as `{stream}`")
    }
}

impl TryFrom<String> for NameTemplate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Order;

    impl Asked for Order {
        fn stream(&self) -> &str {
            "orders"
        }
        fn op(&self) -> &'static str {
            "u"
        }
        fn key(&self) -> Option<Vec<String>> {
            Some(vec!["7".into(), "a".into()])
        }
        fn value(&self, column: &str) -> Option<String> {
            (column == "region").then(|| "eu".to_owned())
        }
    }

    #[test]
    fn a_name_is_made_of_what_the_change_says() {
        let name = |text| NameTemplate::parse(text).unwrap().of(&Order);
        assert_eq!(name("{stream}.{op}.{key}").unwrap(), "orders.u.7-a");
        assert_eq!(name("sales-{value.region}").unwrap(), "sales-eu");
        assert_eq!(NameTemplate::parse("fixed").unwrap().fixed(), Some("fixed"));
        let url = NameTemplate::parse("https://host/{stream}/{key}?region={value.region}").unwrap().in_url();
        assert_eq!(
            (url.beginning(), url.of(&Order).unwrap().as_str()),
            ("https://host/", "https://host/orders/7-a?region=eu")
        );
        let error = name("{value.city}").unwrap_err();
        assert!(error.to_string().contains("`city`"), "{error}");
    }

    #[test]
    fn a_template_that_makes_no_sense_is_refused() {
        for text in ["", "{", "}", "a{b}", "{value.}", "{stream", "stream}"] {
            assert!(NameTemplate::parse(text).is_err(), "{text}");
        }
    }
}
