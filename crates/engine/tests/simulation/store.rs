//! An object store in memory whose calls fail before or after they took effect, and at which a process may die.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use futures::{StreamExt, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, memory::InMemory, path::Path,
};

use crate::fate::{Call, Fate};

/// The store itself, which outlives processes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Durable(Arc<InMemory>);

impl Durable {
    /// The store as one process sees it.
    pub(crate) fn connect(&self, fate: &Fate) -> Arc<dyn ObjectStore> {
        Arc::new(Connection { store: self.0.clone(), fate: fate.clone() })
    }
}

#[derive(Debug)]
struct Connection {
    store: Arc<InMemory>,
    fate: Fate,
}

impl Connection {
    /// Makes a call, as fate will have it.
    async fn call<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.fate.place().await;
        let fate = self.fate.call();
        if fate == Call::FailsBefore {
            return Err(timeout());
        }
        let outcome = call.await;
        self.fate.place().await;
        if fate == Call::FailsAfter { Err(timeout()) } else { outcome }
    }
}

fn timeout() -> object_store::Error {
    object_store::Error::Generic { store: "simulation", source: "the connection timed out".into() }
}

#[async_trait]
impl ObjectStore for Connection {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.call(self.store.put_opts(location, payload, opts)).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.call(self.store.put_multipart_opts(path, opts)).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.call(self.store.get_opts(location, options)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let fate = self.fate.clone();
        let may_fail = locations.map(move |location| match fate.call() {
            Call::FailsBefore => Err(timeout()),
            _ => location,
        });
        self.store.delete_stream(may_fail.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        if self.fate.call() == Call::FailsBefore {
            return futures::stream::once(async { Err(timeout()) }).boxed();
        }
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.call(self.store.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.call(self.store.copy_opts(from, to, options)).await
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("simulation")
    }
}
