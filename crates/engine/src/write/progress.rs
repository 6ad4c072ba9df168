//! How far a destination has come, for people to watch.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one write loop.
#[derive(Debug, Default)]
pub struct Progress {
    rows: AtomicU64,
    sequence: AtomicU64,
    dead_letters: AtomicU64,
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

    /// How many changes are dead letters now.
    pub fn dead_letters(&self) -> u64 {
        self.dead_letters.load(Ordering::Relaxed)
    }

    pub(super) fn has_dead_letters(&self, letters: usize) {
        self.dead_letters.store(letters as u64, Ordering::Relaxed);
    }

    pub(super) fn stands_at(&self, sequence: u64) {
        self.sequence.store(sequence, Ordering::Relaxed);
    }

    pub(super) fn applied(&self, rows: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
    }
}
