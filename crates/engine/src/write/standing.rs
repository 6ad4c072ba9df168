//! Where a destination stands, all streams considered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Position, schema::StreamName};

/// A destination's position, and the streams that it holds at another.
///
/// Everything up to the position has been applied, but for held streams: of those, everything up to the commit they are held
/// after. A destination keeps it whole, in the same atomic step as the data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Where all other streams stand.
    #[serde(flatten)]
    pub position: Position,
    /// Streams that failed here and wait for a person, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub held: BTreeMap<StreamName, Hold>,
}

/// Why and where a stream is held at a destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The last commit of which the stream's changes have been applied.
    pub after: u64,
    /// What it failed with.
    pub error: String,
}

impl From<Position> for Standing {
    /// No stream is held.
    fn from(position: Position) -> Self {
        Self { position, held: BTreeMap::new() }
    }
}
