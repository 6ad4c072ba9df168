//! The layout: what stands where, once commits are folded. A chain of objects, each of which says everything; the newest is
//! the truth. Commits themselves are never written anew: a layout only says in which volume to look for them.
//!
//! | Question | File |
//! |---|---|
//! | What does a layout say? | `mod` |
//! | Which one is the newest? | `view` |
//! | How does the next one come to be? | `writer` |
//!
//! Readers that miss an object look here again before they call it a hole.

mod view;
mod writer;

use serde::{Deserialize, Serialize};

pub(super) use view::View;
pub(crate) use writer::LayoutWriter;

use super::sealed::{Magic, Sealed};
use crate::{Digest, LogId, Result, Time};

pub(super) const MAGIC: &Magic = b"TIDELAYO";
const FORMAT: u32 = 1;

/// What stands where, as of one entry of the chain. Number 0 is before the first: every commit is an object of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layout {
    pub(crate) format: u32,
    pub(crate) log: LogId,
    /// Its place in the chain.
    pub(crate) number: u64,
    /// The name of the process that wrote it, chosen at random.
    pub(crate) writer: String,
    /// Whether it is the first of its writer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) begins: bool,
    /// When it was written.
    pub(crate) time: Time,
    /// What stands for everything up to a commit of which nothing else is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) base: Option<VolumeRef>,
    /// Commits that are folded, in order and without a gap.
    pub(crate) volumes: Vec<VolumeRef>,
    /// What nothing needs any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) doomed: Vec<Doomed>,
    /// Objects that are needed for nothing but their names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) fences: Vec<Fence>,
}

/// A volume, as a layout names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VolumeRef {
    /// The object's path below the log's root.
    pub(crate) name: String,
    /// The hash at the object's end.
    pub(crate) digest: Digest,
    /// Its first commit and its last.
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// The hash of the commit before the first, and of the last one.
    pub(crate) previous: Digest,
    pub(crate) head: Digest,
    /// When its first commit was recorded, and its last.
    pub(crate) begun: Time,
    pub(crate) time: Time,
    /// The watermark after it.
    pub(crate) watermark: Time,
    /// How many changes its commits hold.
    pub(crate) rows: u64,
    /// Bytes that it and the segments of its commits take.
    pub(crate) bytes: u64,
    /// What its changes take in memory, as far as they were folded, and the rest of its commits before compression: how full it is.
    pub(crate) weight: u64,
    pub(crate) plain: u64,
    /// Whether no initial sync is under way after it.
    pub(crate) settled: bool,
}

/// Objects that nothing needs since a layout, to be removed after a while: somebody may be reading them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Doomed {
    /// When they may be removed.
    pub(crate) from: Time,
    /// Commits, from the first to the last, but for fences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) commits: Option<(u64, u64)>,
    /// Other objects, by their paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) objects: Vec<String>,
}

/// An object that stays for the sake of its name: the only one that the writer before could still try to take. It goes when that
/// writer is known to have ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Fence {
    pub(crate) object: Fenced,
    /// The name of the writer that it keeps out.
    pub(crate) against: String,
}

/// What kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fenced {
    /// The first commit of an epoch.
    Commit(u64),
    /// The first layout of a writer.
    Layout(u64),
}

impl Layout {
    /// Before the first.
    pub(super) fn none(log: LogId) -> Self {
        Self {
            format: FORMAT,
            log,
            number: 0,
            writer: String::new(),
            begins: false,
            time: Time::EPOCH,
            base: None,
            volumes: Vec::new(),
            doomed: Vec::new(),
            fences: Vec::new(),
        }
    }

    /// The last commit that is folded; 0 when none is.
    pub(crate) fn folded(&self) -> u64 {
        self.volumes.last().or(self.base.as_ref()).map_or(0, |volume| volume.last)
    }

    /// The commit that stands for all before it; 0 when everything is kept.
    pub(crate) fn base_sequence(&self) -> u64 {
        self.base.as_ref().map_or(0, |base| base.last)
    }

    /// The volume that commit `sequence` is in.
    pub(crate) fn volume_of(&self, sequence: u64) -> Option<&VolumeRef> {
        if let Some(base) = self.base.as_ref().filter(|base| base.last == sequence) {
            return Some(base);
        }
        let at = self.volumes.partition_point(|volume| volume.last < sequence);
        self.volumes.get(at).filter(|volume| volume.first <= sequence)
    }

    /// Whether commit `sequence` is folded, or dropped: its own object decides nothing any more.
    pub(crate) fn covers(&self, sequence: u64) -> bool {
        sequence <= self.folded()
    }

    /// The volumes, the base among them.
    pub(crate) fn all_volumes(&self) -> impl Iterator<Item = &VolumeRef> {
        self.base.iter().chain(&self.volumes)
    }

    pub(super) fn seal(&self) -> Result<Sealed> {
        Sealed::new(MAGIC, self, &[], "a layout")
    }

    pub(super) fn parse(sealed: &Sealed) -> Result<Self, &'static str> {
        let layout: Self = sealed.header()?;
        if layout.format > FORMAT {
            return Err("a later version of Tidemark wrote it");
        }
        let mut after = layout.base_sequence();
        for volume in &layout.volumes {
            if Some(volume.first) != after.checked_add(1) || volume.last < volume.first {
                return Err("its volumes do not follow upon one another");
            }
            after = volume.last;
        }
        Ok(layout)
    }
}
