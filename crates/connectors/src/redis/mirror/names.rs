//! The keys that Tidemark keeps for itself. They all begin with `_tidemark`.
//!
//! | Key | Holds |
//! |---|---|
//! | `_tidemark` | a hash: whose records stand under keys of which pattern |
//! | `_tidemark:NAME` | a hash: the position of destination NAME, and whose it is |
//! | `_tidemark:NAME:streams` | a hash: what is known of each stream |
//! | `_tidemark:NAME:keys:STREAM` | a set: the keys that records of the stream stand under |
//! | `_tidemark:NAME:anew:N:record:KEY` | a record that will stand under KEY |
//! | `_tidemark:NAME:anew:N:keys:STREAM` | a set: the keys of those |
//! | `_tidemark:NAME:void` | a set: which of those are void |

use tidemark_engine::schema::StreamName;

/// What all of them begin with, and the one that says whose records stand under keys of which pattern.
pub(super) const OURS: &str = "_tidemark";

/// The keys of one destination. Its name has no colon in it.
#[derive(Debug, Clone)]
pub(super) struct Names(String);

/// Where records of a stream are kept: in sight, or out of it until they take the others' place.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    /// What stands before the keys of its records.
    prefix: String,
    /// The set of their keys.
    pub(super) set: String,
}

impl Names {
    /// Those of `destination`.
    pub(super) fn of(destination: &str) -> Self {
        Self(format!("{OURS}:{destination}"))
    }

    /// The position.
    pub(super) fn position(&self) -> &str {
        &self.0
    }

    /// What is known of streams.
    pub(super) fn streams(&self) -> String {
        format!("{}:streams", self.0)
    }

    /// Which records out of sight are void.
    pub(super) fn void(&self) -> String {
        format!("{}:void", self.0)
    }

    /// What everybody sees of `stream`.
    pub(super) fn seen(&self, stream: &StreamName) -> Layer {
        Layer { prefix: String::new(), set: format!("{}:keys:{stream}", self.0) }
    }

    /// What `stream` is filled with anew, from commit `from` on.
    pub(super) fn anew(&self, from: u64, stream: &str) -> Layer {
        let base = format!("{}:anew:{from}", self.0);
        Layer { prefix: format!("{base}:record:"), set: format!("{base}:keys:{stream}") }
    }
}

impl Layer {
    /// Where the record stands that everybody will see under `key`.
    pub(super) fn record(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }
}
