//! Stand-in while the committer is being written.
use bytes::Bytes;
use tokio::sync::watch;

use crate::{Cursor, PartId, Result, Time, change::ChangeBatch};

/// Whether changes belong to the initial sync or to what came after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Records the source had when it was first read.
    InitialSync,
    /// Everything since.
    Changes,
}

/// Where a strategy's changes go.
#[derive(Debug, Clone)]
pub struct Outlet {}

impl Outlet {
    /// A lane for `part` of the source: any number may be open, each with its own boundaries.
    pub fn lane(&self, part: PartId, phase: Phase) -> Lane {
        let _ = (part, phase);
        Lane {}
    }
    /// The cursor up to which everything is durable. Acknowledge the source only from this.
    pub fn durable(&self) -> watch::Receiver<Cursor> {
        watch::channel(Cursor::default()).1
    }
}

/// One part of the source on its way into the log.
#[derive(Debug)]
pub struct Lane {}

impl Lane {
    /// Hands over changes. Waits while memory is scarce. Nobody sees them before the next boundary is durable.
    pub async fn batch(&mut self, batch: ChangeBatch) -> Result<()> {
        let _ = batch;
        Ok(())
    }
    /// Everything since the last boundary commits together with `cursor`, where this part has been read to. `time` is
    /// when the source made it, where it tells.
    pub async fn boundary(&mut self, cursor: Bytes, time: Option<Time>) -> Result<Ticket> {
        let _ = (cursor, time);
        Ok(Ticket {})
    }
}

/// The promise of a boundary.
#[derive(Debug)]
pub struct Ticket {}

impl Ticket {
    /// Returns when everything up to the boundary is durable.
    pub async fn durable(self) -> Result<()> {
        Ok(())
    }
}
