//! The chain of entries that says what has been written.
//!
//! Entry `n` is the file `manifest/<n / 10000>/<n>`: a line of JSON and a line with its BLAKE3 hash. It is put in place whole and only
//! if absent, and that is the moment a unit is committed. Each entry holds the hash of the one before, so a chain that was
//! tampered with is noticed. Entries are never removed: a few hundred bytes a unit, and together they list every file
//! ever written, with its size, rows and hash.

use std::{
    fs::{self, File},
    hash::{BuildHasher, Hasher, RandomState},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tidemark_engine::{Digest, Error, Result, write::Standing};

use super::disk;

/// How many entries share a folder.
const FOLDER: u64 = 10_000;

/// One step: a unit that was written, or a process that took over (no files, a higher epoch).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) number: u64,
    /// The hash of the entry before.
    pub(super) previous: Digest,
    pub(super) epoch: u64,
    /// Random: tells entries of two processes apart that would say the same.
    pub(super) writer: String,
    /// Where the destination stands after it.
    pub(super) standing: Option<Standing>,
    /// The files of all entries up to this number are in their visible places.
    pub(super) revealed: u64,
    pub(super) files: Vec<DataFile>,
}

/// A file of a unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DataFile {
    /// Where readers find it, from the destination's folder.
    pub(super) name: String,
    /// Its name in the working folder.
    pub(super) temporary: String,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) hash: Digest,
}

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
        let writer = format!("{:016x}", RandomState::new().build_hasher().finish());
        let mut manifest = Self { folder, working, writer, newest: None };
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
        Err(Error::conflict("another process has taken over the destination")
            .hint("let only one `tidemark run` write to it"))
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
            Some(Err(_)) => return Err(foreign(&folder)),
            None => parse_folder(&folder)?.checked_mul(FOLDER).and_then(|first| first.checked_sub(1)),
        };
        let Some(number) = number.filter(|number| *number > 0) else { return Ok(()) };
        let (entry, hash) = read(&self.path(number))?;
        if entry.number != number {
            return Err(damaged(&self.path(number)));
        }
        if number > 1 && read(&self.path(number - 1))?.1 != entry.previous {
            return Err(damaged(&self.path(number)));
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
        let json = serde_json::to_vec(&entry)
            .map_err(|error| Error::internal("a manifest entry cannot be written").source(error))?;
        let hash = Digest::of(&json);
        let path = self.path(number);
        let temporary = self.working.join(format!("{epoch}-{number}-{}", self.writer));
        write(&temporary, &[&json[..], b"\n", hash.to_string().as_bytes(), b"\n"].concat())?;
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
        self.folder.join(format!("{:08}", number / FOLDER)).join(format!("{number:012}"))
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
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(damaged(path)),
        content => content.map_err(|error| disk::failed("read", path, error))?,
    };
    let mut lines = content.split(|byte| *byte == b'\n');
    let json = lines.next().unwrap_or_default();
    let written = lines.next().and_then(|line| std::str::from_utf8(line).ok()).and_then(Digest::parse);
    let hash = Digest::of(json);
    if written != Some(hash) {
        return Err(damaged(path));
    }
    let entry = serde_json::from_slice(json).map_err(|error| damaged(path).source(error))?;
    Ok((entry, hash))
}

fn parse_folder(folder: &Path) -> Result<u64> {
    let name = folder.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
    name.ok_or_else(|| foreign(folder))
}

fn damaged(path: &Path) -> Error {
    Error::conflict(format!("the manifest entry `{}` is missing or damaged", path.display()))
        .hint("restore the folder from a backup, or give the destination another `path`")
}

fn foreign(folder: &Path) -> Error {
    Error::conflict(format!("the folder `{}` holds a file that is not Tidemark's", folder.display()))
        .hint("remove what does not belong there")
}
