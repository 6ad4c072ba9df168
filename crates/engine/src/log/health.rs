//! How the store is doing: what is wrong with it now, for people who ask, and what an error of it means to us.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;

use crate::{Error, Time, world::World};

/// A call that takes longer than this is told of, and again whenever that time has doubled.
const SLOW: Duration = Duration::from_secs(10);
/// After so long, at the latest.
const SLOWEST: Duration = Duration::from_secs(3_600);

/// Why the store does not do what is asked of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Since when.
    pub since: Time,
    /// What is wrong, as of the last call.
    pub message: String,
    /// What a person can do about it.
    pub hint: Option<String>,
    /// What it does not do.
    doing: Doing,
}

/// What is being asked of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    Reading,
    Writing,
    Removing,
}

/// What this process knows of a store.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Known as soon as a log is opened.
    world: OnceLock<World>,
    has_written: AtomicBool,
    trouble: watch::Sender<Option<Trouble>>,
}

impl Health {
    /// From now on calls are timed.
    pub(super) fn attend(&self, world: &World) {
        // A store that holds one log lives in one world.
        let _ = self.world.set(world.clone());
    }

    /// Whether this process has written to it: a denial is then no wrong setting, but something that has happened to the store.
    pub(super) fn has_written(&self) -> bool {
        self.has_written.load(Ordering::Relaxed)
    }

    pub(super) fn wrote(&self) {
        self.has_written.store(true, Ordering::Relaxed);
    }

    /// What is wrong now.
    pub(super) fn trouble(&self) -> watch::Receiver<Option<Trouble>> {
        self.trouble.subscribe()
    }

    /// Makes a call, and tells of it while it takes long. Nothing is cut short: a call to a local folder that hangs cannot be,
    /// and one to a server has a time limit of its own.
    pub(super) async fn time<T>(
        &self,
        doing: Doing,
        what: impl Fn() -> String,
        call: impl Future<Output = T>,
    ) -> T {
        let Some(world) = self.world.get() else { return call.await };
        let mut call = std::pin::pin!(call);
        let (mut passed, mut next) = (Duration::ZERO, SLOW);
        loop {
            tokio::select! {
                biased;
                outcome = &mut call => return outcome,
                () = world.sleep(next) => {}
            }
            passed = passed.saturating_add(next);
            next = passed.min(SLOWEST);
            let message =
                format!("the staging store has not answered for {} s: {}", passed.as_secs(), what());
            tracing::warn!("{message}");
            self.note(doing, message, None);
        }
    }

    /// A call has failed, and may be made again.
    pub(super) fn failed(&self, doing: Doing, error: &Error) {
        if error.kind().is_transient() {
            self.note(doing, error.to_string(), error.hint_text().map(str::to_owned));
        }
    }

    /// A call has done what it was asked for.
    pub(super) fn worked(&self, doing: Doing) {
        self.trouble.send_if_modified(|trouble| {
            let is_over = trouble.as_ref().is_some_and(|trouble| trouble.doing == doing);
            if is_over {
                *trouble = None;
            }
            is_over
        });
    }

    fn note(&self, doing: Doing, message: String, hint: Option<String>) {
        let Some(world) = self.world.get() else { return };
        self.trouble.send_modify(|trouble| {
            let since = trouble.as_ref().map_or_else(|| world.now(), |trouble| trouble.since);
            *trouble = Some(Trouble { since, message, hint, doing });
        });
    }
}
