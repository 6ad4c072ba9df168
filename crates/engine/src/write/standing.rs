//! Where a destination stands, all streams considered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Position, schema::StreamName};

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
    /// The reaction that asks for.
    pub kind: ErrorKind,
    /// What a person can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Hold {
    /// A stream that failed with `error` when all up to commit `after` had been applied.
    pub fn new(after: u64, error: &Error) -> Self {
        let hint = error.hint_text().map(str::to_owned);
        Self { after, error: error.to_string(), kind: error.kind(), hint }
    }

    /// The error again, of `stream`.
    pub fn error(&self, stream: &StreamName) -> Error {
        let error =
            Error::new(self.kind, format!("stream `{stream}` is held: {}", self.error)).of_stream(stream);
        match &self.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

impl From<Position> for Standing {
    /// No stream is held.
    fn from(position: Position) -> Self {
        Self { position, held: BTreeMap::new() }
    }
}
