//! The chain of entries that says what has been written: as in a folder of this machine, each entry an object that is put if absent.

use object_store::path::Path;
use tidemark_engine::{
    Digest, Error, Result,
    log::{Placed, Store},
    write::Standing,
};

use crate::files::destination::entry::{self, DataFile, Entry};

/// The chain, as far as this process knows it.
#[derive(Debug)]
pub(super) struct Chain {
    store: Store,
    /// Its own folder, from the store's root.
    folder: String,
    writer: String,
    newest: Option<(Entry, Digest)>,
}

impl Chain {
    /// Finds the newest entry of the destination that keeps its objects in `folder` of `store`.
    pub(super) async fn open(store: &Store, folder: &str) -> Result<Self> {
        let (store, folder) = (store.clone(), format!("{folder}/manifest"));
        let mut chain = Self { store, folder, writer: entry::writer(), newest: None };
        chain.refresh().await?;
        Ok(chain)
    }

    /// The newest entry.
    pub(super) fn newest(&self) -> Option<&Entry> {
        self.newest.as_ref().map(|(entry, _)| entry)
    }

    /// Where the destination stands.
    pub(super) fn standing(&self) -> Option<&Standing> {
        self.newest()?.standing.as_ref()
    }

    /// Raises the epoch, so that no other process can put an entry any more.
    pub(super) async fn take_over(&mut self) -> Result<()> {
        loop {
            let newest = self.newest().cloned();
            let (epoch, revealed) = newest.as_ref().map_or((0, 0), |entry| (entry.epoch, entry.revealed));
            let standing = newest.and_then(|entry| entry.standing);
            if self.put(epoch + 1, standing, revealed, Vec::new()).await? {
                return Ok(());
            }
            // Another process was quicker; whoever comes last has the destination.
            self.refresh().await?;
        }
    }

    /// Commits a unit of `files` that leads to `standing`. Those of all entries before are where readers find them.
    pub(super) async fn commit(&mut self, standing: Standing, files: Vec<DataFile>) -> Result<()> {
        let (epoch, number) = self.newest().map_or((1, 0), |entry| (entry.epoch, entry.number));
        if self.put(epoch, Some(standing), number, files).await? {
            return Ok(());
        }
        Err(entry::taken_over())
    }

    /// The entry `number`, verified.
    pub(super) async fn read(&self, number: u64) -> Result<Entry> {
        Ok(self.read_hashed(number).await?.0)
    }

    async fn refresh(&mut self) -> Result<()> {
        let folders = self.store.folders(&self.path("")?).await?;
        let Some(newest) = folders.iter().max() else { return Ok(()) };
        let names = self.store.objects(newest).await?;
        let name = names.iter().max().and_then(|path| path.filename().map(str::to_owned));
        let Some(name) = name else { return Ok(()) };
        let number = name.parse::<u64>().ok().filter(|number| *number > 0);
        let number = number.ok_or_else(|| entry::foreign(newest.as_ref()))?;
        let (found, hash) = self.read_hashed(number).await?;
        if number > 1 && self.read_hashed(number - 1).await?.1 != found.previous {
            return Err(self.damaged(number));
        }
        self.newest = Some((found, hash));
        Ok(())
    }

    /// Puts the next entry; `false` when another stands in its place.
    async fn put(
        &mut self,
        epoch: u64,
        standing: Option<Standing>,
        revealed: u64,
        files: Vec<DataFile>,
    ) -> Result<bool> {
        let (number, previous) =
            self.newest.as_ref().map_or((1, Digest::ZERO), |(entry, hash)| (entry.number + 1, *hash));
        let writer = self.writer.clone();
        let next = Entry { number, previous, epoch, writer, standing, revealed, files };
        let (content, hash) = next.encode()?;
        match self.store.place(&self.path(&entry::path(number))?, content.into()).await? {
            Placed::Ours => {
                self.newest = Some((next, hash));
                Ok(true)
            }
            Placed::Theirs(_) => Ok(false),
        }
    }

    async fn read_hashed(&self, number: u64) -> Result<(Entry, Digest)> {
        let path = self.path(&entry::path(number))?;
        let content = self.store.get(&path).await?.ok_or_else(|| self.damaged(number))?;
        let (found, hash) = Entry::decode(&content, &self.shown(number))?;
        if found.number == number { Ok((found, hash)) } else { Err(self.damaged(number)) }
    }

    fn path(&self, name: &str) -> Result<Path> {
        let path = format!("{}/{name}", self.folder);
        Path::parse(path.trim_end_matches('/'))
            .map_err(|error| Error::internal("a manifest entry has no sound name").source(error))
    }

    fn shown(&self, number: u64) -> String {
        format!("{}/{}/{}", self.store.description(), self.folder, entry::path(number))
    }

    fn damaged(&self, number: u64) -> Error {
        entry::damaged(&self.shown(number))
    }
}
