//! A disk of which a power cut takes what was not synced: names that were made, and the removal of names. What a file holds is synced
//! before it gets its name.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use object_store::{ObjectStoreExt, memory::InMemory, path::Path};

use crate::world::Seeded;

/// What is not synced yet.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    objects: Arc<InMemory>,
    unsynced: Arc<Mutex<Unsynced>>,
}

#[derive(Debug, Default)]
struct Unsynced {
    /// Names that a power cut may take, or that may then name again what they did before,
    added: BTreeMap<Path, Option<Bytes>>,
    /// and those that it may bring back, with what they named.
    removed: BTreeMap<Path, Bytes>,
    /// Folders whose names are synced in those above.
    folders: BTreeSet<String>,
    /// How many names a power cut has taken or brought back.
    lost: u64,
}

impl Disk {
    pub(crate) fn new(objects: Arc<InMemory>) -> Self {
        Self { objects, unsynced: Arc::default() }
    }

    /// `path` has come to be, or names something else than `former`.
    pub(crate) fn added(&self, path: &Path, former: Option<Bytes>) {
        let mut unsynced = self.unsynced();
        let removed = unsynced.removed.remove(path);
        unsynced.added.entry(path.clone()).or_insert(former.or(removed));
    }

    /// `path`, which named `bytes`, is about to be removed.
    pub(crate) fn removed(&self, path: &Path, bytes: Bytes) {
        let mut unsynced = self.unsynced();
        // A name that was never synced does not come back.
        match unsynced.added.remove(path) {
            Some(None) => {}
            Some(Some(former)) => drop(unsynced.removed.insert(path.clone(), former)),
            None => drop(unsynced.removed.insert(path.clone(), bytes)),
        }
    }

    /// Syncs the folder that `path` is in, and those above as far as they are new: what they name stays as it is now.
    pub(crate) fn sync(&self, path: &Path) {
        let mut unsynced = self.unsynced();
        let mut folder = folder_of(path.as_ref());
        loop {
            let is_elsewhere = |path: &Path| folder_of(path.as_ref()) != folder;
            unsynced.added.retain(|path, _| is_elsewhere(path));
            unsynced.removed.retain(|path, _| is_elsewhere(path));
            if folder.is_empty() || !unsynced.folders.insert(folder.to_owned()) {
                break;
            }
            folder = folder_of(folder);
        }
    }

    /// The power goes: some of what is not synced is as it was before.
    pub(crate) fn power_cut(&self, seed: u64) {
        let mut random = Seeded::new(seed ^ 0x90fe);
        let mut unsynced = self.unsynced();
        let added = std::mem::take(&mut unsynced.added);
        let removed = std::mem::take(&mut unsynced.removed);
        let removed = removed.into_iter().map(|(path, former)| (path, Some(former)));
        for (path, former) in added.into_iter().chain(removed) {
            if random.below(2) == 0 {
                continue;
            }
            let outcome = match former {
                Some(former) => {
                    self.objects.put(&path, former.into()).now_or_never().map(|put| put.map(drop))
                }
                None => self.objects.delete(&path).now_or_never(),
            };
            outcome.expect("memory answers at once").expect("memory does as it is told");
            unsynced.lost += 1;
        }
    }

    /// How many names power cuts have taken or brought back.
    pub(crate) fn lost(&self) -> u64 {
        self.unsynced().lost
    }

    fn unsynced(&self) -> MutexGuard<'_, Unsynced> {
        self.unsynced.lock().expect("nobody panics while syncing")
    }
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// What this process found, it syncs itself.
#[async_trait]
impl tidemark_engine::log::Settle for Disk {
    async fn settle(&self, path: &Path) -> tidemark_engine::Result<()> {
        self.sync(path);
        Ok(())
    }
}
