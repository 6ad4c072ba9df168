//! The JSON Schema of the pipeline file, made from the same structs that read it. Editors complete and check with
//! it; so do we, see [`super::structure`].

use schemars::{Schema, generate::SchemaSettings, transform::Transform, transform::transform_subschemas};
use serde_json::{Map, Value as Json};

use super::document::Document;

/// The schema of the pipeline file (JSON Schema, draft 2020-12).
pub(crate) fn schema() -> Schema {
    SchemaSettings::draft2020_12().with_transform(Tidy).into_generator().into_root_schema_for::<Document>()
}

/// Takes what Rust's types leave behind out of the schema.
#[derive(Clone)]
struct Tidy;

impl Transform for Tidy {
    fn transform(&mut self, schema: &mut Schema) {
        // A key that is left out has no default worth showing, and doc comments break lines where code does.
        if schema.get("default").is_some_and(Json::is_null) {
            schema.remove("default");
        }
        if let Some(Json::String(description)) = schema.get_mut("description") {
            *description = description.replace('\n', " ");
        }
        transform_subschemas(self, schema);
    }
}

/// Writes the keys that all systems share into each system's own schema. What serde flattens, schemars describes by
/// two schemas that must both hold; then neither can tell which keys are unknown.
pub(crate) fn share_keys(schema: &mut Schema) {
    let shared = schema.remove("properties");
    let required = schema.remove("required");
    schema.remove("type");
    let Some(Json::Array(systems)) = schema.get_mut("oneOf") else { return };
    for system in systems.iter_mut().filter_map(Json::as_object_mut) {
        if let (Some(Json::Object(shared)), Some(Json::Object(own))) = (&shared, system.get_mut("properties"))
        {
            own.extend(shared.clone());
        }
        if let (Some(Json::Array(shared)), Some(Json::Array(own))) = (&required, system.get_mut("required")) {
            own.extend(shared.iter().cloned());
        }
        system.insert("additionalProperties".into(), Json::Bool(false));
    }
}

/// A view of one schema inside the whole, with references followed.
#[derive(Clone, Copy)]
pub(super) struct Rule<'s> {
    root: &'s Json,
    /// What the value must be.
    schema: &'s Map<String, Json>,
    /// What is said of it where it is used; the schema itself unless that is a reference.
    site: &'s Map<String, Json>,
}

impl<'s> Rule<'s> {
    /// The rule for the whole file. `None` only for a schema that is no object.
    pub(super) fn root(root: &'s Json) -> Option<Self> {
        root.as_object().map(|schema| Self { root, schema, site: schema })
    }

    fn follow(self, site: &'s Json) -> Option<Self> {
        let site = site.as_object()?;
        let mut schema = site;
        while let Some(reference) = schema.get("$ref").and_then(Json::as_str) {
            schema = self.root.pointer(reference.strip_prefix('#')?)?.as_object()?;
        }
        Some(Self { schema, site, ..self })
    }

    fn all(self, keyword: &str) -> Vec<Self> {
        let schemas = self.schema.get(keyword).and_then(Json::as_array);
        schemas.into_iter().flatten().filter_map(|schema| self.follow(schema)).collect()
    }

    /// Whether a value may have the JSON type `name`.
    pub(super) fn takes(self, name: &str) -> bool {
        match self.schema.get("type") {
            Some(Json::String(one)) => one == name,
            Some(Json::Array(some)) => some.iter().any(|one| one == name),
            _ => self.alternatives().into_iter().chain(self.all("oneOf")).any(|rule| rule.takes(name)),
        }
    }

    /// The rules of which a value follows one, told apart by the value's shape.
    pub(super) fn alternatives(self) -> Vec<Self> {
        self.all("anyOf")
    }

    /// The rules told apart by their `type` key: its value for each, and the rule.
    pub(super) fn systems(self) -> Vec<(&'s str, Self)> {
        let tag = |rule: Self| rule.schema.get("properties")?.get("type")?.get("const")?.as_str();
        self.all("oneOf").into_iter().filter_map(|rule| Some((tag(rule)?, rule))).collect()
    }

    /// The words of which a value is one.
    pub(super) fn words(self) -> Vec<&'s str> {
        if let Some(word) = self.text("const") {
            return vec![word];
        }
        let listed =
            self.schema.get("enum").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str);
        listed.chain(self.all("oneOf").into_iter().filter_map(|rule| rule.text("const"))).collect()
    }

    pub(super) fn text(self, keyword: &str) -> Option<&'s str> {
        self.schema.get(keyword).and_then(Json::as_str)
    }

    pub(super) fn number(self, keyword: &str) -> Option<f64> {
        self.schema.get(keyword).and_then(Json::as_f64)
    }

    /// What a person is told of the key that this is the rule for.
    pub(super) fn description(self) -> Option<&'s str> {
        self.site.get("description").and_then(Json::as_str).or_else(|| self.text("description"))
    }

    /// The value when the key is left out, where it has one.
    #[cfg(test)]
    pub(super) fn default(self) -> Option<&'s Json> {
        self.site.get("default")
    }

    pub(super) fn is_secret(self) -> bool {
        self.schema.get("writeOnly") == Some(&Json::Bool(true))
    }

    /// The keys a map may have, in the order of the structs.
    pub(super) fn keys(self) -> Vec<&'s str> {
        self.properties().into_iter().flatten().map(|(key, _)| key.as_str()).collect()
    }

    pub(super) fn required(self) -> Vec<&'s str> {
        self.schema
            .get("required")
            .and_then(Json::as_array)
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
            .collect()
    }

    /// The rule for the value of `key`; `None` when the key is unknown.
    pub(super) fn of_key(self, key: &str) -> Option<Self> {
        let named = self.properties().and_then(|properties| properties.get(key));
        self.follow(named.or_else(|| self.schema.get("additionalProperties"))?)
    }

    /// The rule for the names of a map's keys.
    pub(super) fn of_names(self) -> Option<Self> {
        self.follow(self.schema.get("propertyNames")?)
    }

    /// The rule for each item of a list.
    pub(super) fn of_items(self) -> Option<Self> {
        self.follow(self.schema.get("items")?)
    }

    fn properties(self) -> Option<&'s Map<String, Json>> {
        self.schema.get("properties").and_then(Json::as_object)
    }
}
