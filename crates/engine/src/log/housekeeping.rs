//! Keeping the log in order while a pipeline runs: folding what has come, dropping what is not to be kept, and removing what nothing
//! needs.

use std::{sync::atomic::Ordering, time::Duration};

use super::{Log, Retention, layout::LayoutWriter};
use crate::{ErrorKind, Result, Stop, Time, codec::Format, retry::Retry};

/// How often it is looked whether something is to be done.
const LOOK: Duration = Duration::from_secs(5);
/// Folding is due when so many commits have come,
const DUE_COMMITS: u64 = 1_024;
/// or so many bytes of them.
const DUE_BYTES: u64 = 64 << 20;
/// Nothing is dropped so soon after the beginning, microseconds: destinations have to say first where they stand.
const QUIET: u64 = 30_000_000;
/// It is looked for what is to be dropped this often, microseconds: that asks every destination's mark.
const DROP_EVERY: u64 = 60_000_000;
/// A pause between two folds is no longer than this, whatever the clock says of how long one took.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// At the end of a run it does no more than it can in this time.
const LAST: Duration = Duration::from_secs(600);
/// Folding goes on without a pause when so many commits have come.
const BACKLOG: u64 = 16_384;

/// How a log is kept.
#[derive(Debug, Clone)]
pub struct HousekeepingSettings {
    /// The format of folded changes.
    pub format: Format,
    /// Commits older than this are folded, however few they are.
    pub fold_after: Duration,
    /// How much of the past is kept.
    pub retention: Retention,
}

/// Keeps one log in order, beside whoever writes it.
pub struct Housekeeping {
    log: Log,
    settings: HousekeepingSettings,
    stop: Stop,
    writer: Option<LayoutWriter>,
    has_cleared_garbage: bool,
    /// The oldest commit that is not folded, and when it was recorded.
    oldest: Option<(u64, Time)>,
    /// When it was last looked for what is to be dropped.
    last_drop: Option<Time>,
    /// Whether the last step failed for nothing but that somebody else was sooner.
    came_too_late: bool,
}

impl Housekeeping {
    /// Housekeeping of `log` until `stop`.
    pub fn new(log: Log, settings: HousekeepingSettings, stop: Stop) -> Self {
        Self {
            log,
            settings,
            stop,
            writer: None,
            has_cleared_garbage: false,
            oldest: None,
            last_drop: None,
            came_too_late: false,
        }
    }

    /// Does what is due, again and again. Returns when it is stopped, or with an error that does not pass: the log stays as it is
    /// then, and whoever reads and writes it goes on.
    pub async fn run(&mut self) -> Result<()> {
        let world = self.log.world().clone();
        let mut retry = Retry::new(world.clone());
        let begun = world.now();
        while !self.stop.is_stopped() {
            match self.step(begun).await {
                Ok(()) => retry.reset(),
                Err(error) if std::mem::take(&mut self.came_too_late) => {
                    tracing::debug!(%error, "somebody else has laid out the log meanwhile: beginning behind that");
                    if retry.pause(&self.stop).await.is_stopped() {
                        break;
                    }
                }
                // A store that denies what it has granted before may grant it again.
                Err(error) if error.kind().is_transient() || error.kind() == ErrorKind::Denied => {
                    tracing::warn!(%error, hint = error.hint_text(), "cannot fold the staging log: trying again");
                    if retry.pause(&self.stop).await.is_stopped() {
                        break;
                    }
                }
                Err(error) => return Err(error.context("the staging log is not folded any more")),
            }
            tokio::select! {
                biased;
                () = world.sleep(LOOK) => {}
                () = self.stop.stopped() => {}
            }
        }
        Ok(())
    }

    /// Does what is due for the last time; `drops`: what is not to be kept too. Until `stop`, or not for ever.
    pub async fn finish(&mut self, drops: bool, stop: &Stop) -> Result<()> {
        let (world, last) = (self.log.world().clone(), Stop::new());
        self.stop = last.clone();
        let work = async {
            self.tidy().await?;
            match drops {
                true => self.drop_old(&last).await,
                false => Ok(()),
            }
        };
        let done = {
            let mut work = std::pin::pin!(work);
            tokio::select! {
                biased;
                done = &mut work => done,
                () = async { tokio::select! { biased; () = stop.stopped() => {} () = world.sleep(LAST) => {} } } => {
                    last.stop();
                    work.await
                }
            }
        };
        done.and(self.retire().await)
    }

    /// Does what is due, once, but for what takes long: see [`Housekeeping::retain`].
    pub async fn tidy(&mut self) -> Result<()> {
        self.fold().await?;
        self.clear().await
    }

    /// Drops what is not to be kept, to the end. To be asked when every destination has said where it stands.
    pub async fn retain(&mut self) -> Result<()> {
        self.drop_old(&Stop::new()).await
    }

