//! An object store in memory whose calls fail before or after they took effect, and at which a process may die.

use std::{fmt, io, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{StreamExt, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, memory::InMemory, path::Path,
};

use crate::{
    fate::{Call, Fate},
    weather::Weather,
};

/// The store itself, which outlives processes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Durable(Arc<InMemory>);

impl Durable {
    /// The store as one process sees it.
    pub(crate) fn connect(&self, fate: &Fate) -> Arc<dyn ObjectStore> {
        Arc::new(Connection { store: self.0.clone(), fate: fate.clone() })
    }
}

#[derive(Debug, Clone)]
struct Connection {
    store: Arc<InMemory>,
    fate: Fate,
}

/// What a call does to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Reads,
    Adds,
    Removes,
}

impl Connection {
    /// Makes a call, as fate and the weather will have it.
    async fn call<T>(&self, effect: Effect, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.fate.place().await;
        self.weather(effect).await?;
        let fate = self.fate.call();
        if fate == Call::FailsBefore {
            return Err(timeout());
        }
        let outcome = call.await;
        self.fate.place().await;
        if fate == Call::FailsAfter {
            return Err(timeout());
        }
        if effect == Effect::Adds && outcome.is_ok() {
            self.fate.wrote();
        }
        outcome
    }

    /// What the weather has against a call.
    #[expect(clippy::disallowed_methods, reason = "time is paused: the store is slow in simulated time")]
    async fn weather(&self, effect: Effect) -> Result<()> {
        let (weather, lasts) = self.fate.weather();
        match (weather, effect) {
            (Weather::Full, Effect::Adds) => Err(refused(io::ErrorKind::StorageFull)),
            (Weather::ReadOnly, Effect::Adds | Effect::Removes) => {
                self.fate.refused();
                Err(refused(io::ErrorKind::ReadOnlyFilesystem))
            }
            (Weather::Slow, _) => {
                tokio::time::sleep(Duration::from_millis(self.fate.draw(8_000))).await;
                Ok(())
            }
            (Weather::Silent, _) => {
                tokio::time::sleep(lasts).await;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn refused(why: io::ErrorKind) -> object_store::Error {
    object_store::Error::Generic { store: "simulation", source: Box::new(io::Error::from(why)) }
}

fn timeout() -> object_store::Error {
    object_store::Error::Generic { store: "simulation", source: "the connection timed out".into() }
}

#[async_trait]
impl ObjectStore for Connection {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.call(Effect::Adds, self.store.put_opts(location, payload, opts)).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.call(Effect::Adds, self.store.put_multipart_opts(path, opts)).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.call(Effect::Reads, self.store.get_opts(location, options)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let connection = self.clone();
        let removed = locations.then(move |location| {
            let connection = connection.clone();
            async move {
                connection.weather(Effect::Removes).await?;
                let location = location?;
                connection.store.delete(&location).await.map(|()| location)
            }
        });
        removed.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        if self.fate.call() == Call::FailsBefore {
            return futures::stream::once(async { Err(timeout()) }).boxed();
        }
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.call(Effect::Reads, self.store.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.call(Effect::Adds, self.store.copy_opts(from, to, options)).await
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("simulation")
    }
}
