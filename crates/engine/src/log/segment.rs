//! Changes in objects of their own: the initial sync, and transactions too large for a commit. A segment is invisible until
//! a commit names it; one that no commit ever names is an orphan.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use arrow_schema::SchemaRef;
use bytes::Bytes;
use object_store::path::Path;

use super::{
    Log,
    commit::Segment,
    names::{self, SegmentName},
    uploads::Uploads,
};
use crate::{
    Digest, Error, Result, Stop,
    change::ChangeBatch,
    codec::{Batches, Encoder, Format, conform},
    read::{Memory, Phase},
    schema::StreamSchema,
};

/// What the segments of one writer have in common.
#[derive(Debug)]
pub(crate) struct SegmentSettings {
    pub(crate) log: Log,
    pub(crate) format: Format,
    pub(crate) epoch: u64,
    pub(crate) writer: String,
    /// How many this writer has begun.
    pub(crate) begun: AtomicU64,
    /// Ends the wait for a store that takes nothing.
    pub(crate) stop: Stop,
    pub(crate) unnamed: Unnamed,
}

/// The segments of one writer that no commit names yet. Cheap to clone; clones share what they know.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unnamed(Arc<Mutex<BTreeSet<String>>>);

impl Unnamed {
    fn locked(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a commit names these.
    pub(crate) fn named(&self, names: &[String]) {
        let mut unnamed = self.locked();
        names.iter().for_each(|name| _ = unnamed.remove(name));
    }

    /// Takes all of them: nobody will name them any more.
    pub(crate) fn take(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.locked())
    }
}

/// Writes the changes of one stream, within one boundary, into as many segments as they need.
pub(crate) struct SegmentWriter {
    settings: Arc<SegmentSettings>,
    phase: Phase,
    open: Option<OpenSegment>,
    finished: Vec<Segment>,
    uploads: Uploads,
}

struct OpenSegment {
    schema: Arc<StreamSchema>,
    columns: SchemaRef,
    encoder: Box<dyn Encoder>,
    rows: u64,
}

impl SegmentSettings {
    async fn begin(&self, schema: &Arc<StreamSchema>, columns: SchemaRef) -> Result<OpenSegment> {
        self.log.put_schema(schema, &self.stop).await?;
        let encoder = self.format.codec().encode(columns.clone())?;
        Ok(OpenSegment { schema: schema.clone(), columns, encoder, rows: 0 })
    }
}

impl SegmentWriter {
    /// A segment of about this size is ended and another begun. A reader verifies a segment whole before it believes the
    /// first change, so this bounds its memory.
    pub(crate) const TARGET_BYTES: usize = 4 << 20;

    pub(crate) fn new(settings: Arc<SegmentSettings>, phase: Phase) -> Self {
        Self { settings, phase, open: None, finished: Vec::new(), uploads: Uploads::default() }
    }

    /// The same, which goes on while its segments are put, as long as `memory` has room for them.
    #[must_use]
    pub(crate) fn uploading_beside(self, memory: Memory) -> Self {
        Self { uploads: Uploads::beside(memory), ..self }
    }

    /// Adds changes, numbered from the last boundary.
    pub(crate) async fn write(&mut self, batch: ChangeBatch) -> Result<()> {
        let mut record = batch.to_record_batch()?;
        let open = match self.open.take() {
            Some(open) if open.schema.digest() == batch.schema().digest() => {
                match conform(&record, &open.columns) {
                    Some(alike) => {
                        record = alike;
                        Some(open)
                    }
                    None => self.end(open).await.map(|()| None)?,
                }
            }
            Some(open) => self.end(open).await.map(|()| None)?,
            None => None,
        };
        let mut open = match open {
            Some(open) => open,
            None => self.settings.begin(batch.schema(), record.schema()).await?,
        };
        let written = self.settings.log.world().compute(move || {
            open.encoder.write(&record)?;
            open.rows += record.num_rows() as u64;
            Ok::<_, Error>(open)
        });
        let open = written.await??;
        if open.encoder.size() >= Self::TARGET_BYTES {
            self.end(open).await?;
        } else {
            self.open = Some(open);
        }
        Ok(())
    }

    /// About how many bytes are being encoded.
    pub(crate) fn open_size(&self) -> usize {
        self.open.as_ref().map_or(0, |open| open.encoder.size())
    }

    /// Ends the segment that is being encoded, if there is one.
    pub(crate) async fn end_open(&mut self) -> Result<()> {
        match self.open.take() {
            Some(open) => self.end(open).await,
            None => Ok(()),
        }
    }

