//! What one connection may use, shared by everything in this process that uses it: a server counts our requests, not our
//! pipelines.

mod window;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    time::Duration,
};

use tidemark_engine::{Digest, Time, world::World};
use tokio::sync::Notify;
use url::Origin;

use super::config::{ByteRate, Limits, RequestRate};
use window::Window;

/// The budgets of this process, by server and credentials.
#[derive(Clone, Default)]
pub(crate) struct Budgets(Arc<Mutex<Known>>);

/// Those in use. A budget is gone with the last client of its connection.
type Known = HashMap<(Origin, Digest), Weak<Budget>>;

impl Budgets {
    /// Those of the whole process.
    pub(crate) fn of_process() -> Self {
        static ALL: OnceLock<Budgets> = OnceLock::new();
        ALL.get_or_init(Self::default).clone()
    }

    /// The budget of the connection to `origin` as `identity`. Who joins one that is there tightens it: the strictest of all
    /// limits counts.
    pub(super) fn join(&self, origin: Origin, identity: Digest, limits: &Limits) -> Arc<Budget> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, budget| budget.strong_count() > 0);
        let key = (origin, identity);
        if let Some(budget) = all.get(&key).and_then(Weak::upgrade) {
            budget.state().tighten(limits);
            return budget;
        }
        let budget = Arc::new(Budget::new(limits));
        all.insert(key, Arc::downgrade(&budget));
        budget
    }
}

impl fmt::Debug for Budgets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Budgets")
    }
}

/// The budget of one connection.
#[derive(Debug)]
pub(super) struct Budget {
    state: Mutex<State>,
    /// Told whenever a request has ended.
    freed: Notify,
}

#[derive(Debug)]
struct State {
    concurrency: usize,
    running: usize,
    requests: Option<Window>,
    bytes: Option<Window>,
    /// Until when the server asked us to leave it alone, and from when on.
    pause: Option<(Time, Time)>,
}

/// What stands between a request and its beginning.
enum Turn {
    Now,
    In(Duration),
    WhenFreed,
}

impl State {
    fn tighten(&mut self, limits: &Limits) {
        self.concurrency = self.concurrency.min(limits.concurrency);
        if let Some(RequestRate(requests, per)) = limits.requests {
            Window::tighten(&mut self.requests, requests, per.0);
        }
        if let Some(ByteRate(bytes, per)) = limits.bytes {
            Window::tighten(&mut self.bytes, bytes.0, per.0);
        }
    }

    fn turn(&mut self, now: Time) -> Turn {
        let pause = self.pause.filter(|(from, until)| now < *until && now >= *from);
        self.pause = pause;
        if let Some((_, until)) = pause {
            return Turn::In(Duration::from_micros(until.micros_since(now)));
        }
        if self.running >= self.concurrency {
            return Turn::WhenFreed;
        }
        let waits = [&mut self.requests, &mut self.bytes].map(|window| window.as_mut()?.wait(now));
        match waits.into_iter().flatten().max() {
            Some(wait) => Turn::In(wait),
            None => {
                self.running += 1;
                if let Some(requests) = &mut self.requests {
                    requests.spend(now, 1);
                }
                Turn::Now
            }
        }
    }
}

impl Budget {
    fn new(limits: &Limits) -> Self {
        let mut state = State {
            concurrency: limits.concurrency.max(1),
            running: 0,
            requests: None,
            bytes: None,
            pause: None,
        };
        state.tighten(limits);
        state.concurrency = state.concurrency.max(1);
        Self { state: Mutex::new(state), freed: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a request may begin, and counts it.
    pub(super) async fn enter(self: &Arc<Self>, world: &World) -> Permit {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            // Before looking, so that nobody leaves unseen in between.
            freed.as_mut().enable();
            let turn = self.state().turn(world.now());
            match turn {
                Turn::Now => return Permit { budget: self.clone(), world: world.clone() },
                Turn::In(wait) => world.sleep(wait).await,
                Turn::WhenFreed => freed.await,
            }
        }
    }

    /// Lets nobody begin for `wait`: the server has had enough of all of us.
    pub(super) fn pause(&self, wait: Duration, now: Time) {
        let micros = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
        let until = Time::from_micros(now.as_micros().saturating_add(micros));
        let mut state = self.state();
        let later = state.pause.is_none_or(|(from, former)| former < until || now < from);
        if later {
            state.pause = Some((now, until));
        }
    }
}

/// A request that is under way. It has ended when this is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    budget: Arc<Budget>,
    world: World,
}

impl Permit {
    /// Counts `bytes` that were received.
    pub(super) fn received(&self, bytes: usize) {
        if let Some(window) = &mut self.budget.state().bytes {
            window.spend(self.world.now(), bytes as u64);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.budget.state().running -= 1;
        self.budget.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
