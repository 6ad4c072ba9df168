//! The chain of entries that says what has been written.
//!
//! Entry `n` is the file `manifest/<n / 10000>/<n>`. It is put in place whole and only if absent, and that is the moment a unit is
//! committed. Entries are never removed: a few hundred bytes a unit, and together they list every file ever written, with its
//! size, rows and hash.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use tidemark_engine::{Digest, Result, write::Standing};

use super::{
    disk,
    entry::{self, DataFile, Entry, FOLDER},
};

/// The chain, as far as this process knows it.
#[derive(Debug)]
pub(super) struct Manifest {
    folder: PathBuf,
    working: PathBuf,
    writer: String,
    newest: Option<(Entry, Digest)>,
}

impl Manifest {
    /// Finds the newest entry in `folder`. New ones are prepared in `working`.
    pub(super) fn open(folder: PathBuf, working: PathBuf) -> Result<Self> {
        disk::make_folder(&folder)?;
        disk::make_folder(&working)?;
        let mut manifest = Self { folder, working, writer: entry::writer(), newest: None };
        manifest.refresh()?;
        Ok(manifest)
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
    pub(super) fn take_over(&mut self) -> Result<()> {
        loop {
            let (standing, revealed) =
                (self.standing().cloned(), self.newest().map_or(0, |entry| entry.revealed));
            let epoch = self.newest().map_or(0, |entry| entry.epoch) + 1;
            if self.put(epoch, standing, revealed, Vec::new())? {
                return Ok(());
            }
            // Another process was quicker; whoever comes last has the destination.
            self.refresh()?;
        }
    }

    /// Commits a unit of `files` that leads to `standing`. `revealed` as in [`Entry`].
    pub(super) fn commit(&mut self, standing: Standing, files: Vec<DataFile>) -> Result<()> {
        let (epoch, number) = self.newest().map_or((1, 0), |entry| (entry.epoch, entry.number));
        if self.put(epoch, Some(standing), number, files)? {
            return Ok(());
        }
        Err(entry::taken_over())
    }

    /// The entry `number`, verified.
    pub(super) fn read(&self, number: u64) -> Result<Entry> {
        Ok(read(&self.path(number))?.0)
    }

    fn refresh(&mut self) -> Result<()> {
        let Some(last) = disk::names(&self.folder)?.pop() else { return Ok(()) };
        let folder = self.folder.join(last);
        // An entry is visible before it is durable.
        disk::sync_folder(&folder)?;
        // A folder without an entry is what a crash left of the first put into it.
        let number = match disk::names(&folder)?.pop().map(|name| name.parse::<u64>()) {
            Some(Ok(number)) => Some(number),
            Some(Err(_)) => return Err(entry::foreign(&folder.display().to_string())),
            None => parse_folder(&folder)?.checked_mul(FOLDER).and_then(|first| first.checked_sub(1)),
        };
        let Some(number) = number.filter(|number| *number > 0) else { return Ok(()) };
        let (entry, hash) = read(&self.path(number))?;
        if entry.number != number {
            return Err(entry::damaged(&self.path(number).display().to_string()));
        }
        if number > 1 && read(&self.path(number - 1))?.1 != entry.previous {
            return Err(entry::damaged(&self.path(number).display().to_string()));
        }
        self.newest = Some((entry, hash));
        Ok(())
    }

    /// Puts the next entry; `false` when another stands in its place.
    fn put(
        &mut self,
        epoch: u64,
        standing: Option<Standing>,
        revealed: u64,
        files: Vec<DataFile>,
    ) -> Result<bool> {
        let (number, previous) =
            self.newest.as_ref().map_or((1, Digest::ZERO), |(entry, hash)| (entry.number + 1, *hash));
        let writer = self.writer.clone();
        let entry = Entry { number, previous, epoch, writer, standing, revealed, files };
        let (content, hash) = entry.encode()?;
        let path = self.path(number);
        let temporary = self.working.join(format!("{epoch}-{number}-{}", self.writer));
        write(&temporary, &content)?;
        let folder = path.parent().unwrap_or(&self.folder);
        disk::make_folder(folder)?;
        // A rename would replace what is there; a link fails.
        let linked = fs::hard_link(&temporary, &path);
        let ours = match &linked {
            Ok(()) => true,
            // An earlier attempt of ours may have had an unknown outcome.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(&path)?.1 == hash,
            // A successor has cleaned up.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(_) => false,
        };
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(disk::failed("remove", &temporary, error));
            }
            _ => {}
        }
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(disk::link_failed(folder, error));
            }
            _ if !ours => return Ok(false),
            _ => disk::sync_folder(folder)?,
        }
        self.newest = Some((entry, hash));
        Ok(true)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(entry::path(number))
    }
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    let mut file = File::create(path).map_err(|error| disk::failed("create", path, error))?;
    file.write_all(content).map_err(|error| disk::failed("write", path, error))?;
    disk::sync(&file, path)
}

/// The entry at `path` and its hash, which must be the one that stands beside it.
fn read(path: &Path) -> Result<(Entry, Digest)> {
    let content = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(entry::damaged(&path.display().to_string()));
        }
        content => content.map_err(|error| disk::failed("read", path, error))?,
    };
    Entry::decode(&content, &path.display().to_string())
}

fn parse_folder(folder: &Path) -> Result<u64> {
    let name = folder.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
    name.ok_or_else(|| entry::foreign(&folder.display().to_string()))
}
