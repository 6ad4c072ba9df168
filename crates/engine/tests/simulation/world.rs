//! A world that follows from a seed: tokio's paused time, a generator, and computation on the spot.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use tidemark_engine::{
    Result, Time,
    world::{Clock, Processors, Random, World},
};

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
#[derive(Debug)]
pub(crate) struct Seeded(u64);

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x9e37)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// The world of one process.
pub(crate) fn simulated(seed: u64) -> World {
    let mut random = Seeded::new(seed);
    let off = Mutex::new(days(&mut random, 40));
    let clock = JumpyClock { start: tokio::time::Instant::now(), random: Mutex::new(random), off };
    World::new(Arc::new(clock), Arc::new(SeededRandom::new(seed ^ 7)), Arc::new(OnTheSpot))
}

/// A clock that is some days off, is set anew now and then, and is another day off for a moment more often.
struct JumpyClock {
    start: tokio::time::Instant,
    random: Mutex<Seeded>,
    /// Microseconds.
    off: Mutex<i64>,
}

/// Up to so many days, either way, in microseconds.
fn days(random: &mut Seeded, most: u64) -> i64 {
    const HOUR: i64 = 3_600_000_000;
    let hours = random.below(2 * 24 * most + 1);
    HOUR * (i64::try_from(hours).expect("it is small") - i64::try_from(24 * most).expect("it is small"))
}

#[async_trait]
impl Clock for JumpyClock {
    fn now(&self) -> Time {
        let passed = i64::try_from(self.start.elapsed().as_micros()).expect("a simulation is short");
        let mut random = self.random.lock().expect("nobody panics while drawing");
        let mut off = self.off.lock().expect("nobody panics while drawing");
        if random.below(200) == 0 {
            *off = days(&mut random, 40);
        }
        let moment = if random.below(10) == 0 { days(&mut random, 1) } else { 0 };
        Time::from_micros(1_700_000_000_000_000 + passed + *off + moment)
    }

    #[expect(clippy::disallowed_methods, reason = "time is paused: this is the simulated clock")]
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

pub(crate) struct SeededRandom(Mutex<Seeded>);

impl SeededRandom {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(Seeded::new(seed)))
    }
}

impl Random for SeededRandom {
    fn next(&self) -> u64 {
        self.0.lock().expect("nobody panics while drawing").next()
    }
}

pub(crate) struct OnTheSpot;

#[async_trait]
impl Processors for OnTheSpot {
    async fn run(&self, work: Box<dyn FnOnce() + Send>) -> Result<()> {
        work();
        Ok(())
    }
}
