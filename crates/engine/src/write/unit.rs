//! What a destination is given at once: whole commits of the log.

use std::fmt;

use futures::{Stream, StreamExt, stream::BoxStream};

use super::Standing;
use crate::{Result, change::ChangeBatch, read::Phase};

/// A run of whole commits, to be applied atomically. Its changes are read and verified as they are asked for, so its size
/// does not bound memory.
pub struct Unit {
    begin: Standing,
    end: Standing,
    deliveries: BoxStream<'static, Result<Delivery>>,
}

/// Some changes of one stream out of one commit.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The commit that holds them. With the log's id and a change's ordinal it makes the change's identity,
    /// [`crate::ChangeId`].
    pub sequence: u64,
    /// The commit that they are played with: the one that holds them or, for changes that waited for their stream's initial
    /// sync, the one that completed it.
    pub played: u64,
    /// Whether they belong to the initial sync. A truncate that does is the beginning of a new one: what came before of the
    /// stream is void, whatever [`OnTruncate`](super::OnTruncate) says.
    pub phase: Phase,
    /// The changes, numbered by their ordinals in the commit.
    pub changes: ChangeBatch,
}

impl Unit {
    /// A unit that leads from `begin` to `end` by `deliveries`.
    pub fn new(
        begin: impl Into<Standing>,
        end: impl Into<Standing>,
        deliveries: impl Stream<Item = Result<Delivery>> + Send + 'static,
    ) -> Self {
        Self { begin: begin.into(), end: end.into(), deliveries: deliveries.boxed() }
    }

    /// Where the destination must stand before.
    pub fn begin(&self) -> &Standing {
        &self.begin
    }

    /// Where it stands after.
    pub fn end(&self) -> &Standing {
        &self.end
    }

    /// The next changes; `None` after the last.
    ///
    /// Changes of one stream come in source order: the records of an initial sync, the changes that waited for it, those that
    /// came later. Of different streams inside one commit any may come first; their
    /// ordinals give the order between them.
    pub async fn next(&mut self) -> Result<Option<Delivery>> {
        self.deliveries.next().await.transpose()
    }
}

impl fmt::Debug for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unit").field("begin", &self.begin).field("end", &self.end).finish_non_exhaustive()
    }
}
