//! Reading commits: nothing is believed before it is verified.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Commit, Log, names, volume::damaged};
use crate::{Digest, Error, Position, Result, Time};

/// Bytes of recent commits kept in memory, so that loops in the writer's process need not read them back.
const RECENT_BYTES: usize = 8 << 20;

/// The newest commits.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<Newest>);

#[derive(Debug, Default)]
struct Newest {
    /// Oldest first; each follows upon the one before it.
    commits: VecDeque<Arc<Commit>>,
    bytes: usize,
}

impl Recent {
    pub(super) fn remember(&self, commit: &Arc<Commit>) {
        let Newest { commits, bytes } = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match commits.back().map(|newest| newest.sequence() + 1) {
            Some(next) if commit.sequence() < next => return,
            Some(next) if commit.sequence() > next => (*commits, *bytes) = (VecDeque::new(), 0),
            _ => {}
        }
        commits.push_back(commit.clone());
        *bytes += commit.body().len();
        while *bytes > RECENT_BYTES {
            match commits.pop_front() {
                Some(oldest) => *bytes -= oldest.body().len(),
                None => break,
            }
        }
    }

    fn get(&self, sequence: u64) -> Option<Arc<Commit>> {
        let Newest { commits, .. } = &*self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let index = sequence.checked_sub(commits.front()?.sequence())?;
        commits.get(usize::try_from(index).ok()?).cloned()
    }
}

impl Log {
    /// Commit `sequence`, verified: its own hash, its number, its log. It must exist; a hole in the log is of kind
    /// [`crate::ErrorKind::Conflict`].
    pub async fn commit(&self, sequence: u64) -> Result<Arc<Commit>> {
        if let Some(commit) = self.0.recent.get(sequence) {
            let layout = self.layout();
            // Segments of a folded one may be gone, and the base is another commit than it was.
            let is_as_it_was = commit.header().segments.is_empty() || !layout.covers(sequence);
            if is_as_it_was && sequence > layout.base_sequence() {
                return Ok(commit);
            }
        }
        match self.find(sequence).await? {
            Some(commit) => Ok(commit),
            None => Err(self.not_kept(sequence)),
        }
    }

    /// Why there is no commit `sequence`.
    fn not_kept(&self, sequence: u64) -> Error {
        match self.layout().base_sequence() {
            base if sequence < base => self.dropped(format_args!("commit {sequence} of the log")),
            _ => Error::conflict(format!("commit {sequence} of the log is missing"))
                .hint("restore it from a backup: what it held cannot be delivered"),
        }
    }

    /// The error of whoever needs `what`, which retention has dropped.
    pub(super) fn dropped(&self, what: impl std::fmt::Display) -> Error {
        let layout = self.layout();
        let (base, since) = layout.base.as_ref().map_or((0, Time::EPOCH), |base| (base.last, base.time));
        Error::conflict(format!(
            "{what} is not kept any more: the staging log keeps what came after commit {base}, recorded {since}"
        ))
        .hint("begin at the beginning of what is kept")
    }

    /// Whether what came right after commit `sequence` is dropped. Nothing is, for one that has not begun: what is kept begins
    /// with a state.
    pub fn is_dropped(&self, sequence: u64) -> bool {
        sequence > 0 && sequence < self.layout().base_sequence()
    }

    /// The commit that stands for all before it, where that is not kept any more.
    pub fn begins_after(&self) -> Option<u64> {
        Some(self.layout().base_sequence()).filter(|base| *base > 0)
    }

    /// The commit to be played next after commit `after`. After 0, the beginning, that is the one which stands for all that is not
    /// kept, where there is one.
    ///
    /// Fails with [`crate::ErrorKind::Conflict`] when it is dropped.
    pub fn next_after(&self, after: u64) -> Result<u64> {
        match self.layout().base_sequence() {
            base if after == 0 => Ok(base.max(1)),
            base if after < base => Err(self.dropped(format_args!("what came after commit {after}"))),
            _ => Ok(after + 1),
        }
    }

    /// The commit after `position`, verified to follow upon it.
    pub async fn commit_after(&self, position: &Position) -> Result<Arc<Commit>> {
        loop {
            let next = self.next_after(position.sequence)?;
            let commit = match self.commit(next).await {
                // It was found out just now that it is dropped.
                Err(_) if next < self.layout().base_sequence() => continue,
                commit => commit?,
            };
            // What stands for all that is not kept follows upon nothing.
            if next == position.sequence + 1 && !self.is_base(next) {
                self.check_follows(&commit, position)?;
            }
            return Ok(commit);
        }
    }

