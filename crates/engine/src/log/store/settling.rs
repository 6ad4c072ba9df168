//! Making durable what this process found but did not write.

use std::{fmt, fs::File, sync::Arc};

use async_trait::async_trait;
use object_store::path::Path;

use super::{Store, durability_lost};
use crate::{Error, Result, log::folder::Folder};

/// A store whose objects can be seen before they are durable: on a disk, a name is there before its folder is synced.
#[async_trait]
pub trait Settle: fmt::Debug + Send + Sync + 'static {
    /// Makes the object at `path` durable, what it holds and its name.
    ///
    /// Fails with [`crate::ErrorKind::Unavailable`] when it cannot be opened, and with [`crate::ErrorKind::Internal`] when nobody can
    /// tell whether it is durable.
    async fn settle(&self, path: &Path) -> Result<()>;
}

impl Store {
    /// The same store, whose objects `settle` makes durable that another process has put.
    #[must_use]
    pub fn settled_by(self, settle: Arc<dyn Settle>) -> Self {
        Self { settle: Some(settle), ..self }
    }

    /// Makes an object durable that this process found but did not write: another's put is visible before it is
    /// durable on a local folder, and durable at once elsewhere.
    pub(in crate::log) async fn settle(&self, path: &Path) -> Result<()> {
        match &self.settle {
            Some(settle) => settle.settle(path).await,
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Settle for Folder {
    async fn settle(&self, path: &Path) -> Result<()> {
        let file = self.path().join(path.as_ref());
        let open = move || {
            let folder = file.parent().map(File::open).transpose()?;
            Ok((File::open(&file)?, folder))
        };
        let opened: std::io::Result<_> = tokio::task::spawn_blocking(open).await?;
        let (file, folder) = opened.map_err(|error| {
            let message = format!("cannot open `{path}` in `{}` again", self.path().display());
            Error::unavailable(message).source(error)
        })?;
        let sync = move || {
            file.sync_all()?;
            folder.map_or(Ok(()), |folder| folder.sync_all())
        };
        let synced = tokio::task::spawn_blocking(sync).await?;
        synced.map_err(|error| durability_lost(path).source(error))
    }
}
