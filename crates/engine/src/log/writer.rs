//! The commit protocol: how one step is added to the log, once, by one writer.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;

use super::{
    Commit, Former, Log, SyncStep, Syncing, Transaction,
    commit::{Body, Header, Segment},
    frame,
    head::Head,
    names,
    putting::Put,
    sync,
};
use crate::{
    Cursor, Digest, Error, PartId, Result, Stop, Time, change::ChangeBatch, read::Phase, schema::StreamName,
};

/// What one commit is made of: boundaries of the source, whole and in order.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    pub(crate) groups: Vec<Group>,
}

impl Entry {
    /// Whether it has a change of `stream`, or says something of its initial sync.
    pub(crate) fn concerns(&self, stream: &StreamName) -> bool {
        self.groups.iter().any(|group| {
            group.steps.iter().any(|step| step.of().0 == stream)
                || group.batches.iter().any(|batch| batch.schema().stream() == stream)
                || group.segments.iter().any(|segment| &segment.stream == stream)
        })
    }
}

impl Entry {
    /// The segments that it names.
    pub(crate) fn segments(&self) -> Vec<String> {
        let segments = self.groups.iter().flat_map(|group| &group.segments);
        segments.map(|segment| segment.name.clone()).collect()
    }

    /// How much memory its changes take that are to be laid out.
    fn bytes(&self) -> usize {
        self.groups.iter().flat_map(|group| &group.batches).map(ChangeBatch::byte_size).sum()
    }

    /// The schema of each change, in order.
    fn schemas(&self) -> impl Iterator<Item = (StreamName, Digest)> {
        self.groups.iter().flat_map(|group| {
            let batches = group.batches.iter().map(|batch| batch.schema());
            let batches = batches.map(|schema| (schema.stream().clone(), schema.digest()));
            batches.chain(group.segments.iter().map(|segment| (segment.stream.clone(), segment.schema)))
        })
    }
}

/// One transaction of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// How many changes it holds.
    pub rows: u64,
    /// When the source made it, where the source tells.
    pub time: Option<Time>,
}

/// All between two boundaries of one part of the source.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) part: PartId,
    /// Where the part has been read to.
    pub(crate) cursor: Bytes,
    /// Parts that are needed no more.
    pub(crate) forgotten: Vec<PartId>,
    /// The source's transactions, whole and in order.
    pub(crate) transactions: Vec<Span>,
    /// What it says of initial syncs.
    pub(crate) steps: Vec<SyncStep>,
    /// The greatest place in the source of its changes; `None` for records of an initial sync.
    pub(crate) last_source_position: Option<Vec<u8>>,
    /// Changes of the source, which are numbered from 0.
    pub(crate) rows: u64,
    /// Those of them that are not to be staged: their numbers stay free.
    pub(crate) left_out: u64,
    pub(crate) phase: Phase,
    /// Its changes, numbered from 0, unless they stand in segments.
    pub(crate) batches: Vec<ChangeBatch>,
    /// Its changes in segments, numbered from 0.
    pub(crate) segments: Vec<Segment>,
}

impl Group {
    /// Whether all of its changes are records of generations beside which the former ones go on.
    fn is_beside(&self, header: &Header) -> bool {
        let batches = self.batches.iter().map(|batch| batch.schema().stream());
        let mut streams = batches.chain(self.segments.iter().map(|segment| &segment.stream)).peekable();
        let generation = |stream| header.syncing.get(stream).or(header.completed.get(stream));
        streams.peek().is_some()
            && streams.all(|stream| generation(stream).is_some_and(|it| it.former == Former::Current))
    }

    /// The last look before a cursor becomes durable: are the changes that it passes there?
    fn check(&self) -> Result<()> {
        let batches: usize = self.batches.iter().map(ChangeBatch::rows).sum();
        let segments: u64 = self.segments.iter().map(|segment| segment.rows).sum();
        let transactions: u64 = self.transactions.iter().map(|span| span.rows).sum();
        if batches as u64 + segments + self.left_out == self.rows && transactions == self.rows {
            return Ok(());
        }
        Err(Error::internal(format!("changes of part `{}` were lost on their way to the log", self.part)))
    }
}

