//! Where a log's objects live: any object store, and a local folder as the special case that needs fsync. What it keeps may be
//! encrypted, see `vault`.

mod placing;
mod probe;
mod reaction;
mod settling;
mod vault;

use std::{
    path::{Path as FilePath, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{
    ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, local::LocalFileSystem, memory::InMemory,
    path::Path,
};

use tokio::sync::watch;

pub use placing::Placed;
pub(super) use reaction::reaction_to;
pub use settling::Settle;
#[cfg(feature = "fuzzing")]
pub use vault::open_encrypted;
pub use vault::{KeyId, MasterKey, MasterKeys};

use super::{
    Trouble,
    folder::Folder,
    health::{Doing, Health},
};
use crate::{Error, ErrorKind, Result, world::World};
use reaction::{GRANT, Reaction, io_cause};
use vault::Vault;

/// An object store that holds one log, or what a destination keeps there.
#[derive(Debug, Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    local: Option<Arc<Folder>>,
    /// Where objects can be seen before they are durable.
    settle: Option<Arc<dyn Settle>>,
    description: Arc<str>,
    /// Whether it is of a kind that need not be probed.
    is_known: bool,
    health: Arc<Health>,
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
        let description = folder.display().to_string();
        let cannot = |error: std::io::Error| {
            let (kind, hint) = reaction_to(error.kind());
            Error::new(kind, format!("cannot open the staging folder `{description}`"))
                .hint(hint.unwrap_or("check the path under `staging` and that this user may write there"))
                .source(error)
        };
        let folder = Folder::open_or_create(&folder).map_err(cannot)?;
        let objects = LocalFileSystem::new_with_prefix(folder.path())
            .map_err(|error| cannot(std::io::Error::other(error)))?
            .with_fsync(true);
        let folder = Arc::new(folder);
        Ok(Self {
            local: Some(folder.clone()),
            settle: Some(folder),
            is_known: true,
            ..Self::new(Arc::new(objects), description)
        })
    }

    /// Memory: gone with the process.
    pub fn memory() -> Self {
        Self { is_known: true, ..Self::new(Arc::new(InMemory::new()), "memory") }
    }

    /// Any object store that has put-if-absent, which [`probe`](Self::probe) tells. `description` names it in messages; it holds no secret.
    pub fn new(objects: Arc<dyn ObjectStore>, description: impl Into<Arc<str>>) -> Self {
        Self {
            objects,
            local: None,
            settle: None,
            description: description.into(),
            is_known: false,
            health: Arc::default(),
            vault: None,
        }
    }

    /// What messages call it.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The folder, where it is one.
    pub(super) fn local_folder(&self) -> Option<&FilePath> {
        self.local.as_deref().map(Folder::path)
    }

    /// Times every call from now on: a log is opened in it.
    pub(super) fn attend(&self, world: &World) {
        self.health.attend(world);
    }

    /// Notes that this process may write to it. What is denied from now on has been taken away meanwhile, by a disk that became
    /// read-only or a right that was withdrawn, and is waited for like any other outage.
    pub(super) fn is_writable(&self) {
        self.health.wrote();
    }

    /// What is wrong with it now, as far as this process knows.
    pub fn trouble(&self) -> watch::Receiver<Option<Trouble>> {
        self.health.trouble()
    }

    /// Removes what processes that died had begun to write; returns how many objects.
    pub(super) async fn remove_torn(&self, world: &World) -> Result<usize> {
        let Some(folder) = self.local.clone() else { return Ok(0) };
        let world = world.clone();
        let removed = tokio::task::spawn_blocking(move || folder.remove_torn(&world)).await?;
        removed.map_err(|error| {
            Error::unavailable(format!("cannot tidy up in the staging folder `{}`", self.description))
                .source(error)
        })
    }

    /// The object at `path`; `None` when there is none.
    pub async fn get(&self, path: &Path) -> Result<Option<Bytes>> {
        match self.get_stored(path).await? {
            Some(object) => self.decrypt(path, object).await.map(Some),
            None => Ok(None),
        }
    }

    /// The same as it is stored.
    async fn get_stored(&self, path: &Path) -> Result<Option<Bytes>> {
        let found = async { self.objects.get(path).await?.bytes().await };
        match self.call(Doing::Reading, "read", path, found).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error @ object_store::Error::NotFound { .. }) if !reaction::misses_bucket(&error) => {
                self.check_there().await.map(|()| None)
            }
            Err(error) => Err(self.error(Doing::Reading, "read", path, error)),
        }
    }

    /// Puts `bytes` at `path` unless there is an object. Returns once it is durable.
    ///
    /// An error of kind [`ErrorKind::Unavailable`] leaves open whether the object is there now. An fsync that failed is
    /// [`ErrorKind::Internal`] and must not be tried again: the system may have dropped what it could not write.
    pub(crate) async fn create(&self, path: &Path, bytes: Bytes) -> Result<Created> {
        self.create_stored(path, self.encrypt(path, bytes).await?).await
    }

    /// The same for what is stored as it is.
    async fn create_stored(&self, path: &Path, bytes: Bytes) -> Result<Created> {
        self.check_there().await?;
        let options = PutOptions::from(PutMode::Create);
        let put = self.objects.put_opts(path, PutPayload::from_bytes(bytes), options);
        let created = match self.call(Doing::Writing, "write", path, put).await {
            Ok(_) => Created::Yes,
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Created::Exists
            }
            // When the folder of a new link cannot be synced, the library calls it a rename that failed.
            Err(error) if format!("{error:?}").contains("UnableToRenameFile") && self.has_file(path) => {
                return Err(durability_lost(path).source(error));
            }
            Err(error) => return Err(self.error(Doing::Writing, "write", path, error)),
        };
        self.check_there().await?;
        self.is_writable();
        Ok(created)
    }

    fn has_file(&self, path: &Path) -> bool {
        self.local_folder().is_some_and(|root| root.join(path.as_ref()).exists())
    }

    /// Puts `bytes` at `path`, in the place of what may be there. Returns once it is durable; readers see the one or the other.
    pub(crate) async fn replace(&self, path: &Path, bytes: Bytes) -> Result<()> {
        self.replace_stored(path, self.encrypt(path, bytes).await?).await
    }

    async fn replace_stored(&self, path: &Path, bytes: Bytes) -> Result<()> {
        self.check_there().await?;
        let put = self.objects.put(path, PutPayload::from_bytes(bytes));
        match self.call(Doing::Writing, "write", path, put).await {
            Ok(_) => {
                self.check_there().await?;
                self.is_writable();
                Ok(())
            }
            Err(error) => Err(self.error(Doing::Writing, "write", path, error)),
        }
    }

    /// Removes the object at `path`; it is no error when there is none.
    pub async fn delete(&self, path: &Path) -> Result<()> {
        self.check_there().await?;
        match self.call(Doing::Removing, "delete", path, self.objects.delete(path)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.error(Doing::Removing, "delete", path, error)),
        }
    }

    /// The folders directly under `prefix`, in no order.
    pub async fn folders(&self, prefix: &Path) -> Result<Vec<Path>> {
        let listing = self.objects.list_with_delimiter(Some(prefix));
        let listing = self.call(Doing::Reading, "list", prefix, listing).await;
        let listing = listing.map_err(|error| self.error(Doing::Reading, "list", prefix, error))?;
        self.check_there().await?;
        Ok(listing.common_prefixes)
    }

    /// The objects under `prefix`, in no order.
    pub async fn objects(&self, prefix: &Path) -> Result<Vec<Path>> {
        let listing = self.objects.list(Some(prefix)).map_ok(|meta| meta.location).try_collect();
        let listing: object_store::Result<Vec<_>> = self.call(Doing::Reading, "list", prefix, listing).await;
        let listing = listing.map_err(|error| self.error(Doing::Reading, "list", prefix, error))?;
        self.check_there().await?;
        Ok(listing)
    }

    /// Makes a call, timed.
    async fn call<T>(
        &self,
        doing: Doing,
        verb: &str,
        path: &Path,
        call: impl Future<Output = object_store::Result<T>>,
    ) -> object_store::Result<T> {
        let what = || format!("cannot {verb} `{path}` in `{}` so far", self.description);
        let outcome = self.health.time(doing, what, call).await;
        if outcome.as_ref().err().is_none_or(is_an_answer) {
            self.health.worked(doing);
        }
        outcome
    }

    /// Fails when the folder that was opened is not there any more, or another one is in its place: what was found missing may
    /// not be missing, and what was written is in another place.
    async fn check_there(&self) -> Result<()> {
        let Some(folder) = self.local.clone() else { return Ok(()) };
        let checked = tokio::task::spawn_blocking(move || folder.check_there()).await?;
        checked.inspect_err(|error| self.health.failed(Doing::Writing, error))
    }

    fn error(&self, doing: Doing, verb: &str, path: &Path, error: object_store::Error) -> Error {
        if is_failed_sync(path, &error) {
            return durability_lost(path).source(error);
        }
        let finds_its_place = verb == "read" || self.local.is_some();
        let Reaction { mut kind, mut hint, said } = Reaction::to(&error, finds_its_place);
        // Only a right can be given back from outside: credentials that have run out stay so, for they were read once.
        if kind == ErrorKind::Denied && hint == Some(GRANT) && self.health.has_written() {
            (kind, hint) = (ErrorKind::Unavailable, Some(TAKEN_AWAY));
        }
        let place = Error::new(kind, format!("cannot {verb} `{path}` in `{}`", self.description));
        let error = match said {
            Some(said) => place.source(said),
            None => place.source(error),
        };
        let error = match hint {
            Some(hint) => error.hint(hint),
            None => error,
        };
        self.health.failed(doing, &error);
        error
    }
}

