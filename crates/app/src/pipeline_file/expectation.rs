//! What the schema expects of one value, and how a message says so.

use regex_lite::Regex;

use super::{
    schema::Rule,
    source_text::mask_passwords,
    tree::{Meaning, Node, Scalar, Value},
};

/// Whether the value has a shape the rule takes, whatever its content.
pub(super) fn fits(rule: Rule<'_>, node: &Node) -> bool {
    match &node.value {
        Value::List(_) => rule.takes("array"),
        Value::Map(_) => rule.takes("object"),
        Value::Scalar(scalar) => {
            let takes = |meaning| match meaning {
                Meaning::Nothing => rule.takes("null"),
                Meaning::Bool(_) => rule.takes("boolean"),
                Meaning::Integer(_) => rule.takes("integer") || rule.takes("number"),
                Meaning::Float(_) => rule.takes("number"),
                Meaning::Text => rule.takes("string"),
            };
            takes(scalar.meaning()) || scalar.is_interpolated() && takes(scalar.plain_meaning())
        }
    }
}

/// Whether the text follows the pattern, if there is one.
pub(super) fn matches_pattern(rule: Rule<'_>, text: &str) -> bool {
    let pattern = rule.text("pattern").and_then(|pattern| Regex::new(pattern).ok());
    pattern.is_none_or(|pattern| pattern.is_match(text))
}

/// What may stand where one of `rules` holds, as the object of "must be".
pub(super) fn expected(rules: &[Rule<'_>]) -> String {
    let mut phrases = Vec::new();
    for rule in rules {
        let described = rule.text("pattern").and(rule.text("description"));
        match described {
            Some(description) => phrases.push(description.to_owned()),
            None if !rule.words().is_empty() => phrases.push("one of the words allowed".into()),
            None if rule.number("maxLength") == Some(1.0) => phrases.push("a single character".into()),
            None => {
                let names = [
                    ("string", "a text"),
                    ("boolean", "`true` or `false`"),
                    ("integer", "a whole number"),
                    ("number", "a number"),
                    ("array", "a list"),
                    ("object", "keys with values"),
                ];
                phrases.extend(
                    names.iter().filter(|(name, _)| rule.takes(name)).map(|(_, phrase)| (*phrase).to_owned()),
                );
            }
        }
        if let (Some(least), Some(phrase)) = (rule.number("minimum"), phrases.last_mut()) {
            phrase.push_str(&format!(" from {least}"));
        }
        if let (Some(most), Some(phrase)) = (rule.number("maximum"), phrases.last_mut()) {
            phrase.push_str(&format!(" up to {most}"));
        }
    }
    phrases.join(" or ")
}

/// For what YAML reads as something else than the text that was meant: `name: 5`, `table: {stream}`.
pub(super) fn quoting_hint(rules: &[Rule<'_>], node: &Node) -> Option<String> {
    let quoted = match &node.value {
        Value::Scalar(scalar) if !node.is_nothing() && !scalar.is_interpolated() => scalar.typed.clone(),
        Value::Map(entries) => match entries.as_slice() {
            [only] if only.value.is_nothing() => format!("{{{}}}", only.key),
            _ => return None,
        },
        _ => return None,
    };
    let rule = rules.iter().find(|rule| rule.takes("string"))?;
    let sound = matches_pattern(*rule, &quoted) && rule.words().is_empty() && !rule.is_secret();
    sound.then(|| format!("put it in quotes: `\"{quoted}\"`"))
}

/// What was typed, fit to be shown.
pub(super) fn shown(rule: Rule<'_>, scalar: &Scalar) -> String {
    if rule.is_secret() && !scalar.is_interpolated() { "***".into() } else { mask_passwords(&scalar.typed) }
}
