//! Changes into files of a folder that only ever holds complete ones, each change in exactly one of them.
//!
//! ```text
//! <path>/<stream>/<first commit>-<last commit>-<destination>-<n>.<format>    what readers see
//! <path>/.tidemark/<destination>/tmp/                                        files being written
//! <path>/.tidemark/<destination>/manifest/                                   what has been committed, see `manifest`
//! ```
//!
//! A unit's files are written and made durable in `tmp`; an entry of the manifest commits them; then they are renamed to
//! where readers find them. A crash between the last two is completed by the next `open`. No visible file is ever
//! changed or removed.
//!
//! A file appears whole. The files of one unit do not appear together: they appear one after another, so a reader may see
//! a commit's changes of one stream before those of another.

mod check;
mod disk;
mod draft;
mod encoder;
mod manifest;
mod names;
mod sealed;
mod visible;

#[cfg(test)]
mod tests;

use std::{
    fs,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use tidemark_engine::{
    Error, ErrorKind, LogId, Result,
    write::{Appetite, Delivery, Standing, Unit, WriteStrategy},
};
use tokio::task::spawn_blocking;

use self::{draft::Draft, manifest::Manifest};
use super::DestinationConfig;
use crate::config::Writing;

/// Files like to be large: a unit is read up to this before it is written.
const UNIT_ROWS: u64 = 2_000_000;
const UNIT_BYTES: u64 = 256 << 20;

/// Writes files into a folder, one sub-folder a stream, every change a row.
#[derive(Debug)]
pub struct Destination {
    config: DestinationConfig,
    writing: Writing,
    root: PathBuf,
    /// Taken for the length of an `apply`: after an error only `open` gives it back.
    manifest: Option<Manifest>,
}

impl Destination {
    /// The destination that `config` describes, where a relative path begins at `base`. Touches nothing.
    pub fn new(config: &DestinationConfig, base: &Path, writing: Writing) -> Self {
        Self { root: base.join(&config.path), config: config.clone(), writing, manifest: None }
    }

    /// Everything that would keep [`WriteStrategy::open`] from succeeding. Leaves nothing behind.
    pub async fn check(config: &DestinationConfig, base: &Path, writing: &Writing) -> Vec<Error> {
        let root = base.join(&config.path);
        let name = names::data_file((1, 1), &writing.destination, 0, "parquet");
        let mut errors = name.err().into_iter().collect::<Vec<_>>();
        match spawn_blocking(move || check::check(&root)).await {
            Ok(found) => errors.extend(found),
            Err(error) => errors.push(error.into()),
        }
        errors
    }

    fn folder(&self) -> Result<PathBuf> {
        Ok(self.root.join(".tidemark").join(names::encode(&self.writing.destination)?))
    }
}

#[async_trait]
impl WriteStrategy for Destination {
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
        let not_open = || Error::internal("`apply` was called before `open`");
        let mut manifest = self.manifest.take().ok_or_else(not_open)?;
        if manifest.standing().is_some_and(|standing| standing.position != unit.begin().position) {
            let name = &self.writing.destination;
            return Err(Error::conflict(format!(
                "destination `{name}` stands elsewhere than the unit begins"
            )));
        }
        let working = self.folder()?.join("tmp");
        let (epoch, number) = manifest.newest().map_or((0, 0), |entry| (entry.epoch, entry.number + 1));
        let prefix = format!("{epoch}-{number}");
        let mut draft = Draft::new(working.clone(), &self.config, &self.writing, prefix, unit);
        let mut next = unit.next().await?;
        while let Some(delivery) = next {
            // The next changes are read while these are written.
            let written = spawn_blocking(move || write(draft, &delivery));
            let (written, following) = tokio::join!(written, unit.next());
            (draft, next) = (written??, following?);
        }
        let (root, end) = (self.root.clone(), unit.end().clone());
        let commit = move || {
            let files = draft.finish()?;
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

/// Adds `delivery` to `draft`. What cannot be written of a stream is no matter of the others.
fn write(mut draft: Draft, delivery: &Delivery) -> Result<Draft> {
    let stream = delivery.changes.schema().stream();
    match draft.write(delivery) {
        Ok(()) => Ok(draft),
        Err(error) if matches!(error.kind(), ErrorKind::Config | ErrorKind::Data) => {
            Err(error.of_stream(stream))
        }
        Err(error) => Err(error),
    }
}

/// Finishes what a crash interrupted: committed files go to their places, those that can no longer be committed are
/// removed.
fn complete(root: &Path, working: &Path, manifest: &Manifest) -> Result<()> {
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
