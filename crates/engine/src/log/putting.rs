//! Putting what must not be lost: a store that is full, read-only, slow or away is waited for, with everything in memory.

use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;

use super::{Log, store::Created};
use crate::{Error, ErrorKind, Result, Stop, Time, world::World};

/// What stands under a name now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    /// What was put, durably.
    Ours,
    /// Something else.
    Theirs,
}

impl Log {
    /// Looks for a newer layout until the store answers, or until `stop`.
    pub(super) async fn refresh_layout_patiently(&self, stop: &Stop) -> Result<()> {
        let mut patience = Patience::new(self.world());
        loop {
            match self.refresh_layout().await {
                Err(error) if error.kind() == ErrorKind::Unavailable && !stop.is_stopped() => {
                    patience.wait(&error, stop).await;
                }
                Err(error) => return Err(error),
                Ok(_) => {
                    patience.ends(());
                    return Ok(());
                }
            }
        }
    }

    /// Puts `bytes` at `path`, a name that nobody else would choose.
    pub(super) async fn put_own(&self, path: &Path, bytes: &Bytes, stop: &Stop) -> Result<()> {
        match self.put(path, bytes, stop).await? {
            Put::Ours => Ok(()),
            Put::Theirs => Err(Error::conflict(format!("`{path}` exists, and is not ours"))),
        }
    }

    /// Puts `bytes` at `path`, unless there is something else, and finds out which.
    ///
    /// An outage of the store only delays it, until `stop`; then the error is returned, and the outcome is open.
    pub(super) async fn put(&self, path: &Path, bytes: &Bytes, stop: &Stop) -> Result<Put> {
        let store = self.store();
        let mut patience = Patience::new(self.world());
        loop {
            let unclear = match store.create(path, bytes.clone()).await {
                Ok(Created::Yes) => return Ok(patience.ends(Put::Ours)),
                Ok(Created::Exists) => None,
                Err(error) if error.kind() == ErrorKind::Unavailable => Some(error),
                Err(error) => return Err(error),
            };
            // The put may have happened although it failed, and what exists may be ours: only the content tells.
            match store.get(path).await {
                Ok(Some(found)) if found == *bytes => match store.settle(path).await {
                    Ok(()) => return Ok(patience.ends(Put::Ours)),
                    Err(error) if error.kind() == ErrorKind::Unavailable => {}
                    Err(error) => return Err(error),
                },
                Ok(Some(_)) => return Ok(Put::Theirs),
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::Unavailable => {}
                Err(error) => return Err(error),
            }
            let error =
                unclear.unwrap_or_else(|| Error::unavailable(format!("`{path}` exists but cannot be read")));
            if stop.is_stopped() {
                return Err(error);
            }
            patience.wait(&error, stop).await;
        }
    }
}

const FIRST: Duration = Duration::from_millis(250);
/// Short, for a disk is asked, and whoever has freed it wants to see something happen.
const LONGEST: Duration = Duration::from_secs(5);
/// What goes on is said again after this time.
const SAID_AGAIN: Duration = Duration::from_secs(60);

/// Pauses between attempts, of which people hear as much as they need to.
struct Patience<'a> {
    world: &'a World,
    next: Duration,
    begun: Option<Time>,
    /// What was said last, and when.
    said: Option<(Time, String)>,
}

impl<'a> Patience<'a> {
    fn new(world: &'a World) -> Self {
        Self { world, next: FIRST, begun: None, said: None }
    }

    async fn wait(&mut self, error: &Error, stop: &Stop) {
        let (now, text) = (self.world.now(), error.to_string());
        self.begun.get_or_insert(now);
        let is_known = self.said.as_ref().is_some_and(|(time, said)| {
            *said == text && u128::from(now.micros_since(*time)) < SAID_AGAIN.as_micros()
        });
        if !is_known {
            tracing::warn!(%error, hint = error.hint_text(), "the staging store does not take what was read: waiting");
            self.said = Some((now, text));
        }
        let pause = self.world.jitter(self.next);
        self.next = (self.next * 2).min(LONGEST);
        tokio::select! {
            biased;
            () = stop.stopped() => {}
            () = self.world.sleep(pause) => {}
        }
    }

    fn ends<T>(&self, outcome: T) -> T {
        if let Some(begun) = self.begun {
            let seconds = self.world.now().micros_since(begun) / 1_000_000;
            tracing::info!("the staging store takes what is read again, after {seconds} s");
        }
        outcome
    }
}
