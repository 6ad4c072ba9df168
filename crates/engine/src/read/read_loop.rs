//! The read loop: one strategy, one log.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::future;
use tokio::sync::{mpsc, watch};

use super::{
    End, Nudges, Outlet, ReadContext, ReadStrategy, Resyncs,
    committer::{Commits, Committer},
    lane::Progress,
    memory::Memory,
};
use crate::{
    Cursor, Error, Result, Stop,
    change::Reshape,
    codec::Format,
    log::{Log, LogWriter, SegmentSettings, States, Unnamed},
    retry::Retry,
};

#[cfg(test)]
mod tests;

/// Boundaries that may wait for the committer; beyond it the strategy waits.
const WAITING: usize = 4_096;

/// How a source is read into the log.
#[derive(Debug, Clone, Copy)]
pub struct ReadSettings {
    /// The format of segments.
    pub format: Format,
    /// No two commits in a shorter time than this, unless there is much to commit: the price of a commit against
    /// latency.
    pub max_delay: Duration,
    /// Bytes of changes between the source and the log.
    pub memory: u64,
    /// Read to the source's end as it is now, then return.
    pub until_caught_up: bool,
}

/// Reads one source into one log.
pub struct ReadLoop {
    log: Log,
    settings: ReadSettings,
    stop: Stop,
    read: Arc<AtomicU64>,
    resyncs: Resyncs,
    nudges: Nudges,
    /// One writer for all attempts and runs: whoever took the log over meanwhile is noticed, not overtaken.
    writer: Option<LogWriter>,
    /// The epoch before ours, as long as what it left behind may be there; 0 when it is not.
    left_by: AtomicU64,
    /// How many states the writer has begun: attempts share its name.
    states: Arc<AtomicU64>,
    reshape: Option<Arc<dyn Reshape>>,
}

impl ReadLoop {
    /// A loop that fills `log` until `stop`.
    pub fn new(log: Log, settings: ReadSettings, stop: Stop) -> Self {
        Self {
            log,
            settings,
            stop,
            read: Arc::default(),
            resyncs: Resyncs::default(),
            nudges: Nudges::default(),
            writer: None,
            left_by: AtomicU64::new(0),
            states: Arc::default(),
            reshape: None,
        }
    }

    /// The same loop, which stages what `reshape` makes of changes. Where the source has been read to stays the same.
    #[must_use]
    pub fn reshaped_by(self, reshape: Option<Arc<dyn Reshape>>) -> Self {
        Self { reshape, ..self }
    }

    /// How many changes the strategy has handed over so far, durable or not.
    pub fn read(&self) -> Arc<AtomicU64> {
        self.read.clone()
    }

    /// Where to ask for streams to be read anew.
    pub fn resyncs(&self) -> Resyncs {
        self.resyncs.clone()
    }

    /// Where to ask for the source to be looked at now.
    pub fn nudges(&self) -> Nudges {
        self.nudges.clone()
    }

    /// Runs `strategy` from the log's cursor to its end, and again when something is asked of it meanwhile. A source or store
    /// that is down is waited for until the loop is stopped; any other error ends the loop.
    pub async fn run(&mut self, strategy: &mut dyn ReadStrategy) -> Result<End> {
        let mut writer = self.writer.take();
        let outcome = self.run_with(strategy, &mut writer).await;
        self.writer = writer;
        outcome
    }

    /// Says that this loop adds nothing to the log any more: it is called last, and spares the log an object that would keep it out.
    pub async fn retire(&mut self) -> Result<()> {
        let Some(writer) = self.writer.take() else { return Ok(()) };
        if writer.owns_epoch() {
            self.remove_left_behind().await;
        }
        writer.retire().await
    }

    async fn run_with(&self, strategy: &mut dyn ReadStrategy, writer: &mut Option<LogWriter>) -> Result<End> {
        let mut retry = Retry::new(self.log.world().clone());
        loop {
            let (before, asked) = (self.log.head().sequence, self.resyncs.count());
            let outcome = self.attempt(strategy, writer, asked).await;
            if self.log.head().sequence > before {
                retry.reset();
            }
            let error = match outcome {
                Ok(end) if self.stop.is_stopped() => return Ok(end),
                Ok(end) if end == End::Again || self.resyncs.count() > asked => continue,
                Ok(end) => return Ok(end),
                Err(error) if error.kind().is_transient() => error,
                Err(error) => return Err(error),
            };
            tracing::warn!(%error, hint = error.hint_text(), "the source or the staging store does not answer: trying again");
            if retry.pause(&self.stop).await.is_stopped() {
                return Ok(End::Stopped);
            }
        }
    }

