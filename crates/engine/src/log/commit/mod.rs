//! A commit: one atomic step of the log, and the object it is kept as.
//!
//! It is sealed (see `log::sealed`) under the magic `TIDEMARK`, with a `Header`; its sections are its transactions, then its frames.
//! The next commit repeats its hash. Once it is folded into a volume, what is left is header, hash and transactions.

mod body;
mod header;

use std::collections::BTreeMap;

use bytes::Bytes;

pub(super) use body::{Body, Compression};
pub(crate) use header::{Frame, Header, Segment};

use crate::{
    Digest, Position, Time,
    log::{Syncing, sealed},
    schema::StreamName,
};

/// A commit as read from the log or just written to it: verified, immutable.
#[derive(Debug)]
pub struct Commit {
    header: Header,
    hash: Digest,
    body: Bytes,
    /// Where the sections begin in `body`.
    sections: usize,
}

/// One source transaction of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transaction {
    /// The ordinal after its last change.
    pub end: u64,
    /// Its place in time for replay: never earlier than that of the transaction before.
    pub watermark: Time,
}

impl Commit {
    pub(super) fn new(header: Header, hash: Digest, body: Bytes, sections: usize) -> Self {
        Self { header, hash, body, sections }
    }

    /// The same commit under the hash of the one whose place it takes.
    pub(super) fn standing_for(self, hash: Digest) -> Self {
        Self { hash, ..self }
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// The number of the commit; the first is 1.
    pub fn sequence(&self) -> u64 {
        self.header.sequence
    }

    /// Its hash, which chains it to the next.
    pub fn hash(&self) -> Digest {
        self.hash
    }

    /// Where a destination stands that has applied it.
    pub fn position(&self) -> Position {
        Position { log: self.header.log.clone(), sequence: self.sequence(), hash: self.hash }
    }

    /// When it was recorded. Later commits have later times, whatever the clock did.
    pub fn time(&self) -> Time {
        self.header.time
    }

    /// The watermark of its last transaction, or of the log before it where it has none.
    pub fn watermark(&self) -> Time {
        self.header.watermark
    }

    /// How many changes it holds.
    pub fn rows(&self) -> u64 {
        self.header.rows
    }

    /// Whether the log has a change of any stream up to it.
    pub fn has_streams(&self) -> bool {
        self.header.schemas_at > 0
    }

    /// The schema of each of its frames or segments, in order.
    pub(crate) fn schemas_in_order(&self) -> impl Iterator<Item = (&StreamName, Digest)> {
        let frames = self.header.frames.iter().map(|frame| (&frame.stream, frame.schema));
        frames.chain(self.header.segments.iter().map(|segment| (&segment.stream, segment.schema)))
    }

    /// The initial syncs that are not complete after it, by stream.
    pub fn syncing(&self) -> &BTreeMap<StreamName, Syncing> {
        &self.header.syncing
    }

    /// How many changes of each stream it holds.
    pub fn rows_by_stream(&self) -> BTreeMap<StreamName, u64> {
        let mut rows = BTreeMap::new();
        let frames = self.header.frames.iter().map(|frame| (&frame.stream, frame.rows));
        let segments = self.header.segments.iter().map(|segment| (&segment.stream, segment.rows));
        for (stream, count) in frames.chain(segments) {
            *rows.entry(stream.clone()).or_default() += count;
        }
        rows
    }

    /// How many bytes its changes take in the staging store.
    pub fn staged_bytes(&self) -> u64 {
        self.held_bytes() + self.header.segments.iter().map(Segment::share).sum::<u64>()
    }

    /// How many bytes of memory it takes.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.body.len() as u64
    }

    /// The bytes of the commit's own object.
    pub(super) fn body(&self) -> &Bytes {
        &self.body
    }

    /// A section of the body; `None` when it does not lie inside.
    pub(super) fn section(&self, offset: u64, length: u64) -> Option<Bytes> {
        sealed::section(&self.body, self.sections, offset, length)
    }
}
