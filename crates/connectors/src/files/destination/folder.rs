//! How it is done in a folder of this machine.
//!
//! ```text
//! <root>/<folders>/<first commit>-<last commit>-<destination>-<n>.<format>    what readers see; the folders are made by `layout`
//! <root>/.tidemark/<destination>/tmp/                                         files being written
//! <root>/.tidemark/<destination>/manifest/                                    what has been committed, see `manifest`
//! ```
//!
//! A unit's files are written and made durable in `tmp`; an entry of the manifest commits them; then they are renamed to
//! where readers find them. A crash between the last two is completed by the next `open`. No visible file is ever
//! changed or removed.
//!
//! A file appears whole. The files of one unit do not appear together: they appear one after another, so a reader may see
//! a commit's changes of one stream before those of another.

use std::{
    fs,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use tidemark_engine::{
    Error, LogId, Result,
    write::{Appetite, Standing, Unit, WriteStrategy},
};
use tokio::task::spawn_blocking;

use super::{
    UNIT_BYTES, UNIT_ROWS, disk, draft::Draft, layout::Layout, manifest::Manifest, names, not_open,
    sealed::Workshop, stands_elsewhere, visible, write,
};
use crate::{config::Writing, files::DestinationConfig};

/// Writes files into a folder of this machine, every change a row.
#[derive(Debug)]
pub(super) struct FolderDestination {
    config: DestinationConfig,
    writing: Writing,
    root: PathBuf,
    layout: Layout,
    /// Taken for the length of an `apply`: after an error only `open` gives it back.
    manifest: Option<Manifest>,
}

impl FolderDestination {
    /// The destination that `config` describes, in the folder `root`. Touches nothing.
    pub(super) fn new(config: &DestinationConfig, root: PathBuf, layout: Layout, writing: Writing) -> Self {
        Self { config: config.clone(), writing, root, layout, manifest: None }
    }

    fn folder(&self) -> Result<PathBuf> {
        Ok(self.root.join(".tidemark").join(names::encode(&self.writing.destination)?))
    }
}

#[async_trait]
impl WriteStrategy for FolderDestination {
    fn appetite(&self) -> Appetite {
        Appetite { rows: UNIT_ROWS, bytes: UNIT_BYTES, linger: self.config.linger.0 }
    }

    async fn open(&mut self, _log: &LogId) -> Result<Option<Standing>> {
        self.manifest = None;
        let (root, folder) = (self.root.clone(), self.folder()?);
        let open = move || {
            let working = folder.join("tmp");
            let mut manifest = Manifest::open(folder.join("manifest"), working.clone())?;
            manifest.take_over()?;
            complete(&root, &working, &manifest)?;
            Ok::<_, Error>(manifest)
        };
        let manifest = spawn_blocking(open).await??;
        let standing = manifest.standing().cloned();
        self.manifest = Some(manifest);
        Ok(standing)
    }

    async fn apply(&mut self, unit: &mut Unit) -> Result<()> {
        let mut manifest = self.manifest.take().ok_or_else(not_open)?;
        if manifest.standing().is_some_and(|standing| standing.position != unit.begin().position) {
            return Err(stands_elsewhere(&self.writing.destination));
        }
        let working = self.folder()?.join("tmp");
        let entry = manifest.newest().map_or((0, 0), |entry| (entry.epoch, entry.number + 1));
        let (workshop, layout) = (Workshop::Folder(working.clone()), self.layout.clone());
        let mut draft = Draft::new(workshop, layout, &self.config, &self.writing, entry, unit);
        let mut next = unit.next().await?;
        while let Some(delivery) = next {
            // The next changes are read while these are written.
            let written = spawn_blocking(move || write(draft, &delivery));
            let (written, following) = tokio::join!(written, unit.next());
            (draft, next) = (written??, following?);
        }
        let (root, end) = (self.root.clone(), unit.end().clone());
        let commit = move || {
            let mut files = draft.finish()?.into_iter().map(|finished| finished.file).collect::<Vec<_>>();
            if !files.is_empty() {
                disk::sync_folder(&working)?;
            }
            files.sort_by(|a, b| a.name.cmp(&b.name));
            visible::check_free(&root, &files)?;
            manifest.commit(end, files.clone())?;
            visible::reveal(&root, &working, &files)?;
            Ok::<_, Error>(manifest)
        };
        self.manifest = Some(spawn_blocking(commit).await??);
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        self.manifest = None;
        Ok(())
    }
}

/// Finishes what a crash interrupted: committed files go to their places, those that can no longer be committed are
/// removed.
pub(super) fn complete(root: &Path, working: &Path, manifest: &Manifest) -> Result<()> {
    let Some(newest) = manifest.newest() else { return Ok(()) };
    for number in newest.revealed + 1..newest.number {
        visible::reveal(root, working, &manifest.read(number)?.files)?;
    }
    for name in disk::names(working)? {
        // The epoch begins each name. What a successor may have made by now is not ours to remove.
        let epoch = name.split('-').next().and_then(|epoch| epoch.parse::<u64>().ok());
        if epoch.is_none_or(|epoch| epoch < newest.epoch) {
            // A predecessor that is still running may be quicker.
            let _ = fs::remove_file(working.join(name));
        }
    }
    Ok(())
}