    /// One run of the strategy beside a committer of its own, which ends early when there are more than `asked` requests to read
    /// something anew.
    async fn attempt(
        &self,
        strategy: &mut dyn ReadStrategy,
        writer: &mut Option<LogWriter>,
        asked: u64,
    ) -> Result<End> {
        let writer = match writer {
            Some(writer) => writer,
            None => writer.insert(LogWriter::open(&self.log).await?),
        };
        writer.check_not_replaced().await?;
        let (predecessor, owned) = (writer.epoch() - 1, writer.owns_epoch());
        let from = writer.cursor().clone();
        let unnamed = Unnamed::default();
        let segments = SegmentSettings {
            log: self.log.clone(),
            format: self.settings.format,
            epoch: writer.epoch(),
            writer: writer.name().to_owned(),
            begun: AtomicU64::new(0),
            stop: self.stop.clone(),
            unnamed: unnamed.clone(),
        };
        let states = self.states.clone();
        let states = States::new(self.log.clone(), writer.epoch(), writer.name(), states, self.stop.clone());
        let (durable, watching) = watch::channel(from.clone());
        if !owned {
            self.left_by.store(predecessor, Ordering::Relaxed);
        }
        let tidying = self.tidy(watching.clone(), !owned);
        let ended = Stop::new();
        let (sender, boundaries) = mpsc::channel(WAITING);
        let memory = Memory::new(self.settings.memory);
        let (commits, told) = watch::channel(Commits::default());
        let progress = Progress { durable: watching, commits: told, read: self.read.clone() };
        let outlet = Outlet::new(sender, memory, segments, states, self.reshape.clone(), progress);
        let committer = Committer {
            log: &self.log,
            writer,
            boundaries,
            max_delay: self.settings.max_delay,
            durable,
            commits,
            stop: self.stop.clone(),
            unnamed: unnamed.clone(),
            ended: ended.clone(),
        };
        let stop = Stop::new();
        let context = ReadContext {
            stop: stop.clone(),
            until_caught_up: self.settings.until_caught_up,
            resyncs: self.resyncs.clone(),
            nudges: self.nudges.clone(),
            world: self.log.world().clone(),
        };

        let mut committing = std::pin::pin!(committer.run());
        let mut tidying = std::pin::pin!(tidying);
        let mut ending = std::pin::pin!(self.end(stop, asked));
        let outcome = tokio::select! {
            biased;
            // The committer outlives the strategy unless it fails: the strategy holds its channel open.
            committed = &mut committing => {
                return Err(committed.err().unwrap_or_else(|| Error::internal("the committer ended before the source")));
            }
            never = &mut ending => match never {},
            outcome = strategy.run(from, outlet, context) => outcome,
            never = &mut tidying => match never {},
        };
        ended.stop();
        // Whole boundaries are good, whatever became of the strategy after them.
        committing.await?;
        // Every boundary is committed: what no commit names by now belongs to one that never was, and is read again.
        self.log.remove_unnamed(&unnamed).await;
        outcome
    }

    /// Has the attempt end by `stop` when the loop is to, or when something more is asked: it begins with the next one.
    async fn end(&self, stop: Stop, asked: u64) -> Infallible {
        tokio::select! {
            biased;
            () = self.stop.stopped() => {}
            () = self.resyncs.more_than(asked) => tracing::debug!("streams are to be read anew: the source is opened again"),
        }
        stop.stop();
        future::pending().await
    }

    /// Once this writer has committed, removes what `predecessor` left behind: beside the reading, for it takes time.
    async fn tidy(&self, mut durable: watch::Receiver<Cursor>, is_first: bool) -> Infallible {
        if is_first && let Err(error) = self.log.remove_torn().await {
            tracing::warn!(%error, "cannot remove what a former run had begun to write");
        }
        if durable.changed().await.is_ok() {
            self.remove_left_behind().await;
        }
        future::pending().await
    }

    /// Removes the segments that the writer before left behind, once.
    async fn remove_left_behind(&self) {
        let epoch = self.left_by.load(Ordering::Relaxed);
        if epoch == 0 {
            return;
        }
        match self.log.remove_orphans(epoch).await {
            Ok(()) => self.left_by.store(0, Ordering::Relaxed),
            Err(error) => tracing::warn!(%error, "cannot remove segments that a former run left behind"),
        }
    }
}
