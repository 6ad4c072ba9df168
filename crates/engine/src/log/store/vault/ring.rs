//! The log keys of a store, and the objects that keep them.
//!
//! ```text
//! "TIDEKEYS"          8 bytes
//! version             4 bytes, little endian: 1
//! master              8 bytes: the name of the master key that seals it
//! nonce               12 bytes, random
//! log keys            32 bytes each, oldest first, encrypted (AES-256-GCM)
//! tag                 16 bytes: over the log keys, all before them, and the object's name
//! hash                32 bytes: BLAKE3 of everything before it, which tells damage from a wrong key
//! ```
//!
//! A ring that has been overtaken is emptied, not removed: its magic and version stay. So its number is never free again, and
//! of two processes that make the next ring at once only one can.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce, UnboundKey},
    error::Unspecified,
    rand,
};
use bytes::Bytes;
use object_store::path::Path;
use zeroize::Zeroizing;

use super::master::{KEY, KeyId, MasterKey};
use crate::Digest;

const MAGIC: &[u8; 8] = b"TIDEKEYS";
const VERSION: u32 = 1;
/// Bytes of a ring that has been emptied, and of the beginning of any.
pub(super) const EMPTIED: usize = MAGIC.len() + size_of::<u32>();
/// Bytes before the log keys.
const HEADER: usize = EMPTIED + KeyId::BYTES + NONCE_LEN;
const HASH: usize = size_of::<Digest>();

const FOR_NAMES: &str = "tidemark staging encryption, version 1: the name of a log key";

/// A key that the keys of objects are wrapped by. It is made here, and leaves only in a ring.
pub(super) struct LogKey {
    id: KeyId,
    secret: Zeroizing<[u8; KEY]>,
}

/// Every log key there has been, oldest first. There is at least one.
#[derive(Debug)]
pub(super) struct Ring {
    /// Which of the store's rings: the greatest number is that of the one that counts.
    pub(super) number: u64,
    /// The master key that seals it.
    pub(super) master: KeyId,
    keys: Vec<LogKey>,
}

impl LogKey {
    /// A new one, of the system's randomness.
    fn make() -> Result<Self, Unspecified> {
        let mut secret = Zeroizing::new([0; KEY]);
        rand::fill(secret.as_mut_slice())?;
        Ok(Self::new(secret))
    }

    fn new(secret: Zeroizing<[u8; KEY]>) -> Self {
        let name = blake3::derive_key(FOR_NAMES, secret.as_slice());
        Self { id: KeyId::of(&name), secret }
    }

    pub(super) fn id(&self) -> KeyId {
        self.id
    }

    pub(super) fn secret(&self) -> &[u8; KEY] {
        &self.secret
    }
}

impl std::fmt::Debug for LogKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LogKey({})", self.id)
    }
}

impl Ring {
    /// The first ring of a store.
    pub(super) fn first(master: &MasterKey) -> Result<Self, Unspecified> {
        Ok(Self { number: 1, master: master.id(), keys: vec![LogKey::make()?] })
    }

    /// The ring after this one: the same keys under `master`, and a new one for what is written from now on.
    pub(super) fn next(&self, master: &MasterKey) -> Result<Self, Unspecified> {
        let mut keys: Vec<_> = self.keys.iter().map(|key| LogKey::new(key.secret.clone())).collect();
        keys.push(LogKey::make()?);
        Ok(Self { number: self.number + 1, master: master.id(), keys })
    }

    /// The key that is called `id`.
    pub(super) fn get(&self, id: KeyId) -> Option<&LogKey> {
        self.keys.iter().find(|key| key.id == id)
    }

    /// The key for new objects.
    pub(super) fn newest(&self) -> Option<&LogKey> {
        self.keys.last()
    }

