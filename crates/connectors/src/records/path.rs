//! Places inside a JSON document: the little of JSONPath (RFC 9535) that says where records are.

use std::{fmt, str::FromStr};

use tidemark_engine::{Error, Result};

/// Where records, or one value, stand in a JSON document: `$`, `$.value`, `$.data.items[*]`, `$['odd name']`, `$.next[0]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RecordPath(Vec<Step>);

/// One step from a value to what is inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// To the value of a key.
    Key(String),
    /// To every item of an array.
    Every,
    /// To one item of an array, counted from 0.
    Item(usize),
}

impl RecordPath {
    pub(super) fn steps(&self) -> &[Step] {
        &self.0
    }
}

impl FromStr for RecordPath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refused = || {
            Error::config(format!("`{text}` is no path to records")).hint(
                "write `$` for the whole document, or keys such as `$.data.items[*]` or `$['odd name']`",
            )
        };
        let mut rest = text.strip_prefix('$').ok_or_else(refused)?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, behind) = step(rest).ok_or_else(refused)?;
            steps.push(step);
            rest = behind;
        }
        Ok(Self(steps))
    }
}

/// The step at the beginning of `text`, and what is behind it.
fn step(text: &str) -> Option<(Step, &str)> {
    if let Some(rest) = text.strip_prefix("[*]") {
        return Some((Step::Every, rest));
    }
    let number = text.strip_prefix('[').and_then(|text| text.split_once(']'));
    if let Some((number, behind)) =
        number.filter(|(number, _)| number.bytes().all(|byte| byte.is_ascii_digit()))
    {
        return Some((Step::Item(number.parse().ok()?), behind));
    }
    if let Some(rest) = text.strip_prefix('.') {
        let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '@');
        let end = rest.find(|c| !is_plain(c)).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        return (!name.is_empty()).then(|| (Step::Key(name.to_owned()), behind));
    }
    let quoted = text.strip_prefix('[')?;
    let quote = quoted.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let mut name = String::new();
    let mut chars = quoted.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => name.push(chars.next().map(|(_, c)| c).filter(|c| matches!(c, '\\' | '\'' | '"'))?),
            c if c == quote => {
                return quoted[at + 1..].strip_prefix(']').map(|behind| (Step::Key(name), behind));
            }
            c => name.push(c),
        }
    }
    None
}

/// As it may be written again; not always as it was.
impl fmt::Display for RecordPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        self.0.iter().try_for_each(|step| match step {
            Step::Every => f.write_str("[*]"),
            Step::Item(number) => write!(f, "[{number}]"),
            Step::Key(name) => write!(f, "['{}']", name.replace('\\', "\\\\").replace('\'', "\\'")),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn steps_are_keys_and_items() {
        let key = |name: &str| Step::Key(name.to_owned());
        for (text, steps) in [
            ("$", vec![]),
            ("$.value", vec![key("value")]),
            ("$.data.items[*]", vec![key("data"), key("items"), Step::Every]),
            ("$['odd name'].é[*].@odata-x", vec![key("odd name"), key("é"), Step::Every, key("@odata-x")]),
            ("$.links[0][12]", vec![key("links"), Step::Item(0), Step::Item(12)]),
            ("$[\"a'b\"]['\\'\\\\']", vec![key("a'b"), key("'\\")]),
        ] {
            assert_eq!(text.parse::<RecordPath>().unwrap().0, steps, "{text}");
        }
        for text in [
            "",
            "value",
            "$value",
            "$.",
            "$..a",
            "$[]",
            "$[-1]",
            "$[99999999999999999999]",
            "$.*",
            "$['a'",
            "$['a",
            "$[a]",
            "$.a[?(@.b)]",
            "$.a b",
        ] {
            let error = text.parse::<RecordPath>().unwrap_err();
            assert_eq!(error.message(), format!("`{text}` is no path to records"));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_the_same(names in prop::collection::vec(prop::option::of(".{0,4}"), 0..5)) {
            let step = |name: Option<String>| name.map_or(Step::Every, Step::Key);
            let path = RecordPath(names.into_iter().map(step).collect());
            prop_assert_eq!(path.to_string().parse::<RecordPath>().unwrap(), path);
        }
    }
}
