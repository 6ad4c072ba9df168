//! Encryption of everything that a store keeps.
//!
//! | Key | Made by | Kept in | Encrypts |
//! |---|---|---|---|
//! | master key | the user | the user's vault, never here | rings of log keys |
//! | log key | the process that begins a log or finds a new master key | `keys/<n>` | data keys |
//! | data key | whoever writes an object | the object's own header | that object |
//!
//! So a new master key means a new ring and no other object rewritten. Rings are numbered, each holds all log keys, and the
//! one with the greatest number counts. It is made by put-if-absent, so of two processes at once only one makes it; then those
//! before it are emptied. A log key is used only once the ring that holds it is durable, and a ring is emptied only once a later
//! one is, which holds all of its keys: whenever a process dies, no key is lost.
//!
//! Not encrypted are the names of objects, their sizes and times, the name of the master key in a ring, `run.lock`, and what
//! tries out a store (`probes/`), which is put before there are keys.

mod envelope;
#[cfg(feature = "fuzzing")]
#[expect(clippy::expect_used, reason = "a broken promise is to panic")]
mod fuzzing;
mod master;
mod ring;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use aws_lc_rs::error::Unspecified;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{ObjectMeta, path::Path};

#[cfg(feature = "fuzzing")]
pub use fuzzing::open_encrypted;
pub use master::{KeyId, MasterKey, MasterKeys};
use ring::Ring;

use super::{Created, Store};
use crate::{
    Error, Result,
    log::{health::Doing, names},
    world::World,
};

/// What a store is encrypted with.
pub(super) struct Vault {
    masters: MasterKeys,
    world: World,
    /// The log keys, once the store has been unlocked.
    ring: RwLock<Option<Arc<Ring>>>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({:?})", self.masters)
    }
}

impl Vault {
    fn ring(&self) -> Option<Arc<Ring>> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps `ring`, unless a later one is known, and returns the one that is.
    fn keep(&self, ring: Ring) -> Arc<Ring> {
        let mut known = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some(later) if later.number > ring.number => later.clone(),
            _ => known.insert(Arc::new(ring)).clone(),
        }
    }
}

impl Store {
    /// The same store, where everything that is kept is encrypted under `keys`.
    ///
    /// What it holds already must be: a log that was begun without encryption is refused when it is opened.
    #[must_use]
    pub fn encrypted(self, keys: MasterKeys, world: World) -> Self {
        Self { vault: Some(Arc::new(Vault { masters: keys, world, ring: RwLock::default() })), ..self }
    }

    /// Finds the log keys, where there are any. Writes nothing.
    ///
    /// Fails with [`crate::ErrorKind::Denied`] when none of the keys given opens them, with [`crate::ErrorKind::Config`] when
    /// the store holds a log that is not encrypted, with [`crate::ErrorKind::Conflict`] when it is and the log keys are gone.
    pub(in crate::log) async fn unlock(&self) -> Result<()> {
        let Some(vault) = &self.vault else { return Ok(()) };
        self.find_ring_of_log(vault).await.map(drop)
    }

    /// Finds the log keys or makes the first, and sees to it that the current master key alone opens them.
    pub(in crate::log) async fn unlock_or_begin(&self) -> Result<()> {
        let Some(vault) = &self.vault else { return Ok(()) };
        let master = vault.masters.current();
        loop {
            let found = self.find_ring_of_log(vault).await?;
            let next = match &found {
                Some(ring) if ring.master == master.id() => {
                    return self.empty_rings_before(ring.number).await;
                }
                Some(ring) => ring.next(master),
                None => Ring::first(master),
            };
            let next = next.map_err(no_cipher)?;
            let path = names::key_ring(next.number);
            let object = next.seal(&path, master).map_err(no_cipher)?;
            // Whoever was first decides, and may have been given other keys than we: so the ring is looked at again.
            if self.create_stored(&path, object).await? == Created::Exists {
                continue;
            }
            if let Some(former) = found {
                tracing::info!(from = %former.master, to = %master.id(), "the key of the staging store was changed");
            }
            return self.empty_rings_before(vault.keep(next).number).await;
        }
    }

    /// The ring that counts now; `None` when there is none and no log either.
    async fn find_ring_of_log(&self, vault: &Vault) -> Result<Option<Arc<Ring>>> {
        let ring = self.find_ring(vault).await?;
        let place = self.description();
        match self.get_stored(&names::identity()).await? {
            // What is neither a document nor encrypted is damaged, which is told of when it is read.
            Some(object) if ring.is_some() && !object.starts_with(b"{") => Ok(ring),
            None => Ok(ring),
            // Rings come before the log, so if it was begun just now there is one by now.
            Some(object) if envelope::is_sealed(&object) => self.find_ring(vault).await?.map(Some).ok_or_else(|| {
                Error::conflict(format!("the log in `{place}` is encrypted, and its keys (`keys/`) are missing"))
                    .hint("restore them from a backup: without them nothing of the log can be read")
            }),
            Some(_) => Err(Error::config(format!("the log in `{place}` was begun without encryption")).hint(
                "what is staged would stay readable: give the pipeline a new `name`, which begins a new log, or take \
                 `encryption` out again",
            )),
        }
    }

    /// Fails when a log that is not encrypted would begin beside the keys of one that is: a process that died before it had begun
    /// its log has left them, and nothing else would tell that the key was forgotten since.
    pub(in crate::log) async fn check_begins_plain(&self) -> Result<()> {
        if self.vault.is_some() || self.rings().await?.is_empty() {
            return Ok(());
        }
        let place = self.description();
        Err(Error::config(format!(
            "`{place}` holds the keys of an encrypted log (`keys/`), and the pipeline file gives no key"
        ))
        .hint(
            "give the key under `staging.encryption`; or give the pipeline a new `name`, which begins a new log without encryption",
        ))
    }

