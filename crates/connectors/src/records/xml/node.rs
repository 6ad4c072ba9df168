//! An element and what is in it, as the values of a record or as JSON.

use super::{super::built::Value, TEXT};

/// An element.
#[derive(Debug)]
pub(super) struct Node {
    name: String,
    /// The line on which it begins.
    line: u64,
    /// By name, with `@` before it.
    attributes: Vec<(String, String)>,
    children: Vec<Node>,
    text: String,
}

impl Node {
    pub(super) fn new(name: String, line: u64) -> Self {
        Self { name, line, attributes: Vec::new(), children: Vec::new(), text: String::new() }
    }

    pub(super) fn line(&self) -> u64 {
        self.line
    }

    pub(super) fn attribute(&mut self, name: &str, value: &str) {
        self.attributes.push((format!("@{name}"), value.to_owned()));
    }

    pub(super) fn child(&mut self, child: Self) {
        self.children.push(child);
    }

    pub(super) fn add(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// The columns of a record.
    pub(super) fn into_values(self) -> Vec<(String, Value)> {
        let has_text = self.has_text();
        let attributes = self.attributes.into_iter().map(|(name, value)| (name, Value::Text(value)));
        let mut values: Vec<_> = attributes.collect();
        for (name, nodes) in by_name(self.children) {
            let value = match <[Self; 1]>::try_from(nodes) {
                Ok([one]) if one.is_empty() => Value::Null,
                Ok([one]) if one.is_leaf() => Value::Text(one.text),
                Ok([one]) => Value::Nested(one.into_json().to_string()),
                Err(several) => Value::Nested(array(several).to_string()),
            };
            values.push((name, value));
        }
        if has_text {
            values.push((TEXT.to_owned(), Value::Text(self.text)));
        }
        values
    }

    fn into_json(self) -> serde_json::Value {
        if self.is_empty() {
            return serde_json::Value::Null;
        }
        if self.is_leaf() {
            return self.text.into();
        }
        let has_text = self.has_text();
        let mut object = serde_json::Map::new();
        object.extend(self.attributes.into_iter().map(|(name, value)| (name, value.into())));
        for (name, nodes) in by_name(self.children) {
            let value = match <[Self; 1]>::try_from(nodes) {
                Ok([one]) => one.into_json(),
                Err(several) => array(several),
            };
            object.insert(name, value);
        }
        if has_text {
            object.insert(TEXT.to_owned(), self.text.into());
        }
        object.into()
    }

    /// Whether it has nothing but text.
    fn is_leaf(&self) -> bool {
        self.attributes.is_empty() && self.children.is_empty()
    }

    fn is_empty(&self) -> bool {
        self.is_leaf() && self.text.is_empty()
    }

    /// Whether it has text that says something: between elements, white space does not.
    fn has_text(&self) -> bool {
        if self.children.is_empty() { !self.text.is_empty() } else { !self.text.trim_ascii().is_empty() }
    }
}

fn array(nodes: Vec<Node>) -> serde_json::Value {
    nodes.into_iter().map(Node::into_json).collect::<Vec<_>>().into()
}

/// The elements of each name, in the order in which the first of each stands.
fn by_name(nodes: Vec<Node>) -> indexmap::IndexMap<String, Vec<Node>> {
    let mut names: indexmap::IndexMap<String, Vec<Node>> = indexmap::IndexMap::new();
    for mut node in nodes {
        names.entry(std::mem::take(&mut node.name)).or_default().push(node);
    }
    names
}
