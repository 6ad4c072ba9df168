//! The form of the objects that are not data: a magic word, a header as JSON, sections of bytes, and a hash over all of it.
//!
//! ```text
//! magic               8 bytes, the kind of object
//! header length       4 bytes, little endian
//! header              JSON
//! sections            one after another as the header lists them
//! hash                32 bytes: BLAKE3 of everything before it
//! ```

use bytes::{Bytes, BytesMut};
use serde::Serialize;

use crate::{Digest, Error, Result};

/// The first bytes of an object, by kind.
pub(super) type Magic = [u8; 8];

const LENGTH: usize = size_of::<u32>();
const HASH: usize = 32;

/// An object that has been verified, or just been made.
#[derive(Debug, Clone)]
pub(super) struct Sealed {
    /// All of it.
    pub(super) bytes: Bytes,
    /// Where its sections begin.
    pub(super) sections: usize,
    pub(super) hash: Digest,
}

impl Sealed {
    /// Makes one of `header` and `sections`. `what` names it in errors.
    pub(super) fn new(magic: &Magic, header: &impl Serialize, sections: &[u8], what: &str) -> Result<Self> {
        let json = serde_json::to_vec(header)
            .map_err(|error| Error::internal(format!("cannot write the header of {what}")).source(error))?;
        let length = u32::try_from(json.len())
            .map_err(|_| Error::data(format!("the header of {what} is too large (4 GiB)")))?;
        let mut bytes = BytesMut::with_capacity(magic.len() + LENGTH + json.len() + sections.len() + HASH);
        bytes.extend_from_slice(magic);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&json);
        let begin = bytes.len();
        bytes.extend_from_slice(sections);
        let hash = Digest::of(&bytes);
        bytes.extend_from_slice(hash.as_bytes());
        Ok(Self { bytes: bytes.freeze(), sections: begin, hash })
    }

    /// Verifies one that was read back. What a torn, rotten or foreign object fails with says so.
    pub(super) fn open(magic: &Magic, bytes: Bytes) -> Result<Self, &'static str> {
        let (content, hash) = bytes.split_last_chunk::<HASH>().ok_or("it is too short")?;
        let hash = Digest::from_bytes(*hash);
        if Digest::of(content) != hash {
            return Err("its hash does not match its content");
        }
        let rest = content.strip_prefix(magic).ok_or("it is another kind of object")?;
        let (length, rest) = rest.split_first_chunk::<LENGTH>().ok_or("it has no header")?;
        let length = u32::from_le_bytes(*length) as usize;
        rest.get(..length).ok_or("its header is cut off")?;
        Ok(Self { sections: magic.len() + LENGTH + length, bytes, hash })
    }

    /// The header.
    pub(super) fn header<'s, T: serde::Deserialize<'s>>(&'s self) -> Result<T, &'static str> {
        let json = self.bytes.get(size_of::<Magic>() + LENGTH..self.sections).ok_or("it has no header")?;
        serde_json::from_slice(json).map_err(|_| "its header cannot be read")
    }

    /// A section; `None` when it does not lie inside.
    pub(super) fn section(&self, offset: u64, length: u64) -> Option<Bytes> {
        section(&self.bytes, self.sections, offset, length)
    }
}

/// The part of `bytes` that lies `offset` after `begin`, and before the hash at the end.
pub(super) fn section(bytes: &Bytes, begin: usize, offset: u64, length: u64) -> Option<Bytes> {
    let begin = usize::try_from(offset).ok()?.checked_add(begin)?;
    let end = begin.checked_add(usize::try_from(length).ok()?)?;
    let last = bytes.len().checked_sub(HASH)?;
    (begin <= end && end <= last).then(|| bytes.slice(begin..end))
}
