//! Worlds whose time the tests decide on.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tidemark_engine::{
    Result, Time,
    world::{Clock, Processors, Random, World},
};

/// Where the time of every test begins.
const BEGINNING: i64 = 1_714_521_600_000_000;

/// A world whose clock is that of the paused runtime.
pub(in crate::http::client) fn paused_world() -> World {
    let begun = tokio::time::Instant::now();
    World::new(Arc::new(Paused(begun)), Arc::new(Even::default()), Arc::new(Here))
}

struct Paused(tokio::time::Instant);

#[async_trait]
impl Clock for Paused {
    fn now(&self) -> Time {
        Time::from_micros(BEGINNING + self.0.elapsed().as_micros() as i64)
    }

    #[expect(clippy::disallowed_methods, reason = "the runtime's time is paused")]
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// A clock that whoever sleeps moves on, at once. What was slept is kept.
#[derive(Clone, Default)]
pub(in crate::http::client) struct Leaps {
    passed: Arc<AtomicI64>,
    slept: Arc<Mutex<Vec<Duration>>>,
}

impl Leaps {
    pub(in crate::http::client) fn world(&self) -> World {
        World::new(Arc::new(self.clone()), Arc::new(Even::default()), Arc::new(Here))
    }

    pub(in crate::http::client) fn slept(&self) -> Vec<Duration> {
        self.slept.lock().unwrap().clone()
    }

    pub(in crate::http::client) fn pass(&self, time: Duration) {
        self.passed.fetch_add(time.as_micros() as i64, Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for Leaps {
    fn now(&self) -> Time {
        Time::from_micros(BEGINNING + self.passed.load(Ordering::SeqCst))
    }

    async fn sleep(&self, duration: Duration) {
        self.pass(duration);
        self.slept.lock().unwrap().push(duration);
        tokio::task::yield_now().await;
    }
}

#[derive(Default)]
struct Even(AtomicU64);

impl Random for Even {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

struct Here;

#[async_trait]
impl Processors for Here {
    async fn run(&self, work: Box<dyn FnOnce() + Send>) -> Result<()> {
        work();
        Ok(())
    }
}
