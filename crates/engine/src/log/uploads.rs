//! Segments on their way to the store while the next ones are encoded: as many as there is memory for, for the way may be long.

use bytes::Bytes;
use object_store::path::Path;
use tokio::task::JoinSet;

use super::Log;
use crate::{Result, Stop, read::Memory};

/// Puts under way. Dropping it ends them; what arrived all the same is an orphan.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    /// What they may hold in memory; `None`: one at a time, waited for.
    memory: Option<Memory>,
    under_way: JoinSet<Result<()>>,
}

/// More at once make no line faster.
const MOST: usize = 16;

impl Uploads {
    /// Uploads that go on beside their writer as long as `memory` has room for what they hold.
    pub(super) fn beside(memory: Memory) -> Self {
        Self { memory: Some(memory), under_way: JoinSet::new() }
    }

    /// Begins to put `bytes` at `name`, a name of our own. Returns when it is there, if it cannot go on beside. While the store is full it
    /// waits where it is: what is in other segments of the boundary need not be read again.
    ///
    /// Fails too when one that was begun before has failed.
    pub(super) async fn put(&mut self, log: &Log, name: Path, bytes: Bytes, stop: &Stop) -> Result<()> {
        while let Some(ended) = self.under_way.try_join_next() {
            ended??;
        }
        let mut held = self.memory.as_ref().map(Memory::none);
        let room =
            self.under_way.len() < MOST && held.as_mut().is_some_and(|held| held.try_grow(bytes.len()));
        if !room {
            return log.put_own(&name, &bytes, stop).await;
        }
        let (log, stop) = (log.clone(), stop.clone());
        self.under_way.spawn(async move {
            let outcome = log.put_own(&name, &bytes, &stop).await;
            drop(held);
            outcome
        });
        Ok(())
    }

    /// Returns when everything is there.
    pub(crate) async fn finish(mut self) -> Result<()> {
        while let Some(ended) = self.under_way.join_next().await {
            ended??;
        }
        Ok(())
    }
}
