//! The memory that changes may take between source and log.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A budget of bytes, shared by all lanes of a source.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    /// One permit a KiB.
    permits: Arc<Semaphore>,
    total: u32,
    /// One batch at a time may pass beyond the budget: lanes may wait for one another in ways that only their strategy
    /// knows, and this lets somebody go on.
    overdraft: Arc<Semaphore>,
}

/// A share of the budget; given back when dropped.
#[derive(Debug)]
pub(crate) struct Held {
    memory: Memory,
    permit: Option<OwnedSemaphorePermit>,
    overdraft: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl Memory {
    pub(super) fn new(bytes: u64) -> Self {
        let total =
            u32::try_from(bytes >> 10).unwrap_or(u32::MAX).clamp(1, Semaphore::MAX_PERMITS as u32 >> 1);
        Self {
            permits: Arc::new(Semaphore::new(total as usize)),
            total,
            overdraft: Arc::new(Semaphore::new(1)),
        }
    }

    pub(crate) fn none(&self) -> Held {
        Held { memory: self.clone(), permit: None, overdraft: None, bytes: 0 }
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
    pub(crate) fn try_grow(&mut self, bytes: usize) -> bool {
        let taken = self.memory.permits.clone().try_acquire_many_owned(self.memory.cost(bytes)).ok();
        let grown = taken.is_some();
        self.keep(taken, bytes);
        grown
    }

    /// Takes `bytes` more, waiting until they are free or nobody else has taken more than there is. The caller, which holds
    /// nothing while it waits, releases them without waiting for another lane.
    pub(super) async fn grow(&mut self, bytes: usize) {
        debug_assert!(self.permit.is_none() && self.overdraft.is_none());
        let Memory { permits, overdraft, .. } = self.memory.clone();
        // The semaphores are never closed.
        tokio::select! {
            biased;
            taken = permits.acquire_many_owned(self.memory.cost(bytes)) => self.keep(taken.ok(), bytes),
            taken = overdraft.acquire_owned() => {
                self.overdraft = taken.ok();
                self.bytes += bytes;
            }
        }
    }

    /// Gives everything back.
    pub(super) fn release(&mut self) {
        self.permit = None;
        self.overdraft = None;
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

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_passes_beyond_the_budget_and_the_next_waits() {
        let memory = Memory::new(8 << 10);
        let [mut first, mut second, mut third] = [memory.none(), memory.none(), memory.none()];
        assert!(first.try_grow(8 << 10) && !second.try_grow(1));
        second.grow(1).await;
        assert!(third.grow(1).now_or_never().is_none(), "only one may");
        second.release();
        third.grow(1).await;
        third.release();
        first.release();
        assert!(second.try_grow(1 << 30), "the largest batch passes when nothing else is held");
    }
}
