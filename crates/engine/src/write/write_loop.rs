//! The write loop: one destination, playing the log.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use futures::{StreamExt, future, stream};
use tokio::sync::watch;

use super::{Appetite, Progress, Standing, Unit, WriteStrategy, report::Report};
use crate::{
    Position, Result, Stop,
    log::{Commit, Log, MarkState, Selection},
    retry::Retry,
};

/// What to play.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Where a destination begins that stands nowhere yet: after this commit. 0 is the beginning.
    pub from: u64,
    /// Which streams.
    pub selection: Selection,
}

/// Bytes of commits that a unit holds in memory, whatever the appetite: segments are read as they are asked for.
const HELD_BYTES: u64 = 16 << 20;

/// The last commit to play: `None` while there is no last one. It may become known while the loop runs.
pub type Horizon = watch::Receiver<Option<u64>>;

/// Plays a log into one destination.
pub struct WriteLoop {
    log: Log,
    destination: String,
    plan: Plan,
    horizon: Horizon,
    stop: Stop,
    progress: Arc<Progress>,
}

impl WriteLoop {
    /// A loop that plays `plan` of `log` into `destination`, up to `horizon` or until `stop`.
    pub fn new(log: Log, destination: impl Into<String>, plan: Plan, horizon: Horizon, stop: Stop) -> Self {
        Self { log, destination: destination.into(), plan, horizon, stop, progress: Arc::default() }
    }

    /// How far it has come.
    pub fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    /// Runs to the horizon. A destination that is down is waited for until the loop is stopped; any other error ends the
    /// loop, with nothing lost.
    pub async fn run(&self, strategy: &mut dyn WriteStrategy) -> Result<()> {
        let mut retry = Retry::new(self.log.world().clone());
        let mut report = Report::new(&self.log, &self.destination, &self.plan);
        loop {
            let error = match self.attempt(strategy, &mut retry, &mut report).await {
                Ok(()) => {
                    report.say(MarkState::Stopped).await;
                    return strategy.close().await;
                }
                Err(error) => error.context(format_args!("destination `{}`", self.destination)),
            };
            if !error.kind().is_transient() {
                report.say(MarkState::Failed { error: error.to_string() }).await;
                return Err(error);
            }
            tracing::warn!(%error, hint = error.hint_text(), "the destination or the staging store does not answer: trying again");
            report.say(MarkState::Retrying { error: error.to_string() }).await;
            if retry.pause(&self.stop).await.is_stopped() {
                report.say(MarkState::Stopped).await;
                return Ok(());
            }
        }
    }

    /// Plays from where the destination says it stands. The outcome of whatever failed before may be unknown, so it is
    /// always asked.
    async fn attempt(
        &self,
        strategy: &mut dyn WriteStrategy,
        retry: &mut Retry,
        report: &mut Report<'_>,
    ) -> Result<()> {
        let mut standing = match strategy.open(self.log.id()).await? {
            Some(standing) => standing,
            None => self.log.position(self.plan.from).await?.into(),
        };
        self.log.verify(&standing.position).await?;
        let mut position = standing.position.clone();
        self.progress.stands_at(position.sequence);
        report.stands_at(&position, 0);
        report.say(MarkState::Running).await;
        while let Some(commits) =
            self.next_commits_while_reporting(&position, strategy.appetite(), report).await?
        {
            let Some(end) = commits.last().map(|commit| commit.position()) else { continue };
            let rows = Arc::new(AtomicU64::new(0));
            let counter = rows.clone();
            let commits = stream::iter(commits).map(Ok);
            let played = self.log.played(commits, &self.plan.selection, self.plan.from);
            let deliveries = played.inspect(move |delivery| {
                let rows = delivery.as_ref().map_or(0, |delivery| delivery.changes.rows());
                counter.fetch_add(rows as u64, Ordering::Relaxed);
            });
            let after = Standing { position: end.clone(), held: standing.held.clone() };
            strategy.apply(&mut Unit::new(standing, after.clone(), deliveries)).await?;
            standing = after;
            let rows = rows.load(Ordering::Relaxed);
            position = end;
            self.progress.applied(rows);
            self.progress.stands_at(position.sequence);
            retry.reset();
            report.stands_at(&position, rows);
            report.say_if_due().await;
        }
        Ok(())
    }

    /// The next commits; while there are none, the report is kept up to date.
    async fn next_commits_while_reporting(
        &self,
        position: &Position,
        appetite: Appetite,
        report: &mut Report<'_>,
    ) -> Result<Option<Vec<Arc<Commit>>>> {
        let mut next = std::pin::pin!(self.next_commits(position, appetite));
        loop {
            tokio::select! {
                biased;
                commits = &mut next => return commits,
                () = report.due() => report.say(MarkState::Running).await,
            }
        }
    }

    /// The commits after `position`, as many as `appetite` takes; `None` at the horizon or when stopped.
    async fn next_commits(
        &self,
        position: &Position,
        appetite: Appetite,
    ) -> Result<Option<Vec<Arc<Commit>>>> {
        let mut commits = Vec::new();
        let (mut rows, mut bytes, mut held) = (0, 0, 0);
        let mut position = position.clone();
        let mut linger = None;
        while rows < appetite.rows && bytes < appetite.bytes && held < HELD_BYTES {
            if !self.has_grown_beyond(position.sequence) {
                let more = match commits.is_empty() {
                    true => self.growth(position.sequence, future::pending()).await,
                    false if appetite.linger.is_zero() => false,
                    false => {
                        let world = self.log.world();
                        let linger = linger.get_or_insert_with(|| Box::pin(world.sleep(appetite.linger)));
                        self.growth(position.sequence, linger).await
                    }
                };
                if !more {
                    break;
                }
            }
            let commit = self.log.commit_after(&position).await?;
            rows += commit.rows();
            bytes += commit.staged_bytes();
            held += commit.held_bytes();
            position = commit.position();
            commits.push(commit);
        }
        Ok((!commits.is_empty()).then_some(commits))
    }

    /// Waits for a commit after `sequence`; `false` when there will be none, or not before `patience` ends.
    async fn growth(&self, sequence: u64, patience: impl Future<Output = ()> + Unpin) -> bool {
        let mut horizon = self.horizon.clone();
        let mut patience = patience;
        loop {
            if self.stop.is_stopped() || horizon.borrow_and_update().is_some_and(|last| sequence >= last) {
                return false;
            }
            if self.has_grown_beyond(sequence) {
                return true;
            }
            let horizon_changed = async {
                if horizon.changed().await.is_err() {
                    // Whoever set the horizon is gone: it stays as it is.
                    future::pending::<()>().await;
                }
            };
            tokio::select! {
                biased;
                () = self.stop.stopped() => {}
                () = self.log.grown_beyond(sequence) => {}
                () = horizon_changed => {}
                () = &mut patience => return false,
            }
        }
    }

    fn has_grown_beyond(&self, sequence: u64) -> bool {
        let last = self.horizon.borrow().unwrap_or(u64::MAX);
        !self.stop.is_stopped() && sequence < self.log.head().sequence.min(last)
    }
}
