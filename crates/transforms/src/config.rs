//! A step as it is typed in a pipeline file.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Key;

/// One step: one verb, and the streams it is for. A column is named as it is called after the steps before; `?` behind the name says
/// that a stream may be without it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Step {
    /// The streams that it is for, by name; `*` and `?` are wildcards. Left out: all.
    #[schemars(with = "Vec<String>")]
    pub streams: Option<Vec<String>>,
    /// Only what this expression is true of.
    pub filter: Option<String>,
    /// Only these columns, in this order.
    pub select: Option<Vec<String>>,
    /// Other names: the column's, then its new one.
    pub rename: Option<IndexMap<String, String>>,
    /// Without these columns.
    pub drop: Option<Vec<String>>,
    /// Other kinds, by column: `text`, `int64`, `decimal(12,2)`. A value that cannot be carried over exactly is refused.
    pub cast: Option<IndexMap<String, String>>,
    /// New columns: an expression, whose value is kept as text, or an expression and the kind of its value.
    pub add: Option<IndexMap<String, Added>>,
    /// Columns of which little is to be seen.
    pub mask: Option<Mask>,
    /// Columns of which a keyed hash takes the place: HMAC with SHA-256, 64 hexadecimal digits.
    pub hash: Option<Hash>,
    /// Columns that are encrypted: AES-256-GCM-SIV, as base64.
    pub encrypt: Option<Encrypt>,
    /// Members of JSON objects that become columns: the column, and its members with their kinds. A member `city` of a column
    /// `address` is called `address_city`.
    pub flatten: Option<IndexMap<String, IndexMap<String, String>>>,
    /// What is expected of every record.
    pub quality: Option<Vec<Rule>>,
}

/// A new column.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Added {
    /// An expression, whose value is kept as text.
    Text(String),
    /// An expression and the kind of its value.
    Typed(Box<TypedColumn>),
}

/// A new column of a kind.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TypedColumn {
    /// What it holds.
    pub expr: String,
    /// Its kind: `text`, `int64`, `decimal(12,2)`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// Columns of which little is to be seen.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mask {
    /// Which. They hold text afterwards.
    pub columns: Vec<String>,
    /// How many characters stay at the end.
    #[serde(default)]
    pub keep: u32,
    /// What stands in place of each of the others.
    #[serde(default = "star")]
    pub with: String,
}

fn star() -> String {
    "*".to_owned()
}

/// Columns of which a keyed hash takes the place.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hash {
    /// Which. They hold text afterwards.
    pub columns: Vec<String>,
    /// The key: a text of at least 16 bytes, such as `openssl rand -base64 32` prints.
    pub key: Key,
}

/// Columns that are encrypted.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Encrypt {
    /// Which. They hold text afterwards.
    pub columns: Vec<String>,
    /// The key: 32 bytes as base64 or hexadecimal, such as `openssl rand -base64 32` prints.
    pub key: Key,
}

/// What is expected of every record.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What it is called in messages.
    pub name: String,
    /// What has to be true.
    pub expr: String,
    /// What becomes of a record of which it is not.
    #[serde(default)]
    pub on_fail: OnFail,
}

/// What becomes of a record that is not as expected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnFail {
    /// It is written to the log of the program, and the record goes on.
    Warn,
    /// It becomes a dead letter, where the destination has `on_error: dead-letter`.
    DeadLetter,
    /// The stream is held until a person has seen to it; before staging, reading stops.
    #[default]
    Fail,
}
