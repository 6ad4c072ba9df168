//! Objects on their way: out of sight until they are committed, then where readers find them.

use std::{
    fs::File,
    io::{self, Read, Seek},
    sync::Arc,
};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use tidemark_engine::{
    Digest, Error, Result,
    log::{Placed, Store},
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    task::spawn_blocking,
};

use super::chain::Chain;
use crate::files::destination::{draft::Finished, entry::DataFile, visible};

/// How many objects are on their way at once, and how many MiB of them together: each is held in memory as long.
const AT_ONCE: usize = 16;
const MEMORY: u32 = 32;
/// Of how many files of a unit the content is kept here until they are shown. That of others is fetched again.
const KEPT: usize = 200;

/// The objects of a unit.
pub(super) struct Staged<'a> {
    ways: Ways<'a>,
    files: Vec<DataFile>,
    /// What the first of them hold.
    contents: Vec<Arc<File>>,
}

/// The ways of an object of one destination.
struct Ways<'a> {
    store: &'a Store,
    folder: &'a str,
    memory: Semaphore,
}

impl<'a> Staged<'a> {
    /// None yet, for the destination that keeps its own objects in `folder` of `store`.
    pub(super) fn new(store: &'a Store, folder: &'a str) -> Self {
        Self { ways: Ways::new(store, folder), files: Vec::new(), contents: Vec::new() }
    }

    /// Puts files where no reader looks.
    pub(super) async fn put(&mut self, done: Vec<Finished>) -> Result<()> {
        let ways = &self.ways;
        let put = |Finished { file, content }: &Finished| {
            let (file, content) = (file.clone(), content.clone());
            async move { ways.stage(&file, content).await }
        };
        side_by_side(done.iter().map(put).collect()).await?;
        for Finished { file, content } in done {
            self.contents.extend(
                content.filter(|_| self.contents.len() == self.files.len() && self.files.len() < KEPT),
            );
            self.files.push(file);
        }
        Ok(())
    }

    /// What is there.
    pub(super) fn files(&self) -> Vec<DataFile> {
        self.files.clone()
    }

    /// Shows them to readers: they are committed.
    pub(super) async fn reveal(self) -> Result<()> {
        let Self { ways, files, contents } = self;
        let contents = contents.into_iter().map(Some).chain(std::iter::repeat(None));
        let ways = &ways;
        let reveal = |(file, content): (DataFile, _)| async move { ways.reveal(&file, content).await };
        side_by_side(files.into_iter().zip(contents).map(reveal).collect()).await
    }
}

/// Finishes what a crash interrupted: committed objects go to their places, those that can no longer be committed are removed.
pub(super) async fn complete(store: &Store, folder: &str, chain: &Chain) -> Result<()> {
    let Some(newest) = chain.newest() else { return Ok(()) };
    let ways = &Ways::new(store, folder);
    let left = ways.left().await?;
    for number in newest.revealed + 1..newest.number {
        let files = chain.read(number).await?.files;
        // What is not there any more has been shown.
        let hidden = files.into_iter().filter(|file| left.contains(&file.temporary));
        side_by_side(hidden.map(|file| async move { ways.reveal(&file, None).await }).collect()).await?;
    }
    // The epoch begins each name. What a successor may have made by now is not ours to remove.
    let is_old = |name: &&String| {
        let epoch = name.split('-').next().and_then(|epoch| epoch.parse::<u64>().ok());
        epoch.is_none_or(|epoch| epoch < newest.epoch)
    };
    let old = left.iter().filter(is_old);
    side_by_side(old.map(|name| async move { store.delete(&ways.hidden(name)?).await }).collect()).await
}

impl<'a> Ways<'a> {
    fn new(store: &'a Store, folder: &'a str) -> Self {
        Self { store, folder, memory: Semaphore::new(MEMORY as usize) }
    }

    /// The names of the objects that no reader sees.
    async fn left(&self) -> Result<Vec<String>> {
        let paths = self.store.objects(&sound(&format!("{}/tmp", self.folder))?).await?;
        Ok(paths.iter().filter_map(|path| path.filename().map(str::to_owned)).collect())
    }

    async fn stage(&self, file: &DataFile, content: Option<Arc<File>>) -> Result<()> {
        let content = content.ok_or_else(|| Error::internal("a file that was written has no content"))?;
        let _room = self.room(file).await?;
        let path = self.hidden(&file.temporary)?;
        match self.store.place(&path, read(content).await?).await? {
            Placed::Ours => Ok(()),
            Placed::Theirs(_) => Err(visible::in_the_way(&self.shown(&path))),
        }
    }

    /// Puts a committed object where readers find it. Where it is not hidden any more, that has been done.
    async fn reveal(&self, file: &DataFile, content: Option<Arc<File>>) -> Result<()> {
        let _room = self.room(file).await?;
        let (from, to) = (self.hidden(&file.temporary)?, sound(&file.name)?);
        let bytes = match content {
            Some(content) => read(content).await?,
            None => match self.store.get(&from).await? {
                Some(bytes) => bytes,
                None => return Ok(()),
            },
        };
        if Digest::of(&bytes) != file.hash {
            return Err(Error::conflict(format!("the committed object `{}` is damaged", self.shown(&from)))
                .hint("give the destination another `path`, and `tidemark replay` what it is to have"));
        }
        match self.store.place(&to, bytes).await? {
            Placed::Ours => self.store.delete(&from).await,
            Placed::Theirs(_) => Err(visible::in_the_way(&self.shown(&to))),
        }
    }

    async fn room(&self, file: &DataFile) -> Result<SemaphorePermit<'_>> {
        let mib = u32::try_from(file.bytes >> 20).unwrap_or(MEMORY) + 1;
        let room = self.memory.acquire_many(mib.min(MEMORY)).await;
        room.map_err(|error| Error::internal("there is no room for an object").source(error))
    }

    fn hidden(&self, name: &str) -> Result<Path> {
        sound(&format!("{}/tmp/{name}", self.folder))
    }

    fn shown(&self, path: &Path) -> String {
        format!("{}/{path}", self.store.description())
    }
}

/// All of `tasks`, some at once, up to the first error.
async fn side_by_side<T: Future<Output = Result<()>>>(tasks: Vec<T>) -> Result<()> {
    stream::iter(tasks).map(Ok).try_for_each_concurrent(AT_ONCE, |task| task).await
}

/// Everything that `file` holds.
async fn read(file: Arc<File>) -> Result<Bytes> {
    let read = move || {
        let (mut file, mut bytes) = (&*file, Vec::new());
        file.rewind()?;
        file.read_to_end(&mut bytes)?;
        Ok::<_, io::Error>(bytes)
    };
    let bytes = spawn_blocking(read).await?;
    bytes.map(Bytes::from).map_err(|error| Error::unavailable("cannot read a temporary file").source(error))
}

/// The object `path`, as it is written: [`Path::from`] would encode what is encoded already.
fn sound(path: &str) -> Result<Path> {
    Path::parse(path).map_err(|error| Error::config("an object's name is not sound").source(error))
}
