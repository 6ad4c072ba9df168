//! The header of a commit: what it is, what it holds, where it stands in the chain.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Compression;
use crate::{
    Cursor, Digest, LogId, Time,
    codec::Format,
    log::{SyncStep, Syncing, hexadecimal},
    read::Phase,
    schema::StreamName,
};

/// The header, kept as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// The log it belongs to.
    pub(crate) log: LogId,
    /// Its number.
    pub(crate) sequence: u64,
    /// The hash of the commit before; zero before the first.
    pub(crate) previous: Digest,
    /// How many writers have owned the log so far, this one included.
    pub(crate) epoch: u64,
    /// The name of the process that wrote it, chosen at random.
    pub(crate) writer: String,
    /// Whether it is the first of its writer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) begins: bool,
    /// When it was recorded: max(now, the time before + 1 us).
    pub(crate) time: Time,
    /// The watermark of its last transaction.
    pub(crate) watermark: Time,
    /// The greatest place in the source of any change up to it, for sources that have such places.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "hexadecimal::option")]
    pub(crate) source_position: Option<Vec<u8>>,
    /// Where every part of the source has been read to, after this commit.
    pub(crate) cursor: Cursor,
    /// What it says of initial syncs, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) steps: Vec<SyncStep>,
    /// The initial syncs that are not complete after it. Until one is, the stream's changes wait.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) syncing: BTreeMap<StreamName, Syncing>,
    /// The initial syncs that it completes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) completed: BTreeMap<StreamName, Syncing>,
    /// The newest schema of every stream, in a commit that brings a new one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) schemas: BTreeMap<StreamName, Digest>,
    /// The last commit that brought a new schema; 0 when none has.
    #[serde(default)]
    pub(crate) schemas_at: u64,
    /// How many changes it holds in all.
    pub(crate) rows: u64,
    /// How many source transactions it holds. Their section comes first: 16 bytes each, `end` and `watermark` in
    /// microseconds, little endian.
    pub(crate) transactions: u64,
    /// Changes inside the commit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) frames: Vec<Frame>,
    /// Changes in objects of their own. A commit has frames or segments, not both.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) segments: Vec<Segment>,
}

/// Changes of one stream under one schema, inside the commit, as an Arrow IPC stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Frame {
    pub(crate) stream: StreamName,
    pub(crate) schema: Digest,
    pub(crate) phase: Phase,
    pub(crate) rows: u64,
    /// From the first byte after the header.
    pub(crate) offset: u64,
    /// As stored.
    pub(crate) length: u64,
    pub(crate) compression: Compression,
}

/// Changes of one stream under one schema in an object of their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Segment {
    pub(crate) stream: StreamName,
    pub(crate) schema: Digest,
    pub(crate) phase: Phase,
    pub(crate) format: Format,
    /// The object's path below the log's root.
    pub(crate) name: String,
    /// How many changes of it are the commit's.
    pub(crate) rows: u64,
    /// Changes before those, of other commits.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) skip: u64,
    /// How many changes it holds in all, where that is more: it was made when the commit was folded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) of: Option<u64>,
    /// How long the object is.
    pub(crate) bytes: u64,
    /// The hash of the object.
    pub(crate) digest: Digest,
    /// What its ordinals count from.
    pub(crate) first_ordinal: u64,
}

impl Segment {
    /// How many changes the object holds in all.
    pub(crate) fn total(&self) -> u64 {
        self.of.unwrap_or(self.rows)
    }

    /// Bytes of the object that are the commit's, about.
    pub(crate) fn share(&self) -> u64 {
        let share = u128::from(self.bytes) * u128::from(self.rows) / u128::from(self.total().max(1));
        u64::try_from(share).unwrap_or(self.bytes)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
