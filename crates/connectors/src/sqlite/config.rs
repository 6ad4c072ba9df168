//! What the pipeline file says of an SQLite destination.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// An SQLite database file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DestinationConfig {
    /// The database file, from the pipeline file's folder. Made when absent.
    pub path: PathBuf,
}