    /// Makes everything durable. The segments are ready to be named by a commit.
    pub(crate) async fn finish(self) -> Result<Vec<Segment>> {
        let (segments, uploads) = self.finish_beside().await?;
        uploads.finish().await?;
        Ok(segments)
    }

    /// The segments, which may be named once the uploads have finished.
    pub(crate) async fn finish_beside(mut self) -> Result<(Vec<Segment>, Uploads)> {
        self.end_open().await?;
        Ok((self.finished, self.uploads))
    }

    async fn end(&mut self, open: OpenSegment) -> Result<()> {
        let OpenSegment { schema, encoder, rows, .. } = open;
        let SegmentSettings { log, format, epoch, writer, begun, stop, unnamed } = self.settings.as_ref();
        let name = names::segment(&SegmentName {
            stream: schema.stream(),
            phase: self.phase,
            time: log.world().now(),
            epoch: *epoch,
            number: begun.fetch_add(1, Ordering::Relaxed),
            writer,
            extension: format.codec().extension(),
        });
        // Before it is there: an outcome may stay open.
        unnamed.locked().insert(name.to_string());
        let (bytes, digest) = encoded(log, encoder).await?;
        let length = bytes.len() as u64;
        self.uploads.put(log, name.clone(), bytes, stop).await?;
        self.finished.push(Segment {
            stream: schema.stream().clone(),
            schema: schema.digest(),
            phase: self.phase,
            format: *format,
            name: name.to_string(),
            rows,
            skip: 0,
            of: None,
            bytes: length,
            digest,
            first_ordinal: 0,
        });
        Ok(())
    }
}

/// Ends a blob and makes it durable under `name`, which nobody else would choose. Returns its length and its hash.
pub(super) async fn put_segment(
    log: &Log,
    name: &Path,
    encoder: Box<dyn Encoder>,
    stop: &Stop,
) -> Result<(u64, Digest)> {
    let (bytes, digest) = encoded(log, encoder).await?;
    let length = bytes.len() as u64;
    log.put_own(name, &bytes, stop).await?;
    Ok((length, digest))
}

/// What `encoder` has encoded, and its digest.
async fn encoded(log: &Log, encoder: Box<dyn Encoder>) -> Result<(Bytes, Digest)> {
    let encode = move || {
        let bytes = encoder.finish()?;
        let digest = Digest::of(&bytes);
        Ok((bytes, digest))
    };
    log.world().compute(encode).await?
}

impl Segment {
    /// Where it is kept.
    pub(super) fn path(&self) -> Result<Path> {
        let unsound =
            |error| Error::conflict(format!("a segment has the name `{}`", self.name)).source(error);
        Path::parse(&self.name).map_err(unsound)
    }
}

impl Log {
    /// The bytes of a segment of commit `sequence`, verified.
    pub(super) async fn segment(&self, sequence: u64, segment: &Segment) -> Result<Bytes> {
        let Segment { name, bytes: length, digest, .. } = segment;
        let damaged = |what: &str| {
            Error::conflict(format!("the segment `{name}` is {what}"))
                .hint("restore it from a backup: nothing of it or after it is delivered")
        };
        let Some(bytes) = self.store().get(&segment.path()?).await? else {
            self.check_unmoved(sequence, segment).await?;
            return Err(damaged("missing"));
        };
        let content = bytes.clone();
        let found = self.world().compute(move || Digest::of(&content)).await?;
        if bytes.len() as u64 != *length || found != *digest {
            return Err(damaged("damaged: its content is not what was written"));
        }
        Ok(bytes)
    }
}

impl Log {
    /// Checks that changes of commit `sequence` are still to be found in `segment`.
    ///
    /// Fails with [`crate::ErrorKind::Unavailable`] when the commit was folded meanwhile: whoever begins again finds them.
    async fn check_unmoved(&self, sequence: u64, segment: &Segment) -> Result<()> {
        self.refresh_layout().await?;
        let commit = self.commit(sequence).await?;
        match commit.header().segments.iter().any(|found| found.name == segment.name) {
            true => Ok(()),
            false => Err(Error::unavailable(format!("commit {sequence} was folded while it was being read"))
                .hint("try again")),
        }
    }
}

/// The record batches of a segment's verified `bytes`.
pub(super) fn read(segment: &Segment, bytes: Bytes) -> Result<Batches> {
    segment.format.codec().decode(bytes)
}
