//! Making a volume, commit by commit.

use super::{Contents, MAGIC, PAGE, PAGE_BYTES, Page, Piece, Skeleton};
use crate::{
    Cursor, Error, Result,
    log::{
        Commit,
        commit::{Header, Segment},
        layout::VolumeRef,
        sealed::Sealed,
    },
};

/// The commits of a volume in the making.
#[derive(Debug, Default)]
pub(in crate::log) struct Binding {
    pages: Vec<Page>,
    sections: Vec<u8>,
    /// The page that is not full yet.
    open: Vec<u8>,
    in_page: usize,
    /// The last commit. It is not known yet whether another follows, and it may drop its cursor.
    last: Option<Bound>,
    /// What will be said of the volume.
    card: Option<VolumeRef>,
    /// Bytes before compression.
    plain: u64,
}

/// A commit on its way into a page.
#[derive(Debug)]
struct Bound {
    skeleton: Skeleton,
    transactions: bytes::Bytes,
    hash: crate::Digest,
}

impl Binding {
    /// Adds the commit after the last one, whose changes now are in `pieces` of the volume's segments.
    pub(in crate::log) fn add(&mut self, commit: &Commit, pieces: Vec<Piece>) -> Result<()> {
        if let Some(mut before) = self.last.take() {
            before.skeleton.header.cursor = Cursor::default();
            self.write(&before)?;
        }
        let header = commit.header();
        let transactions = commit.transactions_section()?;
        let card = self.card.get_or_insert_with(|| VolumeRef {
            name: String::new(),
            digest: crate::Digest::ZERO,
            first: header.sequence,
            last: header.sequence,
            previous: header.previous,
            head: commit.hash(),
            begun: header.time,
            time: header.time,
            watermark: header.watermark,
            rows: 0,
            bytes: 0,
            weight: 0,
            plain: 0,
            settled: false,
        });
        card.last = header.sequence;
        card.head = commit.hash();
        card.time = header.time;
        card.watermark = header.watermark;
        card.rows += header.rows;
        card.settled = header.syncing.is_empty();
        let header = Header { frames: Vec::new(), segments: Vec::new(), ..header.clone() };
        let skeleton = Skeleton { header, pieces };
        self.last = Some(Bound { skeleton, transactions, hash: commit.hash() });
        Ok(())
    }

    /// How many bytes its commits take, before compression.
    pub(in crate::log) fn plain_bytes(&self) -> u64 {
        self.plain
    }

    /// How many commits it has.
    pub(in crate::log) fn commits(&self) -> u64 {
        self.card.as_ref().map_or(0, |card| card.last - card.first + 1)
    }

    /// Ends the volume: the object, and what a layout says of it but for its name. `weight` is what its changes take in memory.
    pub(in crate::log) fn finish(
        mut self,
        segments: Vec<Segment>,
        weight: u64,
    ) -> Result<(Sealed, VolumeRef)> {
        let unsound = || Error::internal("a volume without commits");
        let last = self.last.take().ok_or_else(unsound)?;
        let log = last.skeleton.header.log.clone();
        self.write(&last)?;
        self.end_page()?;
        let mut card = self.card.take().ok_or_else(unsound)?;
        let segment_bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
        let contents = Contents { log, first: card.first, last: card.last, segments, pages: self.pages };
        let sealed = Sealed::new(MAGIC, &contents, &self.sections, "a volume")?;
        card.digest = sealed.hash;
        card.bytes = segment_bytes + sealed.bytes.len() as u64;
        card.weight = weight;
        card.plain = self.plain;
        Ok((sealed, card))
    }

    fn write(&mut self, bound: &Bound) -> Result<()> {
        let Bound { skeleton, transactions, hash } = bound;
        let json = serde_json::to_vec(skeleton)
            .map_err(|error| Error::internal("cannot write a folded commit").source(error))?;
        if self.in_page == 0 {
            let (first, offset) = (skeleton.header.sequence, self.sections.len() as u64);
            self.pages.push(Page { first, offset, length: 0, plain: 0 });
        }
        for part in [json.as_slice(), transactions.as_ref()] {
            let length = u32::try_from(part.len())
                .map_err(|_| Error::data("a commit is too large for a volume (4 GiB)"))?;
            self.open.extend_from_slice(&length.to_le_bytes());
            self.open.extend_from_slice(part);
        }
        self.open.extend_from_slice(hash.as_bytes());
        self.plain += (json.len() + transactions.len()) as u64;
        self.in_page += 1;
        if self.in_page == PAGE || self.open.len() >= PAGE_BYTES { self.end_page() } else { Ok(()) }
    }

    fn end_page(&mut self) -> Result<()> {
        let Some(page) = self.pages.last_mut().filter(|_| self.in_page > 0) else { return Ok(()) };
        let packed = zstd::bulk::compress(&self.open, 3)
            .map_err(|error| Error::internal("cannot compress folded commits").source(error))?;
        page.length = packed.len() as u64;
        page.plain = self.open.len() as u64;
        self.sections.extend_from_slice(&packed);
        self.open.clear();
        self.in_page = 0;
        Ok(())
    }
}
