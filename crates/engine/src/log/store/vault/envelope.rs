//! One encrypted object.
//!
//! ```text
//! "TIDESEAL"          8 bytes
//! version             4 bytes, little endian: 1
//! zeros               4 bytes
//! log key             8 bytes: the name of the key that wraps the next
//! data key            40 bytes: 32 random bytes, wrapped (AES-256 key wrap, RFC 3394)
//! content             encrypted by the data key (AES-256-GCM, nonce zero)
//! tag                 16 bytes: over the content, the 64 bytes before it, and the object's path below the log's root
//! ```
//!
//! A data key serves one object once, so its nonce has nothing to be told apart from. The header is as long as a line of the
//! processor's cache, so that a reader's arrays keep the alignment that they were allocated with.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce, UnboundKey},
    error::Unspecified,
    key_wrap::{AES_256, AesKek, KeyWrap},
    rand,
};
use bytes::{Buf, Bytes, BytesMut};
use object_store::path::Path;
use zeroize::Zeroizing;

use super::{
    master::{KEY, KeyId},
    ring::LogKey,
};

const MAGIC: &[u8; 8] = b"TIDESEAL";
const VERSION: u32 = 1;
/// Where the parts of the header begin.
const LOG_KEY: usize = 16;
const DATA_KEY: usize = LOG_KEY + KeyId::BYTES;
/// Bytes that an encrypted object begins with.
pub(super) const HEADER: usize = DATA_KEY + KEY + 8;
/// Bytes by which an encrypted object is longer than what it holds.
#[cfg(test)]
pub(super) const OVERHEAD: usize = HEADER + MAX_TAG_LEN;

/// Whether `object` begins like an encrypted one.
pub(super) fn is_sealed(object: &[u8]) -> bool {
    object.starts_with(MAGIC)
}

/// The name of the log key that `object` is under; `None` when it is not encrypted, or in no way that this program knows.
pub(super) fn log_key_of(object: &[u8]) -> Option<KeyId> {
    let rest = object.strip_prefix(MAGIC)?.strip_prefix(&VERSION.to_le_bytes())?.strip_prefix(&[0; 4])?;
    rest.first_chunk().map(|id| KeyId::from_bytes(*id))
}

/// `content` as it is kept at `path`.
pub(super) fn seal(key: &LogKey, path: &Path, content: &[u8]) -> Result<Bytes, Unspecified> {
    let mut data_key = Zeroizing::new([0; KEY]);
    rand::fill(data_key.as_mut_slice())?;

    let mut object = vec![0; HEADER + content.len() + MAX_TAG_LEN];
    let (header, sealed) = object.split_at_mut(HEADER);
    header[..MAGIC.len()].copy_from_slice(MAGIC);
    header[MAGIC.len()..MAGIC.len() + 4].copy_from_slice(&VERSION.to_le_bytes());
    header[LOG_KEY..DATA_KEY].copy_from_slice(key.id().as_bytes());
    AesKek::new(&AES_256, key.secret())?.wrap(data_key.as_slice(), &mut header[DATA_KEY..])?;

    let sealed_with = Aad::from(associated(header, path));
    let (sealed, tag) = sealed.split_at_mut(content.len());
    cipher(&data_key)?.seal_out_of_place_scatter(nonce(), sealed_with, content, sealed, &[], tag)?;
    Ok(object.into())
}

/// The content of the `object` at `path`, decrypted where it lies when nobody else holds it.
pub(super) fn open(key: &LogKey, path: &Path, object: Bytes) -> Result<Bytes, Unspecified> {
    if object.len() < HEADER + MAX_TAG_LEN {
        return Err(Unspecified);
    }
    let mut object = object.try_into_mut().unwrap_or_else(|shared| BytesMut::from(shared.as_ref()));
    let (header, sealed) = object.split_at_mut(HEADER);
    let mut data_key = Zeroizing::new([0; KEY]);
    AesKek::new(&AES_256, key.secret())?.unwrap(&header[DATA_KEY..], data_key.as_mut_slice())?;

    let sealed_with = Aad::from(associated(header, path));
    let length = cipher(&data_key)?.open_in_place(nonce(), sealed_with, sealed)?.len();
    object.truncate(HEADER + length);
    object.advance(HEADER);
    Ok(object.freeze())
}

fn cipher(data_key: &[u8; KEY]) -> Result<LessSafeKey, Unspecified> {
    UnboundKey::new(&AES_256_GCM, data_key).map(LessSafeKey::new)
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

fn associated(header: &[u8], path: &Path) -> Vec<u8> {
    [header, path.as_ref().as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::{master::MasterKey, ring::Ring},
        *,
    };

    fn ring() -> Ring {
        Ring::first(&MasterKey::parse(&"ab".repeat(32)).unwrap()).unwrap()
    }

    fn at(path: &str) -> Path {
        Path::from(path)
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens(content in prop::collection::vec(any::<u8>(), 0..3_000), path in "[a-z/.%~-]{1,40}") {
            let (ring, path) = (ring(), Path::from(path));
            let key = ring.newest().unwrap();
            let object = seal(key, &path, &content).unwrap();
            prop_assert_eq!(object.len(), content.len() + OVERHEAD);
            prop_assert_eq!(log_key_of(&object), Some(key.id()));
            prop_assert!(content.len() < 16 || !object.windows(16).any(|window| window == &content[..16]));
            // Alone, and while somebody else holds it too.
            let shared = object.clone();
            prop_assert_eq!(open(key, &path, object).unwrap(), &content);
            prop_assert_eq!(open(key, &path, shared.slice(..)).unwrap(), &content);
        }

        #[test]
        fn another_byte_length_path_or_key_does_not_open(
            content in prop::collection::vec(any::<u8>(), 0..300), bit in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>()
        ) {
            let (ring, path) = (ring(), at("log/1"));
            let key = ring.newest().unwrap();
            let object = seal(key, &path, &content).unwrap();
            let mut flipped = object.to_vec();
            let bit = bit.index(flipped.len() * 8);
            flipped[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(open(key, &path, flipped.into()).is_err(), "bit {}", bit);
            prop_assert!(open(key, &path, object.slice(..cut.index(object.len()))).is_err());
            prop_assert!(open(key, &path, [object.as_ref(), &[0]].concat().into()).is_err());
            prop_assert!(open(key, &at("log/2"), object.clone()).is_err());
            let next = ring.next(&MasterKey::parse(&"ab".repeat(32)).unwrap()).unwrap();
            prop_assert!(open(next.newest().unwrap(), &path, object.clone()).is_err());
            prop_assert!(open(key, &path, object).is_ok());
        }
    }

    #[test]
    fn the_same_content_never_looks_the_same() {
        let (ring, path) = (ring(), at("log/1"));
        let key = ring.newest().unwrap();
        let (one, two) = (seal(key, &path, b"content").unwrap(), seal(key, &path, b"content").unwrap());
        assert_ne!(one[HEADER..], two[HEADER..]);
        assert_ne!(one[DATA_KEY..HEADER], two[DATA_KEY..HEADER]);
    }
}