/// Adds commits to a log. Only one writer's commits can follow one another: the first carries a new epoch, and from
/// then on every predecessor's put meets an object that is not its own.
#[derive(Debug)]
pub(crate) struct LogWriter {
    log: Log,
    /// The last commit, as this writer knows it.
    head: Head,
    name: String,
    owns_epoch: bool,
    /// Whether it is not known what became of the last put.
    is_unresolved: bool,
    /// The newest schema of every stream.
    schemas: BTreeMap<StreamName, Digest>,
}

impl LogWriter {
    /// A writer that continues `log` at its end. It opens no epoch before it has something to commit.
    pub(crate) async fn open(log: &Log) -> Result<Self> {
        log.refresh().await?;
        let head = log.0.head.borrow().clone();
        let schemas = log.schemas_at(head.schemas_at).await?;
        Ok(Self {
            log: log.clone(),
            head,
            name: log.world().name(8),
            owns_epoch: false,
            is_unresolved: false,
            schemas,
        })
    }

    /// Fails with [`ErrorKind::Conflict`] when another writer has added to the log since. To be asked before every
    /// connection to the source: its new owner may be connected already.
    pub(crate) async fn check_not_replaced(&self) -> Result<()> {
        self.log.refresh().await?;
        match self.log.head().sequence {
            head if head == self.head.sequence => Ok(()),
            _ => Err(self.replaced(self.head.sequence + 1)),
        }
    }

    /// The writer's own name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it has committed: from then on no predecessor can.
    pub(crate) fn owns_epoch(&self) -> bool {
        self.owns_epoch
    }

    /// The epoch its next commit carries.
    pub(crate) fn epoch(&self) -> u64 {
        if self.owns_epoch { self.head.epoch } else { self.head.epoch + 1 }
    }

    /// Where every part of the source has been read to, durably.
    pub(crate) fn cursor(&self) -> &Cursor {
        &self.head.cursor
    }

    /// Commits `entry`: returns once it is durable, and publishes it to the loops of this process.
    ///
    /// An outage of the store only delays it, until `stop`. Fails with [`ErrorKind::Conflict`] when another writer has
    /// taken over; then nothing of `entry` is in the log.
    pub(crate) async fn commit(&mut self, entry: Entry, stop: &Stop) -> Result<Arc<Commit>> {
        entry.groups.iter().try_for_each(Group::check)?;
        for batch in entry.groups.iter().flat_map(|group| &group.batches) {
            self.log.put_schema(batch.schema(), stop).await?;
        }
        let mut header = self.next_header(&entry)?;
        header.source_position = header.source_position.clone().max(self.completed_up_to(&header).await?);
        let sealed = self.log.world().compute_on(entry.bytes(), move || seal(header, entry));
        let commit = Arc::new(sealed.await??);
        self.is_unresolved = true;
        self.put(&commit, stop).await?;
        self.is_unresolved = false;
        if !self.owns_epoch {
            self.check_not_in_the_past(&commit, stop).await?;
        }
        self.head = Head::from(commit.as_ref());
        if self.head.schemas_at == self.head.sequence {
            self.schemas = commit.header().schemas.clone();
        }
        self.owns_epoch = true;
        self.log.advance(&commit);
        Ok(commit)
    }

    /// The first put of a writer proves nothing when its number had been taken long ago, and folded: then the name was free again.
    async fn check_not_in_the_past(&self, commit: &Commit, stop: &Stop) -> Result<()> {
        self.log.refresh_layout_patiently(stop).await?;
        if !self.log.layout().covers(commit.sequence()) {
            return Ok(());
        }
        // Somebody may have gone on from it already, and folded it.
        if self.log.find(commit.sequence()).await?.is_some_and(|folded| folded.hash() == commit.hash()) {
            return Ok(());
        }
        self.log.store().delete(&names::commit(commit.sequence())).await?;
        Err(self.replaced(commit.sequence()))
    }

    /// Says that nothing of this writer can become visible any more: what keeps it out may be forgotten.
    pub(crate) async fn retire(&self) -> Result<()> {
        match self.owns_epoch && !self.is_unresolved {
            true => self.log.retire(&self.name).await,
            false => Ok(()),
        }
    }

