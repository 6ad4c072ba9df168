//! What a store goes through while a process lives: for a while it is full, read-only, slow, or answers nothing at all.

use std::time::Duration;

use tokio::time::Instant;

use crate::world::Seeded;

/// The longest that one kind of weather lasts, in seconds. A process that works without a pause needs milliseconds.
const LONGEST: u64 = 90;

/// How a store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    /// It does what is asked.
    Fair,
    /// What is there can be read and removed; nothing can be added.
    Full,
    /// What is there can be read.
    ReadOnly,
    /// Each call takes seconds.
    Slow,
    /// No call is answered until it is over.
    Silent,
}

/// The weather of one life, beginning with its first call.
#[derive(Debug)]
pub(crate) struct Forecast {
    begun: Option<Instant>,
    random: Seeded,
    /// Until when, and how it is.
    now: (Duration, Weather),
}

impl Forecast {
    /// Weather that changes all the time.
    pub(crate) fn changing(seed: u64) -> Self {
        Self { begun: None, random: Seeded::new(seed ^ 0x3ea7), now: (Duration::ZERO, Weather::Fair) }
    }

    /// How it is now, and for how long.
    pub(crate) fn now(&mut self) -> (Weather, Duration) {
        let passed = self.begun.get_or_insert_with(Instant::now).elapsed();
        while self.now.0 <= passed {
            let kinds = [Weather::Fair, Weather::Full, Weather::ReadOnly, Weather::Slow, Weather::Silent];
            // It begins fair or otherwise, and no kind lasts for ever.
            let weather = kinds[self.random.below(5) as usize];
            let most = if weather == Weather::Fair { 2_000 } else { LONGEST * 1_000 };
            self.now = (self.now.0 + Duration::from_millis(1 + self.random.below(most)), weather);
        }
        (self.now.1, self.now.0 - passed)
    }
}
