//! Doubles of services that cannot be had for a test: they answer as their vendors document it, over HTTP, from records that the test
//! changes, and misbehave as the documentation says that they may.

mod call;
#[cfg(test)]
mod documented;
mod dynamics;
mod github;
mod graph;
mod nws;
mod open_meteo;
mod salesforce;
mod sharepoint_list;
mod trouble;
mod x;

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use crate::front::{Front, Request, Treatment};
use crate::http::Response;

pub use call::Call;
pub use dynamics::Dataverse;
pub use github::GitHub;
pub use graph::Graph;
pub use nws::Nws;
pub use open_meteo::OpenMeteo;
pub use salesforce::Salesforce;
pub use sharepoint_list::SharePointList;
pub use trouble::Trouble;
pub use x::X;

/// What a service does with requests.
pub trait Service: Send + 'static {
    /// The answer to a request by somebody who may ask.
    fn answer(&mut self, call: &Call) -> Response;

    /// How it says that its caller is not known, or not any more.
    fn refuse(&self) -> Response;

    /// How it says that it is asked too often, where it asks to be left alone for so long: a header.
    fn throttle(&self, wait: (&str, &str)) -> Response;

    /// The path at which clients get their tokens; `None` where they bring one.
    fn token_path(&self) -> Option<&str> {
        None
    }

    /// How long it says that a token is good for, in seconds; some do not say.
    fn token_lifetime(&self) -> Option<u64> {
        Some(3_599)
    }

    /// Whether anybody may ask.
    fn is_open(&self) -> bool {
        false
    }
}

/// A running double. Dropping it ends it.
pub struct Double<S> {
    front: Front,
    inside: Arc<Mutex<(S, Trouble)>>,
    hangs: Arc<AtomicBool>,
}

impl<S: Service> Double<S> {
    /// A double of `service`, without any trouble.
    pub fn of(service: S) -> Self {
        // Nobody stands behind it: it answers everything itself.
        let front = Front::before(0);
        let base = format!("http://127.0.0.1:{}", front.port());
        let inside = Arc::new(Mutex::new((service, Trouble::default())));
        let hangs = Arc::new(AtomicBool::new(false));
        let (answering, hanging) = (inside.clone(), hangs.clone());
        front.treat(move |request| {
            let mut inside = answering.lock().unwrap_or_else(PoisonError::into_inner);
            let (service, trouble) = &mut *inside;
            treatment(service, trouble, (request, &base), &hanging)
        });
        Self { front, inside, hangs }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.front.port())
    }

    /// What it has: while this is held, it does not answer.
    pub fn with<T>(&self, look: impl FnOnce(&mut S) -> T) -> T {
        look(&mut self.inside().0)
    }

    /// How it misbehaves from now on.
    pub fn trouble<T>(&self, change: impl FnOnce(&mut Trouble) -> T) -> T {
        change(&mut self.inside().1)
    }

    /// Has the request after so many more hang for ever; those after it are answered again.
    pub fn hang_after(&self, more: u64) {
        self.hangs.store(false, Ordering::Relaxed);
        self.trouble(|trouble| trouble.hang_after(more));
    }

    /// Whether a request hangs.
    pub fn hangs(&self) -> bool {
        self.hangs.load(Ordering::Relaxed)
    }

    fn inside(&self) -> MutexGuard<'_, (S, Trouble)> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn treatment<S: Service>(
    service: &mut S,
    trouble: &mut Trouble,
    (request, base): (&Request, &str),
    hangs: &AtomicBool,
) -> Treatment {
    let call = Call::new(request, base);
    if service.token_path().is_some_and(|path| path == call.path) {
        return Treatment::Answer(trouble.give_token(&call, service.token_lifetime()));
    }
    if trouble.is_to_hang() {
        hangs.store(true, Ordering::Relaxed);
        return Treatment::Silence;
    }
    if let Some((name, value)) = trouble.asks_to_wait() {
        return Treatment::Answer(service.throttle((name, &value)));
    }
    if !service.is_open() && !trouble.knows(&call) {
        return Treatment::Answer(service.refuse());
    }
    Treatment::Answer(service.answer(&call))
}
