//! How far a destination has come, for people to watch.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one write loop.
#[derive(Debug, Default)]
pub struct Progress {
    rows: AtomicU64,
    sequence: AtomicU64,
}

impl Progress {
    /// Changes applied by this process.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// The last commit applied.
    pub fn sequence(&self) -> u64 {
        self.sequence.load(Ordering::Relaxed)
    }

    pub(super) fn stands_at(&self, sequence: u64) {
        self.sequence.store(sequence, Ordering::Relaxed);
    }

    pub(super) fn applied(&self, rows: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
    }
}
