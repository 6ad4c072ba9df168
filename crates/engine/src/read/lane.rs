//! Lanes: how a strategy's changes come into the log, in parallel and in bounded memory.

use std::{
    collections::BTreeMap,
    future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    committer::Commits,
    memory::{Held, Memory},
};
use crate::{
    Cursor, Error, ErrorKind, PartId, Result, Time,
    change::{ChangeBatch, Reshape},
    log::{Group, Segment, SegmentSettings, SegmentWriter, Span, States, SyncStep, Uploads},
    schema::StreamName,
};

#[cfg(test)]
mod tests;

/// Changes between two boundaries ride inside the commit up to this many bytes, and in segments beyond it.
const INLINE_BYTES: usize = 1 << 20;

/// Whether changes belong to the initial sync or to what came after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Records the source had when it was first read.
    InitialSync,
    /// Everything since.
    Changes,
}

/// Where a strategy's changes go. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Outlet(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    boundaries: mpsc::Sender<Boundary>,
    memory: Memory,
    segments: Arc<SegmentSettings>,
    states: States,
    /// What is done to changes before they are staged.
    reshape: Option<Arc<dyn Reshape>>,
    progress: Progress,
}

/// What the committer and the lanes tell.
#[derive(Debug)]
pub(super) struct Progress {
    /// Up to where everything is durable.
    pub(super) durable: watch::Receiver<Cursor>,
    pub(super) commits: watch::Receiver<Commits>,
    /// How many changes the lanes were given.
    pub(super) read: Arc<AtomicU64>,
}

/// A boundary on its way to the committer.
#[derive(Debug)]
pub(super) struct Boundary {
    pub(super) group: Group,
    /// The memory its changes take, freed when the committer is done with it.
    pub(super) held: Held,
    /// Its segments that are not in the store yet.
    pub(super) uploads: Vec<Uploads>,
    pub(super) ticket: oneshot::Sender<()>,
}

impl Outlet {
    pub(super) fn new(
        boundaries: mpsc::Sender<Boundary>,
        memory: Memory,
        segments: SegmentSettings,
        states: States,
        reshape: Option<Arc<dyn Reshape>>,
        progress: Progress,
    ) -> Self {
        Self(Arc::new(Shared { boundaries, memory, segments: Arc::new(segments), states, reshape, progress }))
    }

    /// A lane for `part` of the source. Any number may be open at once, each with boundaries of its own; one part has one
    /// lane at a time.
    pub fn lane(&self, part: PartId, phase: Phase) -> Lane {
        Lane {
            outlet: self.clone(),
            part,
            phase,
            rows: 0,
            left_out: 0,
            batches: Vec::new(),
            held: self.0.memory.none(),
            spilled: BTreeMap::new(),
            steps: Vec::new(),
            last_source_position: None,
            forgotten: Vec::new(),
            broken: None,
        }
    }

    /// The cursor up to which everything is durable. Acknowledge the source only from this.
    pub fn durable(&self) -> watch::Receiver<Cursor> {
        self.0.progress.durable.clone()
    }

    /// Where the strategy keeps what is too large for a cursor.
    pub fn states(&self) -> &States {
        &self.0.states
    }
}

/// One part of the source on its way into the log.
///
/// Changes given to a lane are invisible until a boundary commits them; dropping the lane drops them. A lane whose call
/// failed, or was dropped before it returned, has lost changes and takes nothing more.
pub struct Lane {
    outlet: Outlet,
    part: PartId,
    phase: Phase,
    /// Changes since the last boundary, as the source counts them.
    rows: u64,
    /// Those of them that are not to be staged.
    left_out: u64,
    /// Those of them in memory.
    batches: Vec<ChangeBatch>,
    held: Held,
    /// Those of them in segments, by stream.
    spilled: BTreeMap<StreamName, SegmentWriter>,
    /// What the next boundary says of initial syncs.
    steps: Vec<SyncStep>,
    /// The greatest place in the source of the changes since the last boundary.
    last_source_position: Option<Vec<u8>>,
    /// What the next boundary removes from the cursor.
    forgotten: Vec<PartId>,
    /// Set while a call is under way: one that failed or was dropped in the middle has lost changes.
    broken: Option<ErrorKind>,
}

impl Lane {
    /// Hands over changes. Waits while memory is scarce; a transaction larger than memory goes to segments as it comes.
    pub async fn batch(&mut self, batch: ChangeBatch) -> Result<()> {
        self.enter()?;
        let outcome = self.take(batch).await;
        self.leave(outcome)
    }

    async fn take(&mut self, batch: ChangeBatch) -> Result<()> {
        if batch.rows() == 0 {
            return Ok(());
        }
        let rows = batch.rows() as u64;
        let batch = if batch.ordinals().is_some() { batch } else { batch.numbered_from(self.rows) };
        // Records of an initial sync stand where their snapshot does, not where anything happened.
        let last = batch.last_source_position().filter(|_| self.phase == Phase::Changes);
        if last > self.last_source_position.as_deref() {
            self.last_source_position = last.map(<[u8]>::to_vec);
        }
        let batch = match &self.outlet.0.reshape {
            Some(reshape) => reshape.changes(batch).map_err(|refused| *refused.error)?,
            None => batch,
        };
        self.left_out += rows - batch.rows() as u64;
        self.outlet.0.progress.read.fetch_add(rows, Ordering::Relaxed);
        if batch.rows() == 0 {
            self.rows += rows;
            return Ok(());
        }
        let bytes = batch.byte_size();
        let scarce = !self.held.try_grow(bytes);
        if scarce {
            // Give back before waiting, so that others can go on.
            self.spill().await?;
            self.held.grow(bytes).await;
        }
        self.rows += rows;
        self.batches.push(batch);
        if scarce || self.held.bytes() > INLINE_BYTES || !self.spilled.is_empty() {
            self.spill().await?;
        }
        Ok(())
    }