    /// The ring that counts now, as the store has it; `None` when there is none.
    async fn find_ring(&self, vault: &Vault) -> Result<Option<Arc<Ring>>> {
        let Some((number, object)) = self.newest_ring().await? else { return Ok(None) };
        let path = names::key_ring(number);
        let place = self.description();
        let damaged = || {
            Error::conflict(format!("the keys of the log (`{path}` in `{place}`) are damaged"))
                .hint("restore it from a backup: without it nothing of the log can be read")
        };
        let id = Ring::master_of(&object).ok_or_else(damaged)?;
        let master = vault.masters.get(id).ok_or_else(|| {
            Error::denied(format!(
                "the log in `{place}` is encrypted with key `{id}`, and the key given is `{}`",
                vault.masters.current().id()
            ))
            .hint(format!(
                "give key `{id}` as the `key` under `staging.encryption`; to change it, give it under `previous` and the new one \
                 as `key`"
            ))
        })?;
        let ring = Ring::open(&object, number, &path, master).map_err(|_| damaged())?;
        // What is written under its keys must not outlive it.
        self.settle(&path).await?;
        Ok(Some(vault.keep(ring)))
    }

    /// The ring that counts, still sealed.
    async fn newest_ring(&self) -> Result<Option<(u64, Bytes)>> {
        let mut emptied = None;
        loop {
            let Some(number) = self.rings().await?.into_iter().map(|(number, _)| number).max() else {
                return Ok(None);
            };
            let object = self.get_stored(&names::key_ring(number)).await?.ok_or_else(|| {
                Error::unavailable("the keys of the log disappeared while they were being read")
            })?;
            // One that has been emptied since it was listed has a successor.
            if object.len() != ring::EMPTIED || emptied == Some(number) {
                return Ok(Some((number, object)));
            }
            emptied = Some(number);
        }
    }

    /// All rings there have been.
    async fn rings(&self) -> Result<Vec<(u64, ObjectMeta)>> {
        let keys = names::keys();
        let listing = self.objects.list(Some(&keys)).try_collect();
        let rings: object_store::Result<Vec<ObjectMeta>> =
            self.call(Doing::Reading, "list", &keys, listing).await;
        let rings = rings.map_err(|error| self.error(Doing::Reading, "list", &keys, error))?;
        self.check_there().await?;
        let numbered = |meta: ObjectMeta| Some((names::number(&meta.location)?, meta));
        Ok(rings.into_iter().filter_map(numbered).collect())
    }

    /// Takes the keys out of the rings before `number`, which is durable and has them all.
    async fn empty_rings_before(&self, number: u64) -> Result<()> {
        let size = ring::EMPTIED as u64;
        for (_, ring) in self.rings().await?.into_iter().filter(|(n, ring)| *n < number && ring.size != size)
        {
            self.replace_stored(&ring.location, Bytes::copy_from_slice(&ring::emptied())).await?;
        }
        Ok(())
    }

    /// What is to be kept at `path` for `content` to be found there.
    pub(super) async fn encrypt(&self, path: &Path, content: Bytes) -> Result<Bytes> {
        let Some(vault) = &self.vault else { return Ok(content) };
        let ring = vault
            .ring()
            .ok_or_else(|| Error::internal("an encrypted store is written to before it is unlocked"))?;
        let path = path.clone();
        let sealed = vault.world.compute_on(content.len(), move || {
            envelope::seal(ring.newest().ok_or(Unspecified)?, &path, &content)
        });
        sealed.await?.map_err(no_cipher)
    }

    /// The content of an `object` found at `path`.
    pub(super) async fn decrypt(&self, path: &Path, object: Bytes) -> Result<Bytes> {
        let Some(vault) = &self.vault else {
            return if envelope::is_sealed(&object) { Err(self.locked().await) } else { Ok(object) };
        };
        let damaged = |what: &str| {
            Error::conflict(format!("`{path}` is damaged: {what}"))
                .hint("restore it from a backup: nothing of it is delivered")
        };
        let id = envelope::log_key_of(&object)
            .ok_or_else(|| damaged("it is not encrypted as everything in this log is"))?;
        let mut ring = vault.ring().filter(|ring| ring.get(id).is_some());
        if ring.is_none() {
            // Another process may have made it since.
            ring = self.find_ring(vault).await?;
        }
        let ring = ring.filter(|ring| ring.get(id).is_some()).ok_or_else(|| {
            damaged(&format!("it is encrypted with log key `{id}`, which this log does not have"))
        })?;
        let at = path.clone();
        let opened = vault
            .world
            .compute_on(object.len(), move || envelope::open(ring.get(id).ok_or(Unspecified)?, &at, object));
        let other = "it does not decrypt, so it is not what was written under this name";
        opened.await?.map_err(|_| damaged(other))
    }

    /// The error of a store that is encrypted, for somebody without a key.
    async fn locked(&self) -> Error {
        let place = self.description();
        let ring = self.newest_ring().await.ok().flatten();
        let key = ring.and_then(|(_, object)| Ring::master_of(&object));
        let which = key.map_or(String::new(), |id| format!(" with key `{id}`"));
        Error::config(format!("the log in `{place}` is encrypted{which}, and the pipeline file gives no key"))
            .hint("give the key under `staging.encryption`")
    }
}

/// The cipher works on sound input, or the library is not what it should be.
fn no_cipher(error: Unspecified) -> Error {
    Error::internal("cannot encrypt").source(error)
}
