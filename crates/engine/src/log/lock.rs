//! One running process per local staging folder: a courtesy to people. Safety comes from epochs, and in object storage from them
//! alone: nothing there is released when a process dies.

use std::{
    fs::{File, TryLockError},
    io::{Read, Seek, Write},
    process,
    time::Duration,
};

use super::{Store, names};
use crate::{Error, Result, Time, world::World};

/// How often a held lock is looked at again, and how long after.
const LOOKS: u32 = 3;
const LOOK: Duration = Duration::from_millis(50);

/// Held for as long as a process runs the pipeline; the system releases it when the process ends, however it ends.
#[derive(Debug)]
pub struct RunLock(#[expect(dead_code, reason = "holding the file open is the lock")] Option<File>);

/// Who runs a pipeline, as far as its store tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runner {
    /// Nobody does.
    Nobody,
    /// This process.
    Process(String),
    /// The store is one that has no locks: somebody may, anywhere.
    Untold,
}

impl RunLock {
    /// Takes the lock of the log in `store`, where that is a local folder. Elsewhere there is none to take.
    ///
    /// Fails with [`crate::ErrorKind::Config`] when another process holds it, and says which.
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

    fn try_take(store: &Store, now: Time) -> Result<Self> {
        let Some(folder) = store.local_folder() else { return Ok(Self(None)) };
        let path = folder.join(names::LOCK);
        let cannot = |error: std::io::Error| {
            Error::unavailable(format!("cannot lock the staging folder by `{}`", path.display()))
                .source(error)
        };
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
                let mut holder = String::new();
                file.read_to_string(&mut holder).map_err(cannot)?;
                let who = if holder.is_empty() { "another process" } else { holder.trim_end() };
                return Err(Error::config(format!("this pipeline is already being run by {who}"))
                    .hint("stop that process first, or give this pipeline another `name`"));
            }
            Err(TryLockError::Error(error)) => return Err(cannot(error)),
        }
        let mut sign = || {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "process {} since {now}", process::id())
        };
        sign().map_err(cannot)?;
        Ok(Self(Some(file)))
    }

    /// Who runs the log in `store` now.
    pub fn runner(store: &Store) -> Runner {
        let Some(folder) = store.local_folder() else { return Runner::Untold };
        let Ok(mut file) = File::open(folder.join(names::LOCK)) else { return Runner::Nobody };
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                match file.read_to_string(&mut holder) {
                    Ok(_) => Runner::Process(holder.trim_end().to_owned()),
                    Err(_) => Runner::Nobody,
                }
            }
            _ => Runner::Nobody,
        }
    }
}
