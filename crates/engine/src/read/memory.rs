//! The memory that changes may take between source and log.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A budget of bytes, shared by all lanes of a source.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    /// One permit a KiB.
    permits: Arc<Semaphore>,
    total: u32,
}

/// A share of the budget; given back when dropped.
#[derive(Debug)]
pub(super) struct Held {
    memory: Memory,
    permit: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl Memory {
    pub(super) fn new(bytes: u64) -> Self {
        let total =
            u32::try_from(bytes >> 10).unwrap_or(u32::MAX).clamp(1, Semaphore::MAX_PERMITS as u32 >> 1);
        Self { permits: Arc::new(Semaphore::new(total as usize)), total }
    }

    pub(super) fn none(&self) -> Held {
        Held { memory: self.clone(), permit: None, bytes: 0 }
    }

    /// What `bytes` cost: never more than there is, so that a single large batch can pass alone.
    fn cost(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(u32::MAX).min(self.total)
    }
}

impl Held {
    /// How many bytes were asked for since the last release.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes `bytes` more, if they are free now.
    pub(super) fn try_grow(&mut self, bytes: usize) -> bool {
        let taken = self.memory.permits.clone().try_acquire_many_owned(self.memory.cost(bytes)).ok();
        let grown = taken.is_some();
        self.keep(taken, bytes);
        grown
    }

    /// Takes `bytes` more, waiting until they are free. The caller holds nothing while it waits, or two could wait for
    /// one another.
    pub(super) async fn grow(&mut self, bytes: usize) {
        debug_assert!(self.permit.is_none());
        // The semaphore is never closed.
        let taken = self.memory.permits.clone().acquire_many_owned(self.memory.cost(bytes)).await.ok();
        self.keep(taken, bytes);
    }

    /// Gives everything back.
    pub(super) fn release(&mut self) {
        self.permit = None;
        self.bytes = 0;
    }

    fn keep(&mut self, taken: Option<OwnedSemaphorePermit>, bytes: usize) {
        let Some(taken) = taken else { return };
        self.bytes += bytes;
        match &mut self.permit {
            Some(permit) => permit.merge(taken),
            None => self.permit = Some(taken),
        }
    }
}
