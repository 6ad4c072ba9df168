//! What befalls a process: when it dies, and which of its calls fail.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;

use crate::{
    weather::{Forecast, Weather},
    world::Seeded,
};

/// The fate of one process. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Fate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    places: AtomicU64,
    dies_at: u64,
    died: Notify,
    /// Calls in a thousand that fail.
    failing: u64,
    random: Mutex<Seeded>,
    weather: Option<Mutex<Forecast>>,
    /// How many calls of the store went otherwise for it.
    weathered: AtomicU64,
    /// Whether the store has taken anything from this process, and whether it refused something before it had.
    has_written: AtomicBool,
    was_refused_first: AtomicBool,
}

impl Inner {
    fn new(dies_at: u64, failing: u64, seed: u64) -> Self {
        Self {
            places: AtomicU64::new(0),
            dies_at,
            died: Notify::new(),
            failing,
            random: Mutex::new(Seeded::new(seed ^ 0x5eed)),
            weather: None,
            weathered: AtomicU64::new(0),
            has_written: AtomicBool::new(false),
            was_refused_first: AtomicBool::new(false),
        }
    }
}

/// How a call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Succeeds,
    /// Nothing happens, and the caller gets an error.
    FailsBefore,
    /// It happens, and the caller gets an error all the same.
    FailsAfter,
}

impl Fate {
    /// Nothing happens.
    pub(crate) fn kind() -> Self {
        Self::new(u64::MAX, 0, 0)
    }

    /// Dies at the place with this number.
    pub(crate) fn dies_at(place: u64) -> Self {
        Self::new(place, 0, place)
    }

    /// Dies somewhere or nowhere; one call in twenty fails.
    pub(crate) fn random(seed: u64) -> Self {
        Self::new(Seeded::new(seed).below(600), 50, seed)
    }

    /// The same for a process that makes many calls: it dies later, and fewer of them fail.
    pub(crate) fn busy(seed: u64) -> Self {
        Self::new(Seeded::new(seed).below(3_000), 5, seed)
    }

    /// The same as a random one, with a store that is full, read-only, slow or silent for a while.
    pub(crate) fn in_any_weather(seed: u64) -> Self {
        let weather = Some(Mutex::new(Forecast::changing(seed)));
        Self(Arc::new(Inner { weather, ..Inner::new(Seeded::new(seed).below(900), 20, seed) }))
    }

    fn new(dies_at: u64, failing: u64, seed: u64) -> Self {
        Self(Arc::new(Inner::new(dies_at, failing, seed)))
    }

    /// How the store is now, and for how long.
    pub(crate) fn weather(&self) -> (Weather, Duration) {
        let forecast = self.0.weather.as_ref();
        let Some(forecast) = forecast else { return (Weather::Fair, Duration::MAX) };
        let now = forecast.lock().expect("nobody panics while looking").now();
        if now.0 != Weather::Fair {
            self.0.weathered.fetch_add(1, Ordering::Relaxed);
        }
        now
    }

    /// How many calls of the store met anything but fair weather.
    pub(crate) fn weathered(&self) -> u64 {
        self.0.weathered.load(Ordering::Relaxed)
    }

    /// The store has taken something.
    pub(crate) fn wrote(&self) {
        self.0.has_written.store(true, Ordering::Relaxed);
    }

    /// The store may not be written to now.
    pub(crate) fn refused(&self) {
        if !self.0.has_written.load(Ordering::Relaxed) {
            self.0.was_refused_first.store(true, Ordering::Relaxed);
        }
    }

    /// Whether that was so before it took anything: then it may be a wrong setting.
    pub(crate) fn was_refused_first(&self) -> bool {
        self.0.was_refused_first.load(Ordering::Relaxed)
    }

    /// Returns when the process dies.
    pub(crate) async fn death(&self) {
        self.0.died.notified().await;
    }

    /// A place where the process waits for the world: it may die here, or be overtaken by its other tasks.
    pub(crate) async fn place(&self) {
        let place = self.0.places.fetch_add(1, Ordering::Relaxed);
        if place == self.0.dies_at {
            self.0.died.notify_one();
            std::future::pending::<()>().await;
        }
        for _ in 0..self.draw(3) {
            tokio::task::yield_now().await;
        }
    }

    /// How the next call goes.
    pub(crate) fn call(&self) -> Call {
        match self.draw(1_000) {
            draw if draw >= self.0.failing => Call::Succeeds,
            draw if draw % 2 == 0 => Call::FailsBefore,
            _ => Call::FailsAfter,
        }
    }

    /// A number below `bound`.
    pub(crate) fn draw(&self, bound: u64) -> u64 {
        self.0.random.lock().expect("nobody panics while drawing").below(bound)
    }
}
