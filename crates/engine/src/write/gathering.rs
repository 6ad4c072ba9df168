//! Which commits a destination is given at once.

use std::sync::Arc;

use futures::future;

use super::{Appetite, WriteLoop};
use crate::{Position, Result, log::Commit};

/// Bytes of commits that a unit holds in memory, whatever the appetite: segments are read as they are asked for.
pub(super) const HELD_BYTES: u64 = 16 << 20;

impl WriteLoop {
    /// The commits after `position`, as many as `appetite` takes; `None` at the horizon or when stopped.
    pub(super) async fn next_commits(
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
            if !commits.is_empty() && self.begins_unit(&commit) {
                break;
            }
            rows += commit.rows();
            bytes += commit.staged_bytes();
            held += commit.held_bytes();
            position = commit.position();
            let ends = self.ends_unit(&commit);
            commits.push(commit);
            if ends {
                break;
            }
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

    pub(super) fn has_grown_beyond(&self, sequence: u64) -> bool {
        let last = self.horizon.borrow().unwrap_or(u64::MAX);
        !self.stop.is_stopped() && sequence < self.log.head().sequence.min(last)
    }
}