    /// The last point of the generations that `header` completes: the stream has come that far. Not of those whose former
    /// generation had every moment before.
    async fn completed_up_to(&self, header: &Header) -> Result<Option<Vec<u8>>> {
        let is_new = |generation: &&Syncing| generation.former != Former::Current;
        let Some(since) = header.completed.values().filter(is_new).map(|it| it.since).min() else {
            return Ok(None);
        };
        let mut last = None;
        let mut note = |steps: &[SyncStep]| {
            for step in steps {
                if let SyncStep::Chunk { stream, generation, point, .. } = step
                    && header
                        .completed
                        .get(stream)
                        .filter(is_new)
                        .is_some_and(|it| it.generation == *generation)
                {
                    last = last.take().max(Some(point.clone()));
                }
            }
        };
        for sequence in since..header.sequence {
            note(&self.log.commit(sequence).await?.header().steps);
        }
        note(&header.steps);
        Ok(last)
    }

    /// The header of the next commit, as far as it is known before its changes are laid out.
    fn next_header(&self, entry: &Entry) -> Result<Header> {
        let mut cursor = self.head.cursor.clone();
        for group in &entry.groups {
            cursor.set(group.part.clone(), group.cursor.clone());
            group.forgotten.iter().for_each(|part| cursor.remove(part));
        }
        let positions = entry.groups.iter().map(|group| group.last_source_position.as_ref());
        let source_position = positions.chain([self.head.source_position.as_ref()]).max().flatten().cloned();
        let sequence = self.head.sequence + 1;
        let brings_new = entry.schemas().any(|(stream, digest)| self.schemas.get(&stream) != Some(&digest));
        let mut schemas = BTreeMap::new();
        if brings_new {
            schemas = self.schemas.clone();
            schemas.extend(entry.schemas());
        }
        let steps: Vec<_> = entry.groups.iter().flat_map(|group| group.steps.iter().cloned()).collect();
        let (syncing, completed) = sync::after(&self.head.syncing, &steps, sequence)?;
        Ok(Header {
            log: self.log.id().clone(),
            sequence,
            previous: self.head.hash,
            epoch: self.epoch(),
            writer: self.name.clone(),
            begins: !self.owns_epoch,
            time: self.log.world().now().max(self.head.time.next()),
            watermark: self.head.watermark,
            source_position,
            cursor,
            syncing,
            completed,
            schemas_at: if brings_new { sequence } else { self.head.schemas_at },
            schemas,
            steps,
            rows: entry.groups.iter().map(|group| group.rows - group.left_out).sum(),
            transactions: entry.groups.iter().map(|group| group.transactions.len() as u64).sum(),
            frames: Vec::new(),
            segments: Vec::new(),
        })
    }

    /// Offers the frozen commit under its number until it is known what became of it.
    async fn put(&self, commit: &Commit, stop: &Stop) -> Result<()> {
        match self.log.put(&names::commit(commit.sequence()), commit.body(), stop).await? {
            Put::Ours => Ok(()),
            Put::Theirs => Err(self.replaced(commit.sequence())),
        }
    }

    fn replaced(&self, sequence: u64) -> Error {
        Error::conflict(format!("another process has taken over this log: commit {sequence} is not ours"))
            .hint("let only one process run this pipeline; nothing was lost, its changes will be read again")
    }
}

/// Lays out the changes of `entry` and freezes the commit.
fn seal(mut header: Header, entry: Entry) -> Result<Commit> {
    let staged = header.time;
    let mut transactions = Vec::new();
    let mut end = 0;
    for group in &entry.groups {
        // What is read anew beside the stream says nothing of how far the stream has come.
        let is_beside = group.phase == Phase::InitialSync && group.is_beside(&header);
        for span in &group.transactions {
            end += span.rows;
            if !is_beside {
                header.watermark = header.watermark.max(span.time.map_or(staged, |time| time.min(staged)));
            }
            transactions.push(Transaction { end, watermark: header.watermark });
        }
    }

    let mut body = Body::new(&transactions);
    let mut first_ordinal = 0;
    let mut parts = Vec::new();
    for group in entry.groups {
        header.segments.extend(
            group
                .segments
                .into_iter()
                .map(|segment| Segment { first_ordinal: first_ordinal + segment.first_ordinal, ..segment }),
        );
        parts.extend(group.batches.into_iter().map(|batch| frame::Part {
            phase: group.phase,
            first_ordinal,
            batch,
        }));
        first_ordinal += group.rows;
    }
    header.frames = frame::write(parts, &mut body)?;
    body.seal(header)
}
