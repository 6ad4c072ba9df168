//! Holds the reference in `docs/` to what the code knows.

use std::{collections::BTreeSet, path::Path};

use serde_json::Value as Json;

use super::{
    interpolation::Interpolation,
    parse::parse,
    read, schema,
    schema::Rule,
    source_text::SourceText,
    tree::{Meaning, Node, Value},
};

/// A pipeline has one source, so there is a file for each system that can be one.
const REFERENCES: [&str; 2] = [
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/pipeline-reference.yaml"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/pipeline-reference-postgres.yaml"),
];

/// The files, with values where theirs come from elsewhere: what is secret is not there to be read here.
fn references() -> [SourceText; 2] {
    REFERENCES.map(|path| {
        let text = std::fs::read_to_string(path).unwrap();
        let text = text.replace("${file:/run/secrets/shop}", "secret");
        let text = ["${STAGING_KEY}", "${OLDEST_KEY}"]
            .iter()
            .fold(text, |text, name| text.replace(name, &format!("\"{}\"", "ab".repeat(32))));
        SourceText { path: path.into(), text }
    })
}

fn tree(file: &SourceText) -> Node {
    parse(file, &mut Interpolation::new(&|_| None, Path::new("")), &mut Vec::new()).unwrap()
}

#[test]
fn it_is_a_sound_pipeline() {
    for SourceText { path, text } in references() {
        if let Err(problems) = read(&path, text) {
            panic!("{}", problems.for_people());
        }
    }
}

#[test]
fn it_holds_every_key_and_every_system() {
    let schema = schema();
    let rule = Rule::root(schema.as_value()).unwrap();
    let mut known = BTreeSet::new();
    keys_of_rule(rule, "", &mut known);
    assert!(known.len() > 20, "the schema has fewer keys than it should: {known:?}");
    // A key is given in one form of three; the list of those before it has them all.
    for form in ["key_file", "key_command"] {
        assert!(known.remove(&format!(".staging.encryption.{form}")));
    }
    let mut written = BTreeSet::new();
    for reference in references() {
        keys_of_node(&[rule], &tree(&reference), "", &mut written);
    }
    assert_eq!(
        known.difference(&written).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "not in {REFERENCES:?}"
    );
}

#[test]
fn its_values_are_the_defaults() {
    // Stream options are examples: a list cannot be empty and an example as well.
    let schema = schema();
    let mut differing = Vec::new();
    for reference in references() {
        defaults(Rule::root(schema.as_value()).unwrap(), &tree(&reference), "", &mut differing);
    }
    let examples = [
        "source.streams.*.key",
        "source.streams.*.types",
        "source.streams.*.key",
        "source.streams.*.exclude",
    ];
    assert_eq!(differing, examples);
}

/// Every key below `rule`: maps with names of one's own as `*`, a system as `type=files`.
fn keys_of_rule(rule: Rule<'_>, path: &str, keys: &mut BTreeSet<String>) {
    for alternative in rule.alternatives() {
        keys_of_rule(alternative, path, keys);
    }
    for (name, system) in rule.systems() {
        keys.insert(format!("{path}.type={name}"));
        keys_of_rule(system, path, keys);
    }
    for key in rule.keys() {
        keys.insert(format!("{path}.{key}"));
        keys_of_rule(rule.of_key(key).unwrap(), &format!("{path}.{key}"), keys);
    }
    if let Some(item) = rule.of_items() {
        keys_of_rule(item, &format!("{path}[]"), keys);
    }
    if let Some(any) = rule.of_key("any name") {
        keys_of_rule(any, &format!("{path}.*"), keys);
    }
}

fn keys_of_node(rules: &[Rule<'_>], node: &Node, path: &str, keys: &mut BTreeSet<String>) {
    if let Value::List(items) = &node.value {
        let rules: Vec<_> =
            rules.iter().flat_map(|rule| branches(*rule)).filter_map(Rule::of_items).collect();
        items.iter().for_each(|item| keys_of_node(&rules, item, &format!("{path}[]"), keys));
    }
    let Value::Map(entries) = &node.value else { return };
    for entry in entries {
        let rules: Vec<_> = rules.iter().flat_map(|rule| branches(*rule)).collect();
        let named = rules.iter().any(|rule| rule.keys().contains(&entry.key.as_str()));
        let path = format!("{path}.{}", if named { entry.key.as_str() } else { "*" });
        if let (true, Value::Scalar(scalar)) = (entry.key == "type", &entry.value.value) {
            keys.insert(format!("{path}={}", scalar.text));
        }
        let below: Vec<_> = rules.iter().filter_map(|rule| rule.of_key(&entry.key)).collect();
        keys_of_node(&below, &entry.value, &path, keys);
        keys.insert(path);
    }
}

fn defaults(rule: Rule<'_>, node: &Node, path: &str, differing: &mut Vec<String>) {
    let Value::Map(entries) = &node.value else { return };
    for entry in entries {
        let rules = branches(rule);
        let Some(rule) = rules.iter().find_map(|rule| rule.of_key(&entry.key)) else { continue };
        let named = rules.iter().any(|rule| rule.keys().contains(&entry.key.as_str()));
        let dot = if path.is_empty() { "" } else { "." };
        let path = format!("{path}{dot}{}", if named { entry.key.as_str() } else { "*" });
        if rule.default().is_some_and(|default| *default != json(&entry.value)) {
            differing.push(path.clone());
        }
        defaults(rule, &entry.value, &path, differing);
    }
}

fn branches(rule: Rule<'_>) -> Vec<Rule<'_>> {
    let mut branches = vec![rule];
    branches.extend(rule.alternatives().into_iter().flat_map(branches_of_alternative));
    branches.extend(rule.systems().into_iter().map(|(_, system)| system));
    branches
}

fn branches_of_alternative(rule: Rule<'_>) -> Vec<Rule<'_>> {
    std::iter::once(rule).chain(rule.alternatives()).collect()
}

fn json(node: &Node) -> Json {
    match &node.value {
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(entries) => entries.iter().map(|entry| (entry.key.clone(), json(&entry.value))).collect(),
        Value::Scalar(scalar) => match scalar.meaning() {
            Meaning::Nothing => Json::Null,
            Meaning::Bool(value) => value.into(),
            Meaning::Integer(value) => value.into(),
            Meaning::Float(value) => value.into(),
            Meaning::Text => scalar.text.clone().into(),
        },
    }
}
