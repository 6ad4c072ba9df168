//! An object store in memory whose calls fail before or after they took effect, or take effect later, and at which a process may die.

mod disk;
mod late;
pub(crate) mod weather;

use std::{fmt, io, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, memory::InMemory, path::Path,
};
use tidemark_engine::log::Store;

use crate::{
    fate::{Call, Fate},
    universe::in_simulated_time,
};
use disk::Disk;
use late::{OnTheirWay, Sent};
use weather::Weather;

/// The store itself, which outlives processes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Durable {
    objects: Arc<InMemory>,
    on_their_way: OnTheirWay,
    /// Where it is a disk: an object can be seen there before it is durable.
    disk: Option<Disk>,
}

impl Durable {
    /// A disk.
    pub(crate) fn on_disk() -> Self {
        let objects = Arc::<InMemory>::default();
        Self { disk: Some(Disk::new(objects.clone())), objects, ..Self::default() }
    }

    /// The store as one process sees it.
    pub(crate) fn connect(&self, fate: &Fate) -> Store {
        let connection =
            Connection { durable: self.clone(), store: self.objects.clone(), fate: fate.clone() };
        let store = Store::new(Arc::new(connection), "simulation");
        match &self.disk {
            Some(disk) => store.settled_by(Arc::new(disk.clone())),
            None => store,
        }
    }

    /// The power goes: what was not synced is lost, in part.
    pub(crate) fn power_cut(&self, seed: u64) {
        if let Some(disk) = &self.disk {
            disk.power_cut(seed);
        }
    }

    /// How much power cuts have changed.
    pub(crate) fn lost(&self) -> u64 {
        self.disk.as_ref().map_or(0, Disk::lost)
    }

    /// All calls that are on their way take effect.
    pub(crate) fn arrive_all(&self) {
        in_simulated_time(self.on_their_way.arrive_all(&self.objects));
    }

    /// How many calls took effect late.
    pub(crate) fn landed(&self) -> u64 {
        self.on_their_way.landed()
    }

    /// Every object, by its path.
    pub(crate) fn paths(&self) -> Vec<Path> {
        let listed = self.objects.list(None).map_ok(|meta| meta.location).try_collect::<Vec<_>>();
        let mut paths = listed.now_or_never().expect("memory answers at once").expect("memory is listed");
        paths.sort();
        paths
    }

    /// What is stored at `path`.
    pub(crate) fn read(&self, path: &Path) -> Option<Bytes> {
        let read = async { self.objects.get(path).await.ok()?.bytes().await.ok() };
        read.now_or_never().expect("memory answers at once")
    }

    /// Has `bytes` stand at `path`, whatever was there.
    pub(crate) fn overwrite(&self, path: &Path, bytes: Bytes) {
        let put = self.objects.put(path, bytes.into()).now_or_never();
        put.expect("memory answers at once").expect("memory takes it");
    }
}

#[derive(Debug, Clone)]
struct Connection {
    durable: Durable,
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
        self.durable.on_their_way.arrive(&self.store).await;
        let fate = self.fate.call();
        if fate == Call::FailsBefore {
            return Err(timeout());
        }
        let outcome = call.await;
        self.fate.answer().await;
        self.fate.place().await;
        if fate == Call::FailsAfter {
            return Err(timeout());
        }
        if effect == Effect::Adds && outcome.is_ok() {
            self.fate.wrote();
        }
        outcome
    }

    /// Puts an object: on a disk it can be seen, and only then becomes durable.
    async fn put_durably(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let former = self.durable.read(location);
        let put = self.store.put_opts(location, payload, opts).await?;
        if let Some(disk) = &self.durable.disk {
            disk.added(location, former);
            self.fate.place().await;
            if self.fate.call() != Call::Succeeds {
                return Err(timeout());
            }
            disk.sync(location);
        }
        Ok(put)
    }

    async fn remove(&self, location: Path) -> Result<Path> {
        if let Some(after) = self.fate.lands_late() {
            self.durable.on_their_way.send(Sent::Remove(location), after);
            return Err(timeout());
        }
        let removed = async {
            if let (Some(disk), Some(bytes)) = (&self.durable.disk, self.durable.read(&location)) {
                disk.removed(&location, bytes);
            }
            self.store.delete(&location).await
        };
        self.call(Effect::Removes, removed).await.map(|()| location)
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
        if opts.mode == PutMode::Create
            && let Some(after) = self.fate.lands_late()
        {
            self.durable.on_their_way.send(Sent::PutIfAbsent(location.clone(), payload), after);
            return Err(timeout());
        }
        self.call(Effect::Adds, self.put_durably(location, payload, opts)).await
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
            async move { connection.remove(location?).await }
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
