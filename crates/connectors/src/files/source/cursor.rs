//! The part of the cursor that a stream of files keeps: the columns known so far, and how far each file has been read.

use std::collections::HashSet;

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use tidemark_engine::{Error, Result};

use super::fingerprint::Fingerprint;
use crate::records::Known;

/// How many files that are gone are remembered, the latest to go: one of them may come back.
const GONE_KEPT: usize = 1_000;

/// Everything a stream needs to go on where it stopped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StreamCursor {
    /// Whether every file of the first look has been read to its end.
    pub(super) initial_sync_done: bool,
    /// The columns seen so far; with the stream's name and key they are its schema.
    pub(super) columns: Known,
    /// The files known.
    pub(super) files: Vec<Mark>,
    /// The generation that somebody asked for last, counted from 2; 0 when nobody has.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) generation: u64,
}

/// How far a file has been read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// Its path below the folder when last seen.
    pub(super) path: String,
    /// Bytes read; for Parquet the size of the whole file.
    pub(super) offset: u64,
    /// Rows of a Parquet file that have been read; `None` for files that grow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rows: Option<u64>,
    /// Whether there is nothing more to come from it: a Parquet file read to its end.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) complete: bool,
    /// Lines that have been read, for messages.
    pub(super) lines: u64,
    /// Of the bytes read.
    pub(super) fingerprint: Fingerprint,
    /// The names in a CSV file's header line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) header: Option<Vec<String>>,
    /// Whether the last line read had no line end. Nothing but a line end may follow it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) open_end: bool,
    /// Device and inode, a hint at where a renamed file went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) inode: Option<(u64, u64)>,
    /// Whether the file was gone at the last look. What appears under its path then is a new file.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) gone: bool,
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

fn is_false(value: &bool) -> bool {
    !value
}

/// What a stream of files has kept, by how it was read.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Kept {
    /// Its files grew.
    Grown(StreamCursor),
    /// They were compared as a whole.
    Compared {
        #[serde(default)]
        generation: u64,
        /// What only such a one keeps.
        #[serde(rename = "manner")]
        _manner: IgnoredAny,
    },
}

impl Kept {
    /// Reads the part back.
    pub(super) fn parse(part: &Bytes) -> Result<Self> {
        serde_json::from_slice(part).map_err(|error| {
            Error::conflict("the cursor of a stream of files cannot be read")
                .hint("a newer Tidemark may have written it: upgrade this one")
                .source(error)
        })
    }
}

impl StreamCursor {
    /// Of a stream that was read in another way: everything is to be read anew, as the generation after this one.
    pub(super) fn elsewise(generation: u64) -> Self {
        Self { initial_sync_done: true, generation, ..Self::default() }
    }

    /// Where a new generation begins: nothing is read, and the columns are as they were.
    pub(super) fn anew(self) -> Self {
        let generation = self.generation.max(1) + 1;
        Self { initial_sync_done: false, files: Vec::new(), generation, ..self }
    }

    /// Whether it is being read anew, and not for the first time.
    pub(super) fn is_anew(&self) -> bool {
        self.generation > 0 && !self.initial_sync_done
    }

    /// As the opaque bytes of the cursor.
    pub(super) fn to_bytes(&self) -> Result<Bytes> {
        let json = serde_json::to_vec(self).map_err(|error| {
            Error::internal("the cursor of a stream of files cannot be written").source(error)
        })?;
        Ok(json.into())
    }

    /// Puts `mark` in the place of the one with its path, or last. Returns whether that changed anything.
    pub(super) fn put(&mut self, mark: Mark) -> bool {
        match self.files.iter_mut().find(|known| known.path == mark.path && !known.gone) {
            Some(known) if *known == mark => return false,
            Some(known) => *known = mark,
            None => self.files.push(mark),
        }
        true
    }

    /// Notes that the files at `places` in the list are gone, and forgets the oldest of those that are. Returns whether
    /// that changed anything.
    pub(super) fn lose(&mut self, places: &HashSet<usize>) -> bool {
        let (mut lost, mut kept) = (Vec::new(), Vec::new());
        for (at, mark) in std::mem::take(&mut self.files).into_iter().enumerate() {
            if places.contains(&at) {
                lost.push(Mark { gone: true, ..mark });
            } else {
                kept.push(mark);
            }
        }
        let changed = !lost.is_empty();
        self.files = kept;
        // Last in the list, so that the list is in the order of going.
        self.files.append(&mut lost);
        let mut surplus = self.files.iter().filter(|mark| mark.gone).count().saturating_sub(GONE_KEPT);
        self.files.retain(|mark| {
            let forget = mark.gone && surplus > 0;
            surplus -= usize::from(forget);
            !forget
        });
        changed
    }
}
