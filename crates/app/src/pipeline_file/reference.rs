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

/// A pipeline has one source, so there is a file for each system that can be one, and for most that can be a destination.
const REFERENCES: &[&str] = &[
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/pipeline-reference.yaml"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/pipeline-reference-azure-queue.yaml"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/pipeline-reference-azure-service-bus.yaml"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/pipeline-reference-azure-table.yaml"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/pipeline-reference-http.yaml"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/pipeline-reference-kafka.yaml"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/pipeline-reference-mariadb.yaml"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/pipeline-reference-mqtt.yaml"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/pipeline-reference-nats.yaml"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/pipeline-reference-mqtt-destination.yaml"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/pipeline-reference-postgres.yaml"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/pipeline-reference-postgres-query.yaml"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/pipeline-reference-rabbitmq.yaml"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/pipeline-reference-redis.yaml"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/pipeline-reference-sqlite.yaml"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/pipeline-reference-sqs.yaml"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/pipeline-reference-webhook.yaml"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/pipeline-reference-webhook-destination.yaml"),
];

/// The files, with values where theirs come from elsewhere: what is secret is not there to be read here. One with other forms of
/// `auth` in comments is there once for each.
fn references() -> Vec<SourceText> {
    let read = |path: &&str| {
        let text = std::fs::read_to_string(path).unwrap();
        let text = text.replace("${file:/run/secrets/shop}", "secret");
        let text = ["${STAGING_KEY}", "${OLDEST_KEY}", "${TRIGGER_SECRET}"]
            .iter()
            .fold(text, |text, name| text.replace(name, &format!("\"{}\"", "ab".repeat(32))));
        forms(&text).into_iter().map(|text| SourceText { path: path.into(), text }).collect::<Vec<_>>()
    };
    REFERENCES.iter().flat_map(read).collect()
}

/// `text`, and what it becomes with each of the other forms of `auth` that stand in its comments.
fn forms(text: &str) -> Vec<String> {
    let mut others = Vec::<String>::new();
    for line in text.lines() {
        match (line.strip_prefix("  # "), others.last_mut()) {
            (Some("auth:"), _) => others.push("  auth:\n".to_owned()),
            (Some(line), Some(other)) if line.starts_with("  ") => other.push_str(&format!("  {line}\n")),
            _ => {}
        }
    }
    let Some(own) = text.lines().find(|line| line.starts_with("  auth: ")) else {
        return vec![text.to_owned()];
    };
    let own = format!("{own}\n");
    std::iter::once(text.to_owned()).chain(others.iter().map(|other| text.replacen(&own, other, 1))).collect()
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
    // A key is given in one form of three, an account in one of two; the list of keys before, and a comment, have them all.
    // Only a source has a place for refresh tokens.
    for form in [
        "staging.encryption.key_file",
        "staging.encryption.key_command",
        "source.connection_string",
        "destinations.*.auth.refresh_token",
    ] {
        assert!(known.remove(&format!(".{form}")));
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
    // Lists and maps are examples: one cannot be empty and an example as well.
    let schema = schema();
    let mut differing = BTreeSet::new();
    for reference in references() {
        defaults(Rule::root(schema.as_value()).unwrap(), &tree(&reference), "", &mut differing);
    }
    let examples = [
        "destinations.*.ca",
        "destinations.*.allow_hosts",
        "destinations.*.done_on",
        "destinations.*.headers",
        "destinations.*.retry_on",
        "source.allow_hosts",
        "source.headers",
        "source.streams.*.columns",
        "source.streams.*.delta.expired",
        "source.streams.*.exclude",
        "source.streams.*.gone_key",
        "source.streams.*.headers",
        "source.streams.*.ignore",
        "source.streams.*.key",
        "source.streams.*.optional",
        "source.streams.*.parent.columns",
        "source.streams.*.query",
        "source.streams.*.select",
        "source.streams.*.subscribe",
        "source.streams.*.types",
        "source.streams.*.verify.prefix",
        "source.streams.*.with",
        "source.with",
        "destinations.*.transforms",
        "tests",
        "transforms",
    ];
    // A key that several systems have may have its default in one of them alone.
    differing.retain(|key| !examples.contains(&key.as_str()));
    assert_eq!(differing, BTreeSet::new());
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

fn defaults(rule: Rule<'_>, node: &Node, path: &str, differing: &mut BTreeSet<String>) {
    let Value::Map(entries) = &node.value else { return };
    for entry in entries {
        let rules = branches_for(rule, node);
        let Some(rule) = rules.iter().find_map(|rule| rule.of_key(&entry.key)) else { continue };
        let named = rules.iter().any(|rule| rule.keys().contains(&entry.key.as_str()));
        let dot = if path.is_empty() { "" } else { "." };
        let path = format!("{path}{dot}{}", if named { entry.key.as_str() } else { "*" });
        if rule.default().is_some_and(|default| *default != json(&entry.value)) {
            differing.insert(path.clone());
        }
        defaults(rule, &entry.value, &path, differing);
    }
}

fn branches(rule: Rule<'_>) -> Vec<Rule<'_>> {
    let mut branches = vec![rule];
    branches.extend(rule.alternatives().into_iter().flat_map(branches_of_alternative));
    // What may be left out has its systems behind an alternative.
    let systems = branches.iter().flat_map(|branch| branch.systems()).map(|(_, system)| system);
    let systems: Vec<_> = systems.collect();
    branches.extend(systems);
    branches
}

/// Those branches that `node` follows, where it says which by its `type`.
fn branches_for<'s>(rule: Rule<'s>, node: &Node) -> Vec<Rule<'s>> {
    let named = node.get("type").and_then(|entry| entry.value.text());
    let is_other = |rule: &Rule<'_>| {
        let word = rule.of_key("type").and_then(|rule| rule.text("const"));
        word.is_some() && word != named
    };
    branches(rule).into_iter().filter(|rule| !is_other(rule)).collect()
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
