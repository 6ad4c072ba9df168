//! What befalls a process: when it dies or stands still, and which of its calls fail.

use std::{
    future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;

use crate::{
    store::weather::{Forecast, Weather},
    world::Seeded,
};

const HOUR: u64 = 3_600_000;

/// The fate of one process. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Fate(Arc<Inner>);

/// What may happen to a process.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Hazards {
    /// The place at which it dies.
    pub(crate) dies_at: Option<u64>,
    /// The place at which it stands still, as one that is stopped by a signal, until somebody has it go on.
    pub(crate) stands_still_at: Option<u64>,
    /// Calls in a thousand that fail.
    pub(crate) failing: u64,
    /// Calls of the store in a thousand that fail, and take effect later all the same.
    pub(crate) landing_late: u64,
    /// Calls of the store in a thousand that take effect, and are answered hours later.
    pub(crate) answered_late: u64,
    /// Places in a thousand at which a destination, or the source, takes up to hours.
    pub(crate) slow: u64,
    /// Whether the store is full, read-only, slow or silent for a while.
    pub(crate) weather: bool,
}

#[derive(Debug)]
struct Inner {
    hazards: Hazards,
    places: AtomicU64,
    died: Notify,
    stands_still: AtomicBool,
    goes_on: Notify,
    random: Mutex<Seeded>,
    weather: Mutex<Forecast>,
    /// How many calls of the store went otherwise for the weather.
    weathered: AtomicU64,
    /// Whether the store has taken anything from this process, and whether it refused something before it had.
    has_written: AtomicBool,
    was_refused_first: AtomicBool,
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
    /// What may happen does, as `seed` will have it.
    pub(crate) fn new(hazards: Hazards, seed: u64) -> Self {
        Self(Arc::new(Inner {
            hazards,
            places: AtomicU64::new(0),
            died: Notify::new(),
            stands_still: AtomicBool::new(false),
            goes_on: Notify::new(),
            random: Mutex::new(Seeded::new(seed ^ 0x5eed)),
            weather: Mutex::new(Forecast::changing(seed)),
            weathered: AtomicU64::new(0),
            has_written: AtomicBool::new(false),
            was_refused_first: AtomicBool::new(false),
        }))
    }

    /// Nothing happens.
    pub(crate) fn kind() -> Self {
        Self::new(Hazards::default(), 0)
    }

    /// Dies at the place with this number.
    pub(crate) fn dies_at(place: u64) -> Self {
        Self::new(Hazards { dies_at: Some(place), ..Hazards::default() }, place)
    }

    /// Dies somewhere or nowhere; one call in twenty fails.
    pub(crate) fn random(seed: u64) -> Self {
        Self::new(Hazards::random(seed), seed)
    }

    /// The same for a process that makes many calls: it dies later, and fewer of them fail.
    pub(crate) fn busy(seed: u64) -> Self {
        let hazards =
            Hazards { dies_at: Some(Seeded::new(seed).below(3_000)), failing: 5, ..Hazards::default() };
        Self::new(hazards, seed)
    }

    /// The same as a random one, with a store that is full, read-only, slow or silent for a while.
    pub(crate) fn in_any_weather(seed: u64) -> Self {
        let dies_at = Some(Seeded::new(seed).below(900));
        Self::new(Hazards { dies_at, failing: 20, weather: true, ..Hazards::default() }, seed)
    }

    /// How the store is now, and for how long.
    pub(crate) fn weather(&self) -> (Weather, Duration) {
        if !self.0.hazards.weather {
            return (Weather::Fair, Duration::MAX);
        }
        let now = self.0.weather.lock().expect("nobody panics while looking").now();
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

    /// How many places it has come past.
    pub(crate) fn places(&self) -> u64 {
        self.0.places.load(Ordering::Relaxed)
    }

    /// Whether it stands still: then nothing of it is to be polled.
    pub(crate) fn stands_still(&self) -> bool {
        self.0.stands_still.load(Ordering::Relaxed)
    }

    /// Has it go on.
    pub(crate) fn go_on(&self) {
        self.0.stands_still.store(false, Ordering::Relaxed);
        self.0.goes_on.notify_waiters();
    }

    /// A place where the process waits for the world: it may die here, stand still, or be overtaken by its other tasks.
    pub(crate) async fn place(&self) {
        let place = self.0.places.fetch_add(1, Ordering::Relaxed);
        if self.0.hazards.dies_at == Some(place) {
            self.0.died.notify_one();
            future::pending::<()>().await;
        }
        if self.0.hazards.stands_still_at == Some(place) {
            self.0.stands_still.store(true, Ordering::Relaxed);
        }
        loop {
            let goes_on = self.0.goes_on.notified();
            if !self.stands_still() {
                break;
            }
            goes_on.await;
        }
        for _ in 0..self.draw(3) {
            tokio::task::yield_now().await;
        }
    }

    /// A place at which the source or a destination may take its time.
    pub(crate) async fn slow_place(&self) {
        self.place().await;
        self.wait(self.0.hazards.slow).await;
    }

    /// The store may answer late.
    pub(crate) async fn answer(&self) {
        self.wait(self.0.hazards.answered_late).await;
    }

    /// How the next call goes.
    pub(crate) fn call(&self) -> Call {
        match self.draw(1_000) {
            draw if draw >= self.0.hazards.failing => Call::Succeeds,
            draw if draw % 2 == 0 => Call::FailsBefore,
            _ => Call::FailsAfter,
        }
    }

    /// Whether the next call of the store fails and takes effect later: after so many other calls.
    pub(crate) fn lands_late(&self) -> Option<u64> {
        let lands_late = self.0.hazards.landing_late > 0 && self.draw(1_000) < self.0.hazards.landing_late;
        // Soon, in the next lives, or long after.
        lands_late.then(|| 1 + self.draw([10, 300, 3_000][self.draw(3) as usize]))
    }

    /// A number below `bound`.
    pub(crate) fn draw(&self, bound: u64) -> u64 {
        self.0.random.lock().expect("nobody panics while drawing").below(bound)
    }

    /// In so many cases of a thousand, waits for seconds or hours.
    #[expect(clippy::disallowed_methods, reason = "time is paused: it takes simulated time")]
    async fn wait(&self, often: u64) {
        if often > 0 && self.draw(1_000) < often {
            let most = [10_000, HOUR / 6, 5 * HOUR][self.draw(3) as usize];
            tokio::time::sleep(Duration::from_millis(self.draw(most))).await;
        }
    }
}

impl Hazards {
    /// Dies somewhere or nowhere; one call in twenty fails.
    pub(crate) fn random(seed: u64) -> Self {
        Self { dies_at: Some(Seeded::new(seed).below(600)), failing: 50, ..Self::default() }
    }
}
