//! A world of which a seed decides everything.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tidemark_engine::{
    Result, Time,
    world::{Clock, Processors, Random, World},
};

/// Numbers out of a seed.
#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.number() % end.max(1)
    }

    pub(super) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

/// A clock that stands still but for those who wait.
#[derive(Debug, Clone)]
pub(super) struct Hands(Arc<AtomicI64>);

impl Hands {
    pub(super) fn micros(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_micros()).unwrap(), Ordering::Relaxed);
    }
}

struct Hall {
    hands: Hands,
    drawn: AtomicU64,
}

#[async_trait]
impl Clock for Hall {
    fn now(&self) -> Time {
        Time::from_micros(self.hands.micros())
    }

    async fn sleep(&self, duration: Duration) {
        for _ in 0..self.next() % 4 {
            tokio::task::yield_now().await;
        }
        self.hands.advance(duration);
    }
}

impl Random for Hall {
    fn next(&self) -> u64 {
        Chance::new(self.drawn.fetch_add(0x51_7cc1_b727, Ordering::Relaxed)).number()
    }
}

#[async_trait]
impl Processors for Hall {
    async fn run(&self, work: Box<dyn FnOnce() + Send>) -> Result<()> {
        if self.next().is_multiple_of(4) {
            tokio::task::yield_now().await;
        }
        work();
        Ok(())
    }
}

/// The world of `seed`, and its clock.
pub(super) fn world(seed: u64) -> (World, Hands) {
    let hands = Hands(Arc::new(AtomicI64::new(1_356_998_400_000_000)));
    let hall = || Arc::new(Hall { hands: hands.clone(), drawn: AtomicU64::new(seed) });
    (World::new(hall(), hall(), hall()), hands)
}
