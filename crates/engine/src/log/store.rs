//! Where a log's objects live: any object store, and a local folder as the special case that needs fsync.

mod placing;
mod probe;
mod reaction;

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{
    ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, local::LocalFileSystem, memory::InMemory,
    path::Path,
};

pub(crate) use placing::Placed;
use reaction::Reaction;

use crate::{Error, Result};

/// An object store that holds one log.
#[derive(Debug, Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    local: Option<PathBuf>,
    /// Whether it is of a kind that need not be probed.
    is_known: bool,
    description: Arc<str>,
}

/// What became of a put-if-absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Created {
    /// The object is there, durable, and ours.
    Yes,
    /// Somebody's object was there before, possibly our own from an attempt that seemed to fail: see [`Store::place`].
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
        Ok(Self {
            objects: Arc::new(objects),
            local: Some(folder),
            is_known: true,
            description: description.into(),
        })
    }

    /// Memory: gone with the process.
    pub fn memory() -> Self {
        Self { is_known: true, ..Self::new(Arc::new(InMemory::new()), "memory") }
    }

    /// Any object store that has put-if-absent, which [`probe`](Self::probe) tells. `description` names it in messages; it holds no secret.
    pub fn new(objects: Arc<dyn ObjectStore>, description: impl Into<Arc<str>>) -> Self {
        Self { objects, local: None, is_known: false, description: description.into() }
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
        let found = async { self.objects.get(path).await?.bytes().await };
        match found.await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error @ object_store::Error::NotFound { .. }) if !reaction::misses_bucket(&error) => Ok(None),
            Err(error) => Err(self.error("read", path, error)),
        }
    }

    /// Puts `bytes` at `path` unless there is an object. Returns once it is durable.
    ///
    /// An error of kind [`crate::ErrorKind::Unavailable`] leaves open whether the object is there now. An fsync that failed is
    /// [`crate::ErrorKind::Internal`] and must not be tried again: the system may have dropped what it could not write.
    pub(crate) async fn create(&self, path: &Path, bytes: Bytes) -> Result<Created> {
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
        let Reaction { kind, hint, said } = Reaction::to(&error, verb == "read");
        let place = Error::new(kind, format!("cannot {verb} `{path}` in `{}`", self.description));
        let error = match said {
            Some(said) => place.source(said),
            None => place.source(error),
        };
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
