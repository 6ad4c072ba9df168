//! Group commit: boundaries that arrive together are committed together, in the order they came.

use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};

use super::{lane::Boundary, memory::Held};
use crate::{
    Cursor, Result, Stop,
    log::{Entry, Group, Log, LogWriter, SyncStep, Unnamed, Uploads},
};

/// Inline changes that end a group early.
const GROUP_ROWS: u64 = 100_000;
const GROUP_BYTES: usize = 4 << 20;
/// Transactions that do; a boundary without any counts as one. They take 16 bytes each in the commit.
const GROUP_TRANSACTIONS: usize = 65_536;

/// How many commits there have been in this attempt.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Commits {
    pub(super) begun: u64,
    pub(super) ended: u64,
}

/// Takes boundaries and commits them.
pub(super) struct Committer<'a> {
    pub(super) log: &'a Log,
    pub(super) writer: &'a mut LogWriter,
    pub(super) boundaries: mpsc::Receiver<Boundary>,
    /// No two commits in a shorter time than this, unless a group is full.
    pub(super) max_delay: Duration,
    pub(super) durable: watch::Sender<Cursor>,
    /// Told of each commit, as it begins and as it ends.
    pub(super) commits: watch::Sender<Commits>,
    pub(super) stop: Stop,
    /// Told which segments are named.
    pub(super) unnamed: Unnamed,
    /// Thrown when the strategy has returned: there will be no more boundaries, even if somebody kept a lane.
    pub(super) ended: Stop,
}

impl<'a> Committer<'a> {
    /// Commits until every lane is gone and everything they sent is durable.
    pub(super) async fn run(mut self) -> Result<()> {
        let mut left_over = None;
        let mut pause: Option<BoxFuture<'a, ()>> = None;
        loop {
            let first = match left_over.take() {
                Some(boundary) => Some(boundary),
                None => self.next().await,
            };
            let Some(first) = first else { return Ok(()) };
            let mut gathered = Gathered::from(first);
            left_over = self.gather(&mut gathered, pause.take()).await;
            self.commits.send_modify(|commits| commits.begun += 1);
            self.commit(gathered).await?;
            self.commits.send_modify(|commits| commits.ended += 1);
            let (log, max_delay) = (self.log, self.max_delay);
            if !max_delay.is_zero() {
                pause = Some(Box::pin(log.world().sleep(max_delay)));
            }
        }
    }

    /// The next boundary; `None` when there will be none.
    async fn next(&mut self) -> Option<Boundary> {
        tokio::select! {
            biased;
            next = self.boundaries.recv() => next,
            () = self.ended.stopped() => {
                self.boundaries.close();
                self.boundaries.recv().await
            }
        }
    }

    /// Adds what arrives until `pause` is over, and what is there then; a full group or the end of the source cuts the
    /// pause short. Returns a boundary that must wait for the next commit.
    async fn gather(
        &mut self,
        gathered: &mut Gathered,
        pause: Option<BoxFuture<'a, ()>>,
    ) -> Option<Boundary> {
        let mut pause = pause;
        while !gathered.is_full() {
            let next = match &mut pause {
                None => self.boundaries.try_recv().ok(),
                Some(waiting) => tokio::select! {
                    biased;
                    next = self.next() => next,
                    () = waiting => { pause = None; continue }
                },
            };
            match next {
                None => return None,
                Some(next) if gathered.takes(&next) => gathered.add(next),
                Some(next) => return Some(next),
            }
        }
        None
    }

    async fn commit(&mut self, gathered: Gathered) -> Result<()> {
        let Gathered { entry, held, uploads, tickets, .. } = gathered;
        for uploads in uploads {
            uploads.finish().await?;
        }
        let segments = entry.segments();
        self.writer.commit(entry, &self.stop).await?;
        self.unnamed.named(&segments);
        drop(held);
        self.durable.send_replace(self.writer.cursor().clone());
        for ticket in tickets {
            // Whoever does not wait has dropped its end.
            let _ = ticket.send(());
        }
        Ok(())
    }
}

/// The next commit in the making.
#[derive(Default)]
struct Gathered {
    entry: Entry,
    held: Vec<Held>,
    /// What has to be in the store before.
    uploads: Vec<Uploads>,
    tickets: Vec<oneshot::Sender<()>>,
    rows: u64,
    bytes: usize,
    transactions: usize,
    shape: Shape,
}

impl From<Boundary> for Gathered {
    fn from(first: Boundary) -> Self {
        let mut gathered = Self::default();
        gathered.add(first);
        gathered
    }
}

impl Gathered {
    fn add(&mut self, boundary: Boundary) {
        let Boundary { group, held, uploads, ticket } = boundary;
        self.rows += group.rows;
        self.bytes += held.bytes();
        self.transactions += group.transactions.len().max(1);
        self.shape = self.shape.and(Shape::of(&group));
        self.entry.groups.push(group);
        self.held.push(held);
        self.uploads.extend(uploads);
        self.tickets.push(ticket);
    }

    fn is_full(&self) -> bool {
        self.rows >= GROUP_ROWS || self.bytes >= GROUP_BYTES || self.transactions >= GROUP_TRANSACTIONS
    }

    /// A commit has segments or frames, not both, or the order of a stream's changes would not be plain. Of a stream whose initial
    /// sync begins in it, it has nothing from before.
    fn takes(&self, next: &Boundary) -> bool {
        let both = self.shape.and(Shape::of(&next.group));
        let mixed = both.frames && both.segments;
        let mut begun = next.group.steps.iter().filter_map(|step| match step {
            SyncStep::Begin { stream, .. } => Some(stream),
            _ => None,
        });
        !mixed && begun.all(|stream| !self.entry.concerns(stream))
    }
}

/// Where changes stand.
#[derive(Debug, Clone, Copy, Default)]
struct Shape {
    frames: bool,
    segments: bool,
}

impl Shape {
    fn of(group: &Group) -> Self {
        Self { frames: !group.batches.is_empty(), segments: !group.segments.is_empty() }
    }

    fn and(self, other: Self) -> Self {
        Self { frames: self.frames || other.frames, segments: self.segments || other.segments }
    }
}
