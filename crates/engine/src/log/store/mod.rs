//! Where a log's objects live: any object store, and a local folder as the special case that needs fsync. What it keeps may be
//! encrypted, see `vault`.

mod vault;

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{
    ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, local::LocalFileSystem, memory::InMemory,
    path::Path,
};

pub use vault::{KeyId, MasterKey, MasterKeys};

use crate::{Error, ErrorKind, Result};
use vault::Vault;

/// An object store that holds one log.
#[derive(Debug, Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    local: Option<PathBuf>,
    description: Arc<str>,
    /// What everything in it is encrypted with.
    vault: Option<Arc<Vault>>,
}

/// What became of a put-if-absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Created {
    /// The object is there, durable, and ours.
    Yes,
    /// Somebody's object was there before, possibly our own from an attempt that seemed to fail.
    Exists,
}

impl Store {
    /// A folder of this machine, made when absent. Every write is durable (fsync of file and folder) when it returns.
    pub fn local(folder: impl Into<PathBuf>) -> Result<Self> {
        let folder = folder.into();
        let open = || -> Result<_, Box<dyn std::error::Error + Send + Sync>> {
            create_durably(&folder)?;
            let folder = folder.canonicalize()?;
            let objects = LocalFileSystem::new_with_prefix(&folder)?.with_fsync(true);
            Ok((folder, objects))
        };
        let description = folder.display().to_string();
        let (folder, objects) = open().map_err(|error| {
            Error::unavailable(format!("cannot open the staging folder `{description}`"))
                .hint("check the path under `staging` and that this user may write there")
                .source(error)
        })?;
        Ok(Self { local: Some(folder), ..Self::new(Arc::new(objects), description) })
    }

    /// Memory: gone with the process.
    pub fn memory() -> Self {
        Self::new(Arc::new(InMemory::new()), "memory")
    }

    /// Any object store that has put-if-absent. `description` names it in messages; it holds no secret.
    pub fn new(objects: Arc<dyn ObjectStore>, description: impl Into<Arc<str>>) -> Self {
        Self { objects, local: None, description: description.into(), vault: None }
    }

    /// What messages call it.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The folder, where it is one.
    pub(super) fn local_folder(&self) -> Option<&PathBuf> {
        self.local.as_ref()
    }

    /// The object at `path`; `None` when there is none.
    pub(crate) async fn get(&self, path: &Path) -> Result<Option<Bytes>> {
        match self.get_stored(path).await? {
            Some(object) => self.open(path, object).await.map(Some),
            None => Ok(None),
        }
    }

