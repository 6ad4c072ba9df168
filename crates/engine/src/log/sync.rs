//! Initial syncs as the log tells of them: generations, their chunks, and when they are complete.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::hexadecimal;
use crate::{Error, Result, schema::StreamName};

/// A step of a stream's initial sync, durable together with the rows and the cursor of its boundary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncStep {
    /// A generation begins. One of the stream that was not complete is void from here on: its rows, and the stream's
    /// changes since it began.
    Begin {
        /// Whose.
        stream: StreamName,
        /// Counted from 1, for each stream.
        generation: u64,
        /// What there is of the stream from before.
        #[serde(default)]
        former: Former,
    },
    /// All rows of the boundary are a whole chunk, read in one snapshot.
    Chunk {
        /// Whose.
        stream: StreamName,
        /// Of which generation.
        generation: u64,
        /// The keys it covers.
        range: KeyRange,
        /// Changes with a source position at or after this are not in the snapshot; those before it are.
        #[serde(with = "hexadecimal")]
        point: Vec<u8>,
    },
    /// Every chunk of the generation, and every change of the stream up to the last point, is in the log.
    Done {
        /// Whose.
        stream: StreamName,
        /// Of which generation.
        generation: u64,
    },
}

impl SyncStep {
    /// Whose initial sync it is of, and of which generation.
    pub(crate) fn of(&self) -> (&StreamName, u64) {
        match self {
            Self::Begin { stream, generation, .. }
            | Self::Chunk { stream, generation, .. }
            | Self::Done { stream, generation } => (stream, *generation),
        }
    }
}

/// A range of keys, by the first key column alone; without bounds it is the whole stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRange {
    /// The first key in it, as [`ordered`](crate::schema::ordered) bytes; `None`: from the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "hexadecimal::option")]
    pub from: Option<Vec<u8>>,
    /// The first key after it; `None`: to the end.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "hexadecimal::option")]
    pub until: Option<Vec<u8>>,
}

impl KeyRange {
    /// Whether it covers `key`.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.from.as_deref().is_none_or(|from| from <= key)
            && self.until.as_deref().is_none_or(|until| key < until)
    }
}

/// What there is of a stream when a generation of it begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Former {
    /// No complete generation: what destinations have of the stream is void, or nothing.
    #[default]
    Nothing,
    /// A complete one, of which changes are wanting since. Destinations keep what they have, as it is, until the new one is
    /// complete.
    Stale,
    /// A complete one that goes on: its changes are played as before until the new one is complete.
    Current,
}

/// A generation of a stream: one that is not complete yet, or one that has just become so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Syncing {
    /// Which one.
    pub generation: u64,
    /// The commit it began in.
    pub since: u64,
    /// What there was before.
    #[serde(default)]
    pub former: Former,
}

/// Generations by stream.
pub(super) type Generations = BTreeMap<StreamName, Syncing>;

/// What is incomplete after `steps` of commit `sequence`, when `open` was before; and what they complete. A stream of which
/// another generation begins in the same commit goes on waiting.
///
/// Fails with [`crate::ErrorKind::Internal`] when a step belongs to a generation that is not open: rows of one that was
/// abandoned would stand among those of the next.
pub(super) fn after(
    open: &Generations,
    steps: &[SyncStep],
    sequence: u64,
) -> Result<(Generations, Generations)> {
    let (mut open, mut completed) = (open.clone(), Generations::new());
    for step in steps {
        let (stream, generation) = step.of();
        let current = open.get(stream).map(|syncing| syncing.generation);
        let fits = match step {
            SyncStep::Begin { .. } => current.is_none_or(|current| current < generation),
            SyncStep::Chunk { .. } | SyncStep::Done { .. } => current == Some(generation),
        };
        if !fits {
            return Err(Error::internal(format!(
                "a step of initial sync {generation} of stream `{stream}` comes out of turn"
            )));
        }
        match step {
            SyncStep::Begin { former, .. } => {
                completed.remove(stream);
                open.insert(stream.clone(), Syncing { generation, since: sequence, former: *former });
            }
            SyncStep::Chunk { .. } => {}
            SyncStep::Done { .. } => completed.extend(open.remove_entry(stream)),
        }
    }
    Ok((open, completed))
}