const TAKEN_AWAY: &str = "make the store writable for this user again: Tidemark goes on by itself";

/// Whether an fsync failed, so that nobody can tell what the disk has. Where there was no room for a file that has not got its
/// name yet, it can: that file is gone, and all of it is written again. (Some file systems, NFS among them, find out so late.)
fn is_failed_sync(path: &Path, error: &object_store::Error) -> bool {
    // The library keeps this error to itself; its debug form is the only place that names it.
    let text = format!("{error:?}");
    let is_unnamed = path.filename().is_some_and(|name| text.contains(&format!("{name}#")));
    let is_full =
        matches!(io_cause(error), Some(std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded));
    text.contains("UnableToSyncFile") && !(is_full && is_unnamed)
}

fn durability_lost(path: &Path) -> Error {
    Error::internal(format!("the system could not make `{path}` durable (fsync failed)"))
        .hint("check the disk, then start again: Tidemark reads back what did arrive")
}

/// Whether the store did what it was asked to: it looked.
fn is_an_answer(error: &object_store::Error) -> bool {
    use object_store::Error::{AlreadyExists, NotFound, Precondition};

    matches!(error, NotFound { .. } | AlreadyExists { .. } | Precondition { .. })
}

#[cfg(test)]
mod tests {
    use std::{io, path::PathBuf};

