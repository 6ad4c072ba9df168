//! What the engine takes from outside itself: time, names, randomness, processors. Everything that would make two
//! runs differ comes in through here, so a simulation can hand in a world of its own.

use std::{
    fmt,
    hash::{BuildHasher, Hasher, RandomState},
    sync::{Arc, atomic::AtomicI64, atomic::Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;

use crate::{Result, Time};

/// Work on fewer bytes than this holds nobody up.
const LITTLE: usize = 64 << 10;

/// Tells the time and waits.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// The time now. It may jump either way; nothing in the engine orders by it.
    fn now(&self) -> Time;

    /// Returns after `duration`.
    async fn sleep(&self, duration: Duration);
}

/// Gives random numbers: for names that must not collide and for jitter, never for secrets.
pub trait Random: Send + Sync + 'static {
    /// The next number, uniform over 64 bits.
    fn next(&self) -> u64;
}

/// Runs work that keeps a processor busy (encoding, compression, hashing) without holding up the loops.
#[async_trait]
pub trait Processors: Send + Sync + 'static {
    /// Runs `work` to its end.
    async fn run(&self, work: Box<dyn FnOnce() + Send>) -> Result<()>;
}

/// The outside world, handed to every loop.
#[derive(Clone)]
pub struct World {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    processors: Arc<dyn Processors>,
}

impl World {
    /// A world of the given parts.
    pub fn new(clock: Arc<dyn Clock>, random: Arc<dyn Random>, processors: Arc<dyn Processors>) -> Self {
        Self { clock, random, processors }
    }

    /// The real world: the system's clock, its randomness, tokio's blocking threads.
    pub fn real() -> Self {
        Self::new(Arc::new(SystemClock), Arc::new(SystemRandom::default()), Arc::new(BlockingThreads))
    }

    /// The time now.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// Returns after `duration`.
    pub async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }

    /// `duration`, shortened at random by up to half, so that many who wait do not all return at once.
    pub fn jitter(&self, duration: Duration) -> Duration {
        let share = (self.random.next() >> 11) as f64 / (1u64 << 53) as f64;
        duration.mul_f64(1.0 - share / 2.0)
    }

    /// `digits` random characters of `0-9a-z` without `i l o u`, 5 bits each.
    pub fn name(&self, digits: usize) -> String {
        const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        let digit = |_| char::from(ALPHABET[(self.random.next() >> 59) as usize]);
        (0..digits).map(digit).collect()
    }

    /// Runs `work` on the processors and returns what it returns.
    pub async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let (give, take) = futures::channel::oneshot::channel();
        // The receiver is gone only when the caller stopped waiting, and then nobody misses the result.
        self.processors.run(Box::new(move || drop(give.send(work())))).await?;
        take.await.map_err(|_| crate::Error::internal("a computation ended without a result"))
    }

    /// The same for work on about `bytes` bytes: what is done sooner than somebody else could be asked to is done at once.
    pub async fn compute_on<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        if bytes < LITTLE { Ok(work()) } else { self.compute(work).await }
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("World")
    }
}

struct SystemClock;

#[async_trait]
#[expect(clippy::disallowed_methods, reason = "the one place where time comes in")]
impl Clock for SystemClock {
    fn now(&self) -> Time {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// SipHash under keys that the operating system chose, over a counter.
#[derive(Default)]
struct SystemRandom {
    keys: RandomState,
    drawn: AtomicI64,
}

impl Random for SystemRandom {
    fn next(&self) -> u64 {
        let mut hasher = self.keys.build_hasher();
        hasher.write_i64(self.drawn.fetch_add(1, Ordering::Relaxed));
        hasher.finish()
    }
}

struct BlockingThreads;

#[async_trait]
impl Processors for BlockingThreads {
    async fn run(&self, work: Box<dyn FnOnce() + Send>) -> Result<()> {
        Ok(tokio::task::spawn_blocking(work).await?)
    }
}