    /// The object that keeps it at `path`.
    pub(super) fn seal(&self, path: &Path, master: &MasterKey) -> Result<Bytes, Unspecified> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce)?;
        let mut object = Vec::with_capacity(HEADER + self.keys.len() * KEY + MAX_TAG_LEN + HASH);
        object.extend_from_slice(&emptied());
        object.extend_from_slice(master.id().as_bytes());
        object.extend_from_slice(&nonce);
        let sealed_with = associated(&object, path);
        self.keys.iter().for_each(|key| object.extend_from_slice(key.secret()));
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = cipher(master)?.seal_in_place_separate_tag(
            nonce,
            Aad::from(sealed_with),
            &mut object[HEADER..],
        )?;
        object.extend_from_slice(tag.as_ref());
        let hash = Digest::of(&object);
        object.extend_from_slice(hash.as_bytes());
        Ok(object.into())
    }

    /// The name of the master key that seals `object`; `None` when it is no ring, an emptied one, or damaged.
    pub(super) fn master_of(object: &[u8]) -> Option<KeyId> {
        let (object, hash) = object.split_last_chunk::<HASH>()?;
        if Digest::of(object).as_bytes() != hash {
            return None;
        }
        let rest = object.strip_prefix(emptied().as_slice())?;
        rest.first_chunk().map(|id| KeyId::from_bytes(*id))
    }

    /// Reads ring `number` out of its `object` at `path`.
    pub(super) fn open(
        object: &[u8],
        number: u64,
        path: &Path,
        master: &MasterKey,
    ) -> Result<Self, Unspecified> {
        let (object, _) = object.split_last_chunk::<HASH>().ok_or(Unspecified)?;
        let (header, sealed) = object.split_at_checked(HEADER).ok_or(Unspecified)?;
        let nonce = Nonce::assume_unique_for_key(*header.last_chunk().ok_or(Unspecified)?);
        // With room for the keys from the start: what a vector outgrows is not wiped.
        let mut sealed = Zeroizing::new(sealed.to_vec());
        let secrets =
            cipher(master)?.open_in_place(nonce, Aad::from(associated(header, path)), &mut sealed)?;
        let (secrets, rest) = secrets.as_chunks::<KEY>();
        if secrets.is_empty() || !rest.is_empty() {
            return Err(Unspecified);
        }
        let keys = secrets.iter().map(|secret| LogKey::new(Zeroizing::new(*secret))).collect();
        Ok(Self { number, master: master.id(), keys })
    }
}

/// What stays of a ring that has been overtaken.
pub(super) fn emptied() -> [u8; EMPTIED] {
    let mut object = [0; EMPTIED];
    object[..MAGIC.len()].copy_from_slice(MAGIC);
    object[MAGIC.len()..].copy_from_slice(&VERSION.to_le_bytes());
    object
}

fn cipher(master: &MasterKey) -> Result<LessSafeKey, Unspecified> {
    UnboundKey::new(&AES_256_GCM, master.sealing()).map(LessSafeKey::new)
}

fn associated(header: &[u8], path: &Path) -> Vec<u8> {
    [header, path.as_ref().as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn master(digits: &str) -> MasterKey {
        MasterKey::parse(&digits.repeat(32)).unwrap()
    }

    #[test]
    fn a_ring_hands_its_keys_on() {
        let path = Path::from("keys/00000002");
        let first = Ring::first(&master("aa")).unwrap();
        let second = first.next(&master("bb")).unwrap();
        let object = second.seal(&path, &master("bb")).unwrap();
        assert_eq!(Ring::master_of(&object), Some(master("bb").id()));
        let read = Ring::open(&object, 2, &path, &master("bb")).unwrap();
        let ids = |ring: &Ring| ring.keys.iter().map(LogKey::id).collect::<Vec<_>>();
        assert_eq!(ids(&read), ids(&second));
        assert_eq!(ids(&read)[0], ids(&first)[0]);
        assert_eq!(read.get(ids(&first)[0]).unwrap().secret(), first.keys[0].secret());
        assert_ne!(read.newest().unwrap().id(), ids(&first)[0]);
    }

    #[test]
    fn another_key_another_name_and_any_damage_are_refused() {
        let path = Path::from("keys/00000001");
        let object = Ring::first(&master("aa")).unwrap().seal(&path, &master("aa")).unwrap();
        assert!(Ring::open(&object, 1, &path, &master("bb")).is_err());
        assert!(Ring::open(&object, 1, &Path::from("keys/00000002"), &master("aa")).is_err());
        for length in 0..object.len() {
            assert!(Ring::open(&object[..length], 1, &path, &master("aa")).is_err());
        }
        for byte in 0..object.len() {
            let mut damaged = object.to_vec();
            damaged[byte] ^= 1;
            assert_eq!(Ring::master_of(&damaged), None, "byte {byte}");
            if byte < object.len() - HASH {
                assert!(Ring::open(&damaged, 1, &path, &master("aa")).is_err(), "byte {byte}");
            }
        }
        assert!(Ring::open(&object, 1, &path, &master("aa")).is_ok());
    }

    #[test]
    fn an_emptied_ring_names_no_master() {
        assert_eq!(Ring::master_of(&emptied()), None);
    }
}