    use super::{reaction::FULL, *};

    /// As the library has it, which keeps its own to itself.
    #[derive(Debug)]
    enum Library {
        UnableToSyncFile { source: io::Error, path: PathBuf },
        UnableToCopyDataToFile { source: io::Error },
    }

    impl std::fmt::Display for Library {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            match self {
                Self::UnableToSyncFile { path, .. } => write!(f, "cannot sync {}", path.display()),
                Self::UnableToCopyDataToFile { .. } => f.write_str("cannot copy"),
            }
        }
    }

    impl std::error::Error for Library {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            let (Self::UnableToSyncFile { source, .. } | Self::UnableToCopyDataToFile { source }) = self;
            Some(source)
        }
    }

    fn error_of(store: &Store, error: Library) -> Error {
        let error = object_store::Error::Generic { store: "library", source: Box::new(error) };
        store.error(Doing::Writing, "write", &Path::from("log/7"), error)
    }

    const ENOSPC: i32 = 28;
    const EDQUOT: i32 = 122;
    const EIO: i32 = 5;
    const EROFS: i32 = 30;
    const EACCES: i32 = 13;

    #[test]
    fn what_the_system_says_decides() {
        let store = Store::memory();
        let kind = |code: i32| {
            let error = error_of(
                &store,
                Library::UnableToCopyDataToFile { source: io::Error::from_raw_os_error(code) },
            );
            (error.kind(), error.hint_text().map(str::to_owned))
        };
        for code in [ENOSPC, EDQUOT] {
            assert_eq!(kind(code), (ErrorKind::Unavailable, Some(FULL.to_owned())));
        }
        assert_eq!(kind(EIO).0, ErrorKind::Unavailable);
        for code in [EROFS, EACCES] {
            assert_eq!(kind(code), (ErrorKind::Denied, Some(GRANT.to_owned())));
        }
        store.is_writable();
        for code in [EROFS, EACCES] {
            assert_eq!(kind(code), (ErrorKind::Unavailable, Some(TAKEN_AWAY.to_owned())));
        }
    }

    #[test]
    fn credentials_that_have_run_out_are_not_waited_for() {
        let store = Store::memory();
        store.is_writable();
        let error = |code: &str| {
            let answer = format!("Server returned non-2xx status code: 400 Bad Request: <Code>{code}</Code>");
            let error = object_store::Error::Generic { store: "S3", source: answer.into() };
            store.error(Doing::Writing, "write", &Path::from("log/7"), error)
        };
        for (code, word) in [("ExpiredToken", "renew the credentials"), ("RequestTimeTooSkewed", "clock")] {
            assert_eq!(error(code).kind(), ErrorKind::Denied, "{code}");
            assert!(error(code).hint_text().unwrap().contains(word), "{code}");
        }
        assert_eq!(error("AccessDenied").hint_text(), Some(TAKEN_AWAY));
    }

    #[test]
    fn a_failed_fsync_is_fatal_unless_there_was_no_room_for_a_file_without_its_name() {
        let kind = |code: i32, path: &str| {
            let source = io::Error::from_raw_os_error(code);
            error_of(&Store::memory(), Library::UnableToSyncFile { source, path: path.into() }).kind()
        };
        for code in [ENOSPC, EDQUOT] {
            assert_eq!(kind(code, "/staging/log/7#1"), ErrorKind::Unavailable);
            assert_eq!(kind(code, "/staging/log"), ErrorKind::Internal, "the folder's own");
        }
        for code in [EIO, EROFS] {
            assert_eq!(kind(code, "/staging/log/7#1"), ErrorKind::Internal);
        }
    }
}
