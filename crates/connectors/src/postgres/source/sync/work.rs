//! The chunks of a round, and the connections that read them.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use tidemark_engine::{
    Result, Stop, Time,
    read::{Outlet, Ticket},
    world::World,
};
use tokio::sync::mpsc;

use super::{Completion, Notice, TableSync, What, chunk::Chunk, look::Look, snapshot};
use crate::postgres::{connection::Server, lsn::Lsn};

/// The chunks that are still to be read, small tables first: the shorter a table is being read, the less can happen to it.
pub(super) struct Work(Mutex<VecDeque<Chunk>>);

/// How far a table is.
pub(super) struct Progress {
    /// Chunks that are not durable yet.
    left: AtomicUsize,
    /// The end of the server's log when the last chunk so far had been read.
    reached: AtomicU64,
    /// What has happened to the table itself since before the snapshot.
    seen: Mutex<Option<What>>,
}

impl Progress {
    pub(super) fn new(left: usize) -> Self {
        Self { left: AtomicUsize::new(left), reached: AtomicU64::new(0), seen: Mutex::default() }
    }

    /// Notes that a chunk had been read when the server's log ended at `end`.
    pub(super) fn reach(&self, end: Lsn) {
        self.reached.fetch_max(end.0, Ordering::AcqRel);
    }

    /// Notes what has happened to the table itself.
    pub(super) fn see(&self, what: What) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen != Some(What::Altered) {
            *seen = Some(what);
        }
    }

    fn seen(&self) -> Option<What> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a chunk as durable; whether it was the last.
    fn is_last(&self) -> bool {
        self.left.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

impl Work {
    pub(super) fn new(tables: &[Arc<TableSync>]) -> Self {
        let mut tables: Vec<_> = tables.iter().map(|sync| (sync, sync.left())).collect();
        tables.sort_by_key(|(_, left)| left.len());
        let chunks = tables.into_iter().flat_map(|(sync, left)| {
            let progress = Arc::new(Progress::new(left.len()));
            let chunk = move |number| Chunk { sync: sync.clone(), number, progress: progress.clone() };
            left.into_iter().map(chunk)
        });
        Self(Mutex::new(chunks.collect()))
    }

    fn next(&self) -> Option<Chunk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

/// A round: what its connections share.
pub(super) struct Round {
    pub(super) server: Server,
    pub(super) work: Work,
    /// What sessions know the snapshot by, and its place in the server's log.
    pub(super) snapshot: String,
    pub(super) point: Lsn,
    /// How each table was before the snapshot was taken.
    pub(super) looks: HashMap<u32, Look>,
    pub(super) out: Outlet,
    pub(super) notices: mpsc::UnboundedSender<Notice>,
    pub(super) world: World,
    /// When the snapshot was taken.
    pub(super) begun: Time,
    /// Whether chunks must not be read in another snapshot.
    pub(super) keep_snapshot: Arc<AtomicBool>,
    pub(super) stop: Stop,
}

impl Round {
    /// Reads on one connection until no chunk is left, or no more may be read in this snapshot. While one chunk is on its way into the log, the
    /// next is read.
    pub(super) async fn read(self: Arc<Self>) -> Result<()> {
        let session = self.server.connect("initial sync").await?;
        let mut under_way: Option<(Chunk, Ticket)> = None;
        while !self.is_over()
            && let Some(chunk) = self.work.next()
        {
            let ticket = chunk.read(&session, &self).await?;
            if let Some((chunk, ticket)) = under_way.replace((chunk, ticket)) {
                self.settle(chunk, ticket).await?;
            }
        }
        match under_way {
            Some((chunk, ticket)) => self.settle(chunk, ticket).await,
            None => Ok(()),
        }
    }

    fn is_over(&self) -> bool {
        let is_old = snapshot::is_old(self.begun, &self.world) && !self.keep_snapshot.load(Ordering::Relaxed);
        self.stop.is_stopped() || is_old
    }

    /// Waits until a chunk is durable; with the last one the table has all.
    async fn settle(&self, chunk: Chunk, ticket: Ticket) -> Result<()> {
        ticket.durable().await?;
        let Chunk { sync, progress, .. } = chunk;
        if progress.is_last() {
            let reached = Lsn(progress.reached.load(Ordering::Acquire));
            let first = sync.staged.values().copied().min().unwrap_or(self.point);
            let completion = Completion {
                table: sync.name(),
                generation: sync.plan.generation,
                chunks: sync.plan.chunks(),
                points: (first, self.point),
                reached,
                seen: progress.seen(),
            };
            // The reader of the stream is gone only when the run is over.
            let _ = self.notices.send(Notice::Read(completion));
        }
        Ok(())
    }
}