    /// The commit that is under way now. A boundary that is made before it is over has to wait for it, so what comes meanwhile may as
    /// well share one: for sources with many small transactions that come one by one.
    pub fn under_way(&self) -> UnderWay {
        let commits = self.outlet.0.progress.commits.clone();
        let number = commits.borrow().begun;
        UnderWay { commits, number }
    }

    /// Says `step` of a stream's initial sync with the next boundary.
    pub fn note(&mut self, step: SyncStep) {
        self.steps.push(step);
    }

    /// Removes `part` from the cursor with the next boundary: nobody will ask where it has been read to.
    pub fn forget(&mut self, part: PartId) {
        self.forgotten.push(part);
    }

    /// Everything since the last boundary commits together with `cursor`, where this part has now been read to. `time` is
    /// when the source made it, where the source tells. With no change since, the cursor alone is committed.
    pub async fn boundary(&mut self, cursor: Bytes, time: Option<Time>) -> Result<Ticket> {
        let whole = vec![Span { rows: self.rows, time }];
        self.boundary_over(cursor, whole).await
    }

    /// The same for several transactions of the source at once, in order; together they hold every change since the last
    /// boundary. For sources with many small ones: they share batches, and each keeps its place in time.
    pub async fn boundary_over(&mut self, cursor: Bytes, transactions: Vec<Span>) -> Result<Ticket> {
        self.enter()?;
        let outcome = self.close(cursor, transactions).await;
        self.leave(outcome)
    }

    async fn close(&mut self, cursor: Bytes, transactions: Vec<Span>) -> Result<Ticket> {
        let (mut segments, mut uploads): (Vec<Segment>, _) = (Vec::new(), Vec::new());
        if !self.spilled.is_empty() {
            self.spill().await?;
            for writer in std::mem::take(&mut self.spilled).into_values() {
                let (of_stream, under_way) = writer.finish_beside().await?;
                segments.extend(of_stream);
                uploads.push(under_way);
            }
        }
        let group = Group {
            part: self.part.clone(),
            cursor,
            forgotten: std::mem::take(&mut self.forgotten),
            transactions,
            steps: std::mem::take(&mut self.steps),
            last_source_position: self.last_source_position.take(),
            rows: std::mem::take(&mut self.rows),
            left_out: std::mem::take(&mut self.left_out),
            phase: self.phase,
            batches: std::mem::take(&mut self.batches),
            segments,
        };
        let held = std::mem::replace(&mut self.held, self.outlet.0.memory.none());
        let (ticket, promise) = oneshot::channel();
        let sent = self.outlet.0.boundaries.send(Boundary { group, held, uploads, ticket }).await;
        sent.map_err(|_| committer_gone())?;
        Ok(Ticket(promise))
    }

    /// Moves what is in memory into segments.
    async fn spill(&mut self) -> Result<()> {
        for batch in self.batches.drain(..) {
            let writer = self.spilled.entry(batch.schema().stream().clone()).or_insert_with(|| {
                let Shared { segments, memory, .. } = self.outlet.0.as_ref();
                SegmentWriter::new(segments.clone(), self.phase).uploading_beside(memory.clone())
            });
            writer.write(batch).await?;
        }
        self.held.release();
        self.end_large_segments().await
    }

    /// Ends segments until what is being encoded fits into one: a transaction over many streams has many.
    async fn end_large_segments(&mut self) -> Result<()> {
        while self.spilled.values().map(SegmentWriter::open_size).sum::<usize>() > SegmentWriter::TARGET_BYTES
        {
            let Some(largest) = self.spilled.values_mut().max_by_key(|writer| writer.open_size()) else {
                break;
            };
            largest.end_open().await?;
        }
        Ok(())
    }

    /// Begins a call, unless an earlier one lost changes.
    fn enter(&mut self) -> Result<()> {
        if let Some(kind) = self.broken {
            return Err(Error::new(
                kind,
                "changes were lost on their way to the log: they have to be read again",
            ));
        }
        self.broken = Some(ErrorKind::Unavailable);
        Ok(())
    }

    /// Ends a call. The kind of its error stays: what is fatal does not become transient.
    fn leave<T>(&mut self, outcome: Result<T>) -> Result<T> {
        self.broken = outcome.as_ref().err().map(Error::kind);
        outcome
    }
}

/// A commit that is under way, or was.
#[derive(Debug)]
pub struct UnderWay {
    commits: watch::Receiver<Commits>,
    number: u64,
}

impl UnderWay {
    /// Whether there is nothing to wait for.
    pub fn is_over(&self) -> bool {
        self.commits.borrow().ended >= self.number
    }

    /// Returns when it is over.
    pub async fn over(&mut self) {
        if self.commits.wait_for(|commits| commits.ended >= self.number).await.is_err() {
            // The committer has failed, and the read loop ends.
            future::pending().await
        }
    }
}

/// The promise of a boundary.
#[derive(Debug)]
pub struct Ticket(oneshot::Receiver<()>);

impl Ticket {
    /// Returns when everything up to the boundary is durable. Fails when it will not be: the read loop is ending.
    pub async fn durable(self) -> Result<()> {
        self.0.await.map_err(|_| committer_gone())
    }
}

/// The strategy hears this when the committer failed; the read loop reports the committer's own error instead.
fn committer_gone() -> Error {
    Error::unavailable("the staging log takes no more changes")
}