    /// What is done while it runs.
    async fn step(&mut self, begun: Time) -> Result<()> {
        self.fold().await?;
        let now = self.log.world().now();
        let is_due = self.last_drop.is_none_or(|last| now.micros_since(last) >= DROP_EVERY);
        if is_due && now.micros_since(begun) >= QUIET && !self.stop.is_stopped() {
            self.last_drop = Some(now);
            match self.drop_old(&self.stop.clone()).await {
                // What cannot be dropped is kept; the log is folded all the same.
                Err(error) if !error.kind().is_transient() && !self.came_too_late => {
                    tracing::error!(%error, hint = error.hint_text(), "nothing is dropped from the staging log");
                }
                dropped => dropped?,
            }
        }
        self.clear().await
    }

    async fn fold(&mut self) -> Result<()> {
        while self.is_fold_due().await? {
            let begun = self.log.world().now();
            let mut writer = self.writer().await?;
            let folded = self.log.fold(&mut writer, self.settings.format, &self.stop).await;
            if !self.keep(writer, folded).await? || self.stop.is_stopped() {
                break;
            }
            self.clear().await?;
            self.pause(begun).await;
        }
        Ok(())
    }

    /// Drops what is not to be kept. A base that is in the making when `stop` is thrown is given up.
    async fn drop_old(&mut self, stop: &Stop) -> Result<()> {
        if self.settings.retention.is_everything() {
            return Ok(());
        }
        let Some(upper) = self.log.due_to_go(&self.settings.retention).await? else { return Ok(()) };
        let mut writer = self.writer().await?;
        let dropped = async {
            let base = tokio::select! {
                biased;
                base = self.log.prepare_base(upper, &writer, self.settings.format, &self.stop) => Some(base?),
                () = stop.stopped() => None,
            };
            match base {
                Some(base) => {
                    self.log.begin_with(base, &self.settings.retention, &mut writer, &self.stop).await
                }
                None => Ok(false),
            }
        };
        let dropped = dropped.await;
        if !self.keep(writer, dropped).await? {
            // What it has begun must not be taken for part of the next thing that it would make.
            self.retire().await?;
        }
        Ok(())
    }

    /// Says that nothing of it can become visible any more.
    pub async fn retire(&mut self) -> Result<()> {
        match self.writer.take() {
            Some(writer) if writer.has_written() && writer.is_resolved() => {
                self.log.retire(writer.name()).await
            }
            _ => Ok(()),
        }
    }

    async fn is_fold_due(&mut self) -> Result<bool> {
        let unfolded = self.log.unfolded();
        if unfolded == 0 {
            return Ok(false);
        }
        if unfolded >= DUE_COMMITS || self.log.0.unfolded.load(Ordering::Relaxed) >= DUE_BYTES {
            return Ok(true);
        }
        let oldest = self.log.layout().folded() + 1;
        if self.oldest.is_none_or(|(sequence, _)| sequence != oldest) {
            self.oldest = Some((oldest, self.log.commit(oldest).await?.time()));
        }
        let now = self.log.world().now();
        let age = |(_, time)| Duration::from_micros(now.micros_since(time));
        Ok(self.oldest.map(age).is_some_and(|age| age >= self.settings.fold_after))
    }

    async fn clear(&mut self) -> Result<()> {
        let layout = self.log.layout();
        if layout.doomed.is_empty() && layout.fences.is_empty() {
            return Ok(());
        }
        let mut writer = self.writer().await?;
        let cleared = async {
            self.log.clear(&mut writer, &self.stop).await?;
            if writer.has_written() && !self.has_cleared_garbage {
                self.log.clear_garbage(&writer).await?;
                self.has_cleared_garbage = true;
            }
            Ok(())
        };
        let cleared = cleared.await;
        self.keep(writer, cleared).await
    }

    /// Leaves the processors to others for as long as they were taken, unless much is waiting.
    async fn pause(&self, begun: Time) {
        if self.log.unfolded() < BACKLOG {
            let world = self.log.world();
            let taken = Duration::from_micros(world.now().micros_since(begun));
            tokio::select! {
                biased;
                () = world.sleep(taken.min(LONGEST_PAUSE)) => {}
                () = self.stop.stopped() => {}
            }
        }
    }

    async fn writer(&mut self) -> Result<LayoutWriter> {
        match self.writer.take() {
            Some(writer) => Ok(writer),
            None => LayoutWriter::open(&self.log).await,
        }
    }

    /// Keeps `writer` for the next step, unless this one failed: then the next writer finds out what became of it.
    async fn keep<T>(&mut self, writer: LayoutWriter, outcome: Result<T>) -> Result<T> {
        if outcome.is_err() {
            self.came_too_late = writer.came_too_late();
            self.has_cleared_garbage = false;
        }
        self.writer = Some(writer);
        if outcome.is_err()
            && let Err(error) = self.retire().await
        {
            tracing::debug!(%error, "cannot say that a writer of the layout has ended");
        }
        outcome
    }
}
