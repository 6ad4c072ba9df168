//! Where the source has been read to, and where a destination stands in the log.

use std::{collections::BTreeMap, fmt};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Digest;

/// The name of one independently read part of a source: a stream, or chunk 17 of one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartId(String);

impl PartId {
    /// The part called `name`.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PartId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a *source* has been read to: opaque bytes for each part, which only the read strategy understands.
/// Every commit carries the whole map, so the newest commit alone says where to go on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    parts: BTreeMap<PartId, Opaque>,
}

impl Cursor {
    /// Where `part` has been read to; `None` when it has not been read at all.
    pub fn get(&self, part: &PartId) -> Option<&Bytes> {
        self.parts.get(part).map(|Opaque(bytes)| bytes)
    }

    /// Moves `part` to `to`.
    pub fn set(&mut self, part: PartId, to: Bytes) {
        self.parts.insert(part, Opaque(to));
    }

    /// Forgets `part`.
    pub fn remove(&mut self, part: &PartId) {
        self.parts.remove(part);
    }

    /// Every part and where it has been read to, by name.
    pub fn parts(&self) -> impl Iterator<Item = (&PartId, &Bytes)> {
        self.parts.iter().map(|(part, Opaque(bytes))| (part, bytes))
    }

    /// Whether nothing has been read yet.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}

/// Bytes that stand as Base64 in JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Opaque(Bytes);

impl Serialize for Opaque {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Opaque {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64_STANDARD.decode(text).map(|bytes| Self(bytes.into())).map_err(de::Error::custom)
    }
}

/// The identity of a log: 12 random characters, made with the log and never changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogId(String);

impl LogId {
    /// The log called `id`.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a *destination* stands: everything up to and including commit `sequence` of `log` has been applied.
///
/// The commit's hash is part of it, so that a log that was deleted and begun anew, or restored from a backup, is
/// recognised instead of skipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Which log.
    pub log: LogId,
    /// The last commit applied. Commits are numbered from 1; 0 stands before the first.
    pub sequence: u64,
    /// The hash of that commit; [`Digest::ZERO`] before the first.
    pub hash: Digest,
}

impl Position {
    /// Before the first commit of `log`.
    pub fn start(log: LogId) -> Self {
        Self { log, sequence: 0, hash: Digest::ZERO }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.sequence)
    }
}

/// The identity of one change in the log: unique, and sorting as text in the log's order within one log.
/// Destinations keep it as `_tidemark_position`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeId<'a> {
    /// Which log.
    pub log: &'a LogId,
    /// The commit that holds the change.
    pub sequence: u64,
    /// Its place among the changes of the commit, from 0.
    pub ordinal: u64,
}

impl fmt::Display for ChangeId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:012}-{:09}", self.log, self.sequence, self.ordinal)
    }
}
