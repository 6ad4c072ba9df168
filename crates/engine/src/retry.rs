//! When to try again: a function of an error's kind alone, with pauses that grow.

use std::time::Duration;

use crate::{Stop, world::World};

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);

/// Pauses between attempts: doubling from 250 ms to 30 s, each shortened at random by up to half.
#[derive(Debug)]
pub(crate) struct Retry {
    world: World,
    next: Duration,
}

impl Retry {
    pub(crate) fn new(world: World) -> Self {
        Self { world, next: FIRST }
    }

    /// Starts over after a success.
    pub(crate) fn reset(&mut self) {
        self.next = FIRST;
    }

    /// Waits for the next attempt, or until `stop`; returns it.
    pub(crate) async fn pause<'a>(&mut self, stop: &'a Stop) -> &'a Stop {
        let pause = self.world.jitter(self.next);
        self.next = (self.next * 2).min(LONGEST);
        tokio::select! {
            biased;
            () = stop.stopped() => {}
            () = self.world.sleep(pause) => {}
        }
        stop
    }
}