    fn is_base(&self, sequence: u64) -> bool {
        self.layout().base_sequence() == sequence
    }

    /// Checks the chain: that `commit` was written on top of `position`.
    pub(super) fn check_follows(&self, commit: &Commit, position: &Position) -> Result<()> {
        if commit.header().previous == position.hash {
            return Ok(());
        }
        let message =
            format!("commit {} of the log does not follow upon commit {position}", commit.sequence());
        Err(Error::conflict(message)
            .hint("the staging store was changed or restored in part: restore all of it from one backup"))
    }

    /// Verifies that `position` is in this log.
    ///
    /// Fails with [`crate::ErrorKind::Conflict`] when it is in another log, beyond the end, or names another commit
    /// than stands there.
    pub async fn verify(&self, position: &Position) -> Result<()> {
        let hint = "the staging store was deleted, restored or exchanged since: bring the old one back, or begin again \
                    with an empty destination";
        if &position.log != self.id() {
            let message = format!("it stands in log `{}`, but this is log `{}`", position.log, self.id());
            return Err(Error::conflict(message).hint(hint));
        }
        if position.sequence > self.head().sequence {
            self.refresh().await?;
        }
        let head = self.head();
        if position.sequence > head.sequence {
            let message = format!("it stands at commit {position}, but the log ends at commit {head}");
            return Err(Error::conflict(message).hint(hint));
        }
        if self.is_dropped(position.sequence) {
            return Err(self.dropped(format_args!("what came after commit {position}, where it stands,")));
        }
        let found = match position.sequence {
            0 => Digest::ZERO,
            sequence => match self.commit(sequence).await {
                Err(_) if self.is_dropped(sequence) => {
                    let error =
                        self.dropped(format_args!("what came after commit {position}, where it stands,"));
                    return Err(error);
                }
                commit => commit?.hash(),
            },
        };
        if found != position.hash {
            let message = format!("it stands at commit {position}, but the log holds another commit there");
            return Err(Error::conflict(message).hint(hint));
        }
        Ok(())
    }

    /// The position of commit `sequence`; 0 is the start.
    pub async fn position(&self, sequence: u64) -> Result<Position> {
        match sequence {
            0 => Ok(Position::start(self.id().clone())),
            sequence => Ok(self.commit(sequence).await?.position()),
        }
    }

    /// Commit `sequence` as the store has it, verified: by itself or, once it is folded, in a volume. `None` when there is none.
    pub(super) async fn find(&self, sequence: u64) -> Result<Option<Arc<Commit>>> {
        loop {
            let layout = self.layout();
            if layout.covers(sequence) {
                let Some(volume) = layout.volume_of(sequence) else { return Ok(None) };
                if let Some(commit) = self.commit_in(volume, sequence).await? {
                    return Ok(Some(commit));
                }
                // Somebody else of this process may have found out what is new while this one was looking.
                self.refresh_layout().await?;
                if self.layout().number == layout.number {
                    return Err(damaged(volume, "it is missing"));
                }
                continue;
            }
            let found = self.find_object(sequence).await?;
            // A name is free again when its commit has been folded: one that begins an epoch may have been written into the past.
            let is_certain = found.as_ref().is_some_and(|commit| !commit.header().begins);
            if is_certain {
                return Ok(found);
            }
            self.refresh_layout().await?;
            if !self.layout().covers(sequence) {
                return Ok(found);
            }
        }
    }

    /// The object of commit `sequence`, verified; `None` when there is none.
    pub(super) async fn find_object(&self, sequence: u64) -> Result<Option<Arc<Commit>>> {
        let path = names::commit(sequence);
        let Some(body) = self.0.store.get(&path).await? else { return Ok(None) };
        let damaged = |what: &str| {
            Error::conflict(format!("commit {sequence} of the log (`{path}`) is damaged: {what}"))
                .hint("restore it from a backup: nothing of it or after it is delivered")
        };
        let commit = self.0.world.compute(move || Commit::parse(body)).await?.map_err(damaged)?;
        if commit.sequence() != sequence {
            return Err(damaged("it is another commit"));
        }
        if &commit.header().log != self.id() {
            return Err(damaged("it belongs to another log"));
        }
        Ok(Some(Arc::new(commit)))
    }
}
