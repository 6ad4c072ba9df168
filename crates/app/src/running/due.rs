//! When the next reading is due by the clock.

use std::time::Duration;

use tidemark_engine::{Time, world::World};

use crate::pipeline_file::{Occasions, Schedule};

/// The clock is looked at again after this long, however far away the next reading is: it may be set, and machines sleep.
const LOOK: Duration = Duration::from_secs(30);
/// A clock that went back by less was corrected, not set.
const CORRECTION: Duration = Duration::from_secs(60);

/// Tells when to read next. Whatever fell due while nobody looked, because a reading took long or the machine slept, is due once.
pub(super) struct Due {
    world: World,
    period: Option<Duration>,
    schedule: Option<Schedule>,
    /// What is left of the period, in time that passed: setting the clock back lengthens it by nothing.
    left: Option<Duration>,
    /// The next time of the schedule.
    next: Option<Time>,
    /// When the clock was last looked at.
    looked: Time,
}

impl Due {
    /// With a period the first reading is due at once, with a schedule at its next time.
    pub(super) fn new(world: World, occasions: &Occasions) -> Self {
        let Occasions { every, schedule, .. } = occasions.clone();
        let looked = world.now();
        let next = schedule.as_ref().and_then(|schedule| schedule.next_after(looked));
        Self { left: every.map(|_| Duration::ZERO), period: every, next, schedule, looked, world }
    }

    /// A reading begins: it is the one that was due by now.
    pub(super) fn begin(&mut self) {
        self.look(Duration::ZERO);
        self.left = self.period;
        self.pass();
    }

    /// Returns once a reading is due; never when the clock brings none. May be dropped and called again.
    pub(super) async fn come(&mut self) {
        self.look(Duration::ZERO);
        while let Some(wait) = self.wait() {
            let pause = wait.min(LOOK);
            self.world.sleep(pause).await;
            self.look(pause);
        }
        // At once, so that a clock that is corrected backwards by a moment does not bring the same time again.
        self.pass();
    }

    /// Goes on to the next time of the schedule when this one has come.
    fn pass(&mut self) {
        if self.next.is_some_and(|next| next <= self.looked) {
            self.next = self.next_after(self.looked);
        }
    }

    /// How long until a reading is due; `None`: it is.
    fn wait(&self) -> Option<Duration> {
        let until_next = |next: Time| Duration::from_micros(next.micros_since(self.looked));
        let waits = self.left.into_iter().chain(self.next.map(until_next));
        let wait = waits.min().unwrap_or(LOOK);
        (!wait.is_zero()).then_some(wait)
    }

    /// Looks at the clock, after `slept` has passed for sure.
    fn look(&mut self, slept: Duration) {
        let (now, before) = (self.world.now(), self.looked);
        let passed = Duration::from_micros(now.micros_since(before)).max(slept);
        self.left = self.left.map(|left| left.saturating_sub(passed));
        if Duration::from_micros(before.micros_since(now)) > CORRECTION {
            tracing::info!("the clock was set back: the next reading is found anew");
            self.next = self.next_after(now);
        }
        self.looked = now;
    }

    fn next_after(&self, time: Time) -> Option<Time> {
        self.schedule.as_ref().and_then(|schedule| schedule.next_after(time))
    }
}

#[cfg(test)]
mod tests;
