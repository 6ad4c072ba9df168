//! A store whose user dies, or stands still, at one of its calls.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use futures::{StreamExt, stream, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, memory::InMemory, path::Path,
};
use tokio::{sync::Semaphore, task::JoinHandle};

/// What happens at the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It has no effect, and no call after it has.
    DiesBefore,
    /// It takes effect, and nobody hears of it; no call after it does.
    DiesAfter,
    /// It waits until it may go on; listing and removing do not.
    StandsStill,
}

/// A store with a fate at call `at`.
#[derive(Debug)]
pub(super) struct Flaky {
    kept: Arc<InMemory>,
    calls: AtomicUsize,
    at: usize,
    fate: Fate,
    stands: Semaphore,
    goes_on: Semaphore,
}

impl Flaky {
    pub(super) fn new(kept: Arc<InMemory>, at: usize, fate: Fate) -> Self {
        let (stands, goes_on) = (Semaphore::new(0), Semaphore::new(0));
        Self { kept, calls: AtomicUsize::new(0), at, fate, stands, goes_on }
    }

    /// Waits until its user stands still, or has ended without; whether it stands.
    pub(super) async fn stands_still_or<T>(&self, user: &JoinHandle<T>) -> bool {
        loop {
            if self.stands.available_permits() > 0 {
                return true;
            }
            if user.is_finished() {
                return false;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Whether its user made so many calls that one met its fate.
    pub(super) fn was_reached(&self) -> bool {
        self.calls.load(Ordering::SeqCst) > self.at
    }

    pub(super) fn go_on(&self) {
        self.goes_on.add_permits(1);
    }

    async fn call<T>(&self, effect: impl Future<Output = T>) -> Result<T> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        match self.fate {
            Fate::StandsStill => {
                if number == self.at {
                    self.stands.add_permits(1);
                    drop(self.goes_on.acquire().await);
                }
                Ok(effect.await)
            }
            Fate::DiesBefore if number >= self.at => Err(dead()),
            Fate::DiesAfter if number > self.at => Err(dead()),
            Fate::DiesAfter if number == self.at => {
                effect.await;
                Err(dead())
            }
            _ => Ok(effect.await),
        }
    }
}

fn dead() -> Error {
    Error::Generic { store: "flaky", source: "dead".into() }
}

impl fmt::Display for Flaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("flaky")
    }
}

#[async_trait]
impl ObjectStore for Flaky {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.call(self.kept.put_opts(location, payload, opts)).await?
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.call(self.kept.put_multipart_opts(location, opts)).await?
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.call(self.kept.get_opts(location, options)).await?
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        // Each is a call of its own; the stream may outlive this borrow, so its fate is decided now.
        let number = self.calls.load(Ordering::SeqCst);
        self.calls.fetch_add(1, Ordering::SeqCst);
        match self.fate {
            Fate::DiesBefore if number >= self.at => stream::once(async { Err(dead()) }).boxed(),
            Fate::DiesAfter if number > self.at => stream::once(async { Err(dead()) }).boxed(),
            Fate::DiesAfter if number == self.at => {
                self.kept.delete_stream(locations).map(|_| Err(dead())).boxed()
            }
            _ => self.kept.delete_stream(locations),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        if self.fate != Fate::StandsStill && number >= self.at {
            return stream::once(async { Err(dead()) }).boxed();
        }
        self.kept.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.call(self.kept.list_with_delimiter(prefix)).await?
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.call(self.kept.copy_opts(from, to, options)).await?
    }
}
