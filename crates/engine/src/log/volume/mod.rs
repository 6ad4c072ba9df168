//! A volume: what is left of a run of commits once their changes stand in segments. Headers, hashes and transactions, as they were.
//!
//! It is sealed (see `log::sealed`) under the magic `TIDEVOLU`, with `Contents`. Its sections are pages, each a zstd frame of up to
//! 256 commits:
//!
//! ```text
//! length of the skeleton        4 bytes, little endian
//! skeleton                      JSON, see `Skeleton`
//! length of the transactions    4 bytes, little endian
//! transactions                  as in the commit
//! hash                          32 bytes, the commit's own
//! ```
//!
//! | Question | File |
//! |---|---|
//! | What does a volume say? | `mod` |
//! | How is one made? | `binding` |
//! | How is one read? | `shelf` |

mod binding;
#[cfg(feature = "fuzzing")]
#[expect(clippy::expect_used, reason = "a broken promise is to panic")]
pub(super) mod fuzzing;
mod shelf;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub(super) use binding::Binding;
pub(super) use shelf::{Shelf, damaged};

use super::{
    Commit,
    commit::{Header, Segment},
    sealed::{Magic, Sealed},
};
use crate::{Digest, Error, LogId, Result};

const MAGIC: &Magic = b"TIDEVOLU";
/// Commits to a page.
const PAGE: usize = 256;
/// A page ends when it has come to this size.
const PAGE_BYTES: usize = 1 << 20;
/// No page decompresses to more: one commit has up to 65,536 transactions, and a cursor.
const PAGE_LIMIT: u64 = 1 << 30;

/// The header of a volume.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Contents {
    log: LogId,
    first: u64,
    last: u64,
    /// Every segment that its commits have changes in.
    segments: Vec<Segment>,
    pages: Vec<Page>,
}

/// Where some of the commits are.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Page {
    first: u64,
    /// From the first byte after the header.
    offset: u64,
    /// As stored.
    length: u64,
    /// Decompressed.
    plain: u64,
}

/// A folded commit.
#[derive(Debug, Serialize, Deserialize)]
struct Skeleton {
    /// Its header, without frames and segments. Only the last commit of a volume keeps its cursor.
    header: Header,
    /// Where its changes are, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pieces: Vec<Piece>,
}

/// Changes of a folded commit: some rows of a segment.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Piece {
    /// Which one, of the volume's.
    pub(super) segment: usize,
    pub(super) skip: u64,
    pub(super) rows: u64,
    pub(super) first_ordinal: u64,
}

/// A volume that has been verified.
#[derive(Debug)]
pub(super) struct Volume {
    sealed: Sealed,
    contents: Contents,
}

impl Volume {
    /// Reads a volume back and verifies its hash.
    fn open(sealed: Sealed) -> Result<Self, &'static str> {
        let contents = sealed.header()?;
        Ok(Self { sealed, contents })
    }

    /// Every segment that its commits have changes in.
    pub(super) fn segments(&self) -> &[Segment] {
        &self.contents.segments
    }

    /// How many bytes of memory it takes.
    fn held_bytes(&self) -> usize {
        self.sealed.bytes.len()
    }

    /// The commits of the page that holds commit `sequence`.
    pub(super) fn page_of(&self, sequence: u64) -> Result<Vec<Arc<Commit>>> {
        let unsound = |what: &str| {
            let Contents { first, last, .. } = &self.contents;
            Error::conflict(format!("the volume of commits {first} to {last} {what}"))
        };
        let pages = &self.contents.pages;
        let at = pages.partition_point(|page| page.first <= sequence);
        let page = at.checked_sub(1).and_then(|at| pages.get(at)).filter(|page| page.plain <= PAGE_LIMIT);
        let page = page.ok_or_else(|| unsound("misses a page"))?;
        let stored = self.sealed.section(page.offset, page.length).ok_or_else(|| unsound("misses a page"))?;
        let plain = zstd::bulk::decompress(&stored, usize::try_from(page.plain).unwrap_or(usize::MAX))
            .map_err(|error| unsound("has a page that does not decompress").source(error))?;
        let plain = bytes::Bytes::from(plain);
        let (mut commits, mut at) = (Vec::with_capacity(PAGE), 0);
        while at < plain.len() {
            let (commit, end) =
                self.commit(&plain, at).ok_or_else(|| unsound("has a commit that cannot be read"))?;
            if commit.sequence() != page.first + commits.len() as u64 {
                return Err(unsound("has a commit out of order"));
            }
            commits.push(Arc::new(commit));
            at = end;
        }
        Ok(commits)
    }

    /// The commit that begins `at` a place in a page, and the place after it.
    fn commit(&self, page: &bytes::Bytes, at: usize) -> Option<(Commit, usize)> {
        let length = |at: usize| Some(u32::from_le_bytes(*page.get(at..)?.first_chunk()?) as usize);
        let skeleton = at.checked_add(4)?;
        let transactions = skeleton.checked_add(length(at)?)?;
        let sections = transactions.checked_add(4)?;
        let hash = sections.checked_add(length(transactions)?)?;
        let end = hash.checked_add(Digest::ZERO.as_bytes().len())?;
        let Skeleton { mut header, pieces } =
            serde_json::from_slice(page.get(skeleton..transactions)?).ok()?;
        for Piece { segment, skip, rows, first_ordinal } in pieces {
            let segment = self.contents.segments.get(segment)?;
            header.segments.push(Segment { skip, rows, first_ordinal, ..segment.clone() });
        }
        let digest = Digest::from_bytes(*page.get(hash..end)?.first_chunk()?);
        Some((Commit::new(header, digest, page.slice(at..end), sections - at), end))
    }
}

/// A sealed volume that was read from the store.
fn open(bytes: bytes::Bytes) -> Result<Volume, &'static str> {
    Sealed::open(MAGIC, bytes).and_then(Volume::open)
}
