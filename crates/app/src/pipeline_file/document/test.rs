//! The keys of `tests`.

use std::borrow::Cow;

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::Value as Json;

/// What the transforms are to make of one change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::pipeline_file) struct Test {
    /// What it is called.
    pub(in crate::pipeline_file) name: String,
    /// The stream of the change.
    pub(in crate::pipeline_file) stream: String,
    /// Which transforms it goes through: `staging`, those before staging; or a destination, those and its own.
    pub(in crate::pipeline_file) through: String,
    /// The columns of the stream's key.
    #[serde(default)]
    pub(in crate::pipeline_file) key: Vec<String>,
    /// Kinds by column, where the values do not tell: whole numbers are int64, others float64.
    #[serde(default)]
    pub(in crate::pipeline_file) types: IndexMap<String, String>,
    /// The change.
    pub(in crate::pipeline_file) change: TestChange,
    /// What is to come of it: nothing, or a change.
    #[serde(default)]
    pub(in crate::pipeline_file) expect: Vec<TestChange>,
    /// Words of the error that is to come of it instead.
    pub(in crate::pipeline_file) error: Option<String>,
}

/// A change in a test.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::pipeline_file) struct TestChange {
    /// What happened: `r` read by the initial sync, `c` created, `u` updated, `d` deleted, `t` truncated.
    pub(in crate::pipeline_file) op: Letter,
    /// What is known of the record before.
    pub(in crate::pipeline_file) before: Option<IndexMap<String, Cell>>,
    /// What the change tells of the record after it.
    pub(in crate::pipeline_file) after: Option<IndexMap<String, Cell>>,
}

/// What happened to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::pipeline_file) enum Letter {
    /// Read by the initial sync.
    R,
    /// Created.
    C,
    /// Updated.
    U,
    /// Deleted.
    D,
    /// Truncated.
    T,
}

/// What a column holds.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub(in crate::pipeline_file) struct Cell(pub(in crate::pipeline_file) Json);

impl JsonSchema for Cell {
    fn schema_name() -> Cow<'static, str> {
        "Cell".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let kinds = ["null", "boolean", "integer", "number", "string"];
        let kinds: Vec<_> = kinds.iter().map(|kind| json_schema!({"type": kind})).collect();
        json_schema!({"anyOf": kinds, "description": "what a column holds"})
    }
}
