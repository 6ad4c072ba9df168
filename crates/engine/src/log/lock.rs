//! One running process per local staging folder: a courtesy to people. Safety comes from epochs, and in object storage from them
//! alone: nothing there is released when a process dies.

use std::{
    fmt,
    fs::{File, TryLockError},
    io::{self, Read, Seek, Write},
    path::Path,
    process,
    time::Duration,
};

use super::{Store, Trouble, names, store::reaction_to};
use crate::{Error, Result, Time, world::World};

/// How often a held lock is looked at again, and how long after.
const LOOKS: u32 = 3;
const LOOK: Duration = Duration::from_millis(50);
/// The file always has this size, so that it can be written to on a disk that is full.
const SIZE: usize = 2_048;

/// Held for as long as a process runs the pipeline; the system releases it when the process ends, however it ends.
#[derive(Debug)]
pub struct RunLock {
    /// Holding the file open is the lock.
    file: Option<File>,
    since: Time,
}

/// The process that holds the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Which it is, and since when.
    pub process: String,
    /// What it says is wrong with the staging store.
    pub trouble: Option<String>,
}

/// Who runs a pipeline, as far as its store tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runner {
    /// Nobody does.
    Nobody,
    /// This process.
    Process(Holder),
    /// The store is one that has no locks: somebody may, anywhere.
    Untold,
}

impl RunLock {
    /// Takes the lock of the log in `store`, where that is a local folder. Elsewhere there is none to take.
    ///
    /// Fails with [`crate::ErrorKind::Config`] when another process holds it, and says which, and with
    /// [`crate::ErrorKind::Denied`] when this process may not write there.
    pub async fn take(store: &Store, world: &World) -> Result<Self> {
        // Whoever asks for the holder has the lock for a moment: only one that stays is a process that runs.
        for _ in 0..LOOKS {
            if let Ok(lock) = Self::try_take(store, world.now()) {
                return Ok(lock);
            }
            world.sleep(LOOK).await;
        }
        Self::try_take(store, world.now())
    }

    fn try_take(store: &Store, since: Time) -> Result<Self> {
        let Some(folder) = store.local_folder() else { return Ok(Self { file: None, since }) };
        let path = folder.join(names::LOCK);
        let cannot = |error| cannot_lock(&path, error);
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(cannot)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = Holder::read(&mut file).map_err(cannot)?;
                let message = format!("this pipeline is already being run by {}", holder.process);
                return Err(Error::config(message)
                    .hint("stop that process first, or give this pipeline another `name`"));
            }
            Err(TryLockError::Error(error)) => return Err(cannot(error)),
        }
        store.is_writable();
        let mut lock = Self { file: Some(file), since };
        match lock.sign(None) {
            // What is staged can be played all the same, and the rest waits.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {}
            signed => signed.map_err(cannot)?,
        }
        Ok(lock)
    }

    /// Notes what is wrong with the staging store, for whoever asks who holds the lock. What cannot be noted is not.
    pub fn note(&mut self, trouble: Option<&Trouble>) {
        // A store that takes nothing may not take this either; the log lines say it anyway.
        let _ = self.sign(trouble);
    }

    fn sign(&mut self, trouble: Option<&Trouble>) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let mut text = format!("process {} since {}", process::id(), self.since);
        if let Some(Trouble { since, message, hint, .. }) = trouble {
            let hint = hint.as_ref().map_or(String::new(), |hint| format!("; {hint}"));
            text += &format!("\nsince {since}: {message}{hint}");
        }
        text.truncate(text.floor_char_boundary(SIZE - 1));
        file.rewind()?;
        file.write_all(format!("{text:<SIZE$}").as_bytes())
    }

    /// Who runs the log in `store` now.
    pub fn runner(store: &Store) -> Runner {
        let Some(folder) = store.local_folder() else { return Runner::Untold };
        let path = folder.join(names::LOCK);
        let Ok(mut file) = File::open(&path) else { return Runner::Nobody };
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => match Holder::read(&mut file) {
                Ok(holder) => Runner::Process(holder.of_disk(&path)),
                Err(_) => Runner::Nobody,
            },
            _ => Runner::Nobody,
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.process)
    }
}

impl Holder {
    fn read(file: &mut File) -> io::Result<Self> {
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let (process, trouble) = match text.trim_end().split_once('\n') {
            Some((process, trouble)) => (process, Some(trouble.to_owned())),
            None => (text.trim_end(), None),
        };
        let process = if process.is_empty() { "another process" } else { process };
        Ok(Self { process: process.to_owned(), trouble })
    }

    /// On a disk that is read-only it could not say so itself.
    fn of_disk(self, lock: &Path) -> Self {
        let is_read_only = || {
            let opened = File::options().write(true).open(lock);
            opened.is_err_and(|error| error.kind() == io::ErrorKind::ReadOnlyFilesystem)
        };
        match self.trouble {
            None if is_read_only() => {
                Self { trouble: Some("the staging folder is read-only".to_owned()), ..self }
            }
            _ => self,
        }
    }
}

fn cannot_lock(path: &Path, error: io::Error) -> Error {
    let (kind, hint) = reaction_to(error.kind());
    let cannot =
        Error::new(kind, format!("cannot lock the staging folder by `{}`", path.display())).source(error);
    match hint {
        Some(hint) => cannot.hint(hint),
        None => cannot,
    }
}