    /// The same as it is stored.
    async fn get_stored(&self, path: &Path) -> Result<Option<Bytes>> {
        let found = async { self.objects.get(path).await?.bytes().await };
        match found.await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.error("read", path, error)),
        }
    }

    /// Puts `bytes` at `path` unless there is an object. Returns once it is durable.
    ///
    /// An error of kind [`ErrorKind::Unavailable`] leaves open whether the object is there now. An fsync that failed is
    /// [`ErrorKind::Internal`] and must not be tried again: the system may have dropped what it could not write.
    pub(crate) async fn create(&self, path: &Path, bytes: Bytes) -> Result<Created> {
        self.create_stored(path, self.seal(path, bytes).await?).await
    }

    /// The same for what is stored as it is.
    async fn create_stored(&self, path: &Path, bytes: Bytes) -> Result<Created> {
        let options = PutOptions::from(PutMode::Create);
        match self.objects.put_opts(path, PutPayload::from_bytes(bytes), options).await {
            Ok(_) => Ok(Created::Yes),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Ok(Created::Exists)
            }
            // When the folder of a new link cannot be synced, the library calls it a rename that failed.
            Err(error) if format!("{error:?}").contains("UnableToRenameFile") && self.has_file(path) => {
                Err(durability_lost(path).source(error))
            }
            Err(error) => Err(self.error("write", path, error)),
        }
    }

    fn has_file(&self, path: &Path) -> bool {
        self.local.as_ref().is_some_and(|root| root.join(path.as_ref()).exists())
    }

    /// Puts `bytes` at `path`, in the place of what may be there. Returns once it is durable; readers see the one or the other.
    pub(crate) async fn replace(&self, path: &Path, bytes: Bytes) -> Result<()> {
        self.replace_stored(path, self.seal(path, bytes).await?).await
    }

    async fn replace_stored(&self, path: &Path, bytes: Bytes) -> Result<()> {
        match self.objects.put(path, PutPayload::from_bytes(bytes)).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.error("write", path, error)),
        }
    }

    /// Removes the object at `path`; it is no error when there is none.
    pub(crate) async fn delete(&self, path: &Path) -> Result<()> {
        match self.objects.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.error("delete", path, error)),
        }
    }

    /// The folders directly under `prefix`, in no order.
    pub(super) async fn folders(&self, prefix: &Path) -> Result<Vec<Path>> {
        let listing = self.objects.list_with_delimiter(Some(prefix)).await;
        listing.map(|listing| listing.common_prefixes).map_err(|error| self.error("list", prefix, error))
    }

    /// The objects under `prefix`, in no order.
    pub(crate) async fn objects(&self, prefix: &Path) -> Result<Vec<Path>> {
        let listing = self.objects.list(Some(prefix)).map_ok(|meta| meta.location).try_collect().await;
        listing.map_err(|error| self.error("list", prefix, error))
    }

    /// Makes an object durable that this process found but did not write: another's put is visible before it is
    /// durable on a local folder, and durable at once elsewhere.
    pub(super) async fn settle(&self, path: &Path) -> Result<()> {
        let Some(root) = &self.local else { return Ok(()) };
        let file = root.join(path.as_ref());
        let sync = move || {
            std::fs::File::open(&file)?.sync_all()?;
            file.parent().map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
        };
        let synced = tokio::task::spawn_blocking(sync).await?;
        synced.map_err(|error| durability_lost(path).source(error))
    }

    fn error(&self, verb: &str, path: &Path, error: object_store::Error) -> Error {
        // The library keeps this error to itself; its debug form is the only place that names it.
        if format!("{error:?}").contains("UnableToSyncFile") {
            return durability_lost(path).source(error);
        }
        let (kind, hint) = reaction(&error);
        let error =
            Error::new(kind, format!("cannot {verb} `{path}` in `{}`", self.description)).source(error);
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

fn durability_lost(path: &Path) -> Error {
    Error::internal(format!("the system could not make `{path}` durable (fsync failed)"))
        .hint("check the disk, then start again: Tidemark reads back what did arrive")
}

/// What an error of the store asks for.
fn reaction(error: &object_store::Error) -> (ErrorKind, Option<&'static str>) {
    use std::io::ErrorKind::{
        InvalidFilename, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull,
    };

    const DENIED: Option<&str> = Some("grant this user the right to read and write the staging store");
    match error {
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            return (ErrorKind::Denied, DENIED);
        }
        object_store::Error::NotSupported { .. }
        | object_store::Error::NotImplemented { .. }
        | object_store::Error::InvalidPath { .. } => return (ErrorKind::Config, None),
        _ => {}
    }
    match io_cause(error) {
        Some(PermissionDenied | ReadOnlyFilesystem) => (ErrorKind::Denied, DENIED),
        Some(StorageFull | QuotaExceeded) => {
            (ErrorKind::Unavailable, Some("free space on the disk: Tidemark goes on by itself"))
        }
        Some(InvalidFilename) => (ErrorKind::Config, Some("give the stream a shorter name")),
        _ => (ErrorKind::Unavailable, None),
    }
}

/// The system's own error at the bottom, where there is one.
fn io_cause(error: &(dyn std::error::Error + 'static)) -> Option<std::io::ErrorKind> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        cause = error.source();
    }
    None
}

/// Makes `folder` and those it is in, each durable in the one above.
fn create_durably(folder: &std::path::Path) -> std::io::Result<()> {
    let made: Vec<_> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    std::fs::create_dir_all(folder)?;
    for folder in made {
        let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
        std::fs::File::open(parent.unwrap_or(".".as_ref()))?.sync_all()?;
    }
    Ok(())
}
