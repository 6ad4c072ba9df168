//! What a manifest is made of: its entries, and the files they name.
//!
//! An entry is a line of JSON and a line with its BLAKE3 hash. Each holds the hash of the one before, so a chain that was tampered with is
//! noticed.

use std::hash::{BuildHasher, Hasher, RandomState};

use serde::{Deserialize, Serialize};
use tidemark_engine::{Digest, Error, Result, write::Standing};

/// How many entries share a folder.
pub(super) const FOLDER: u64 = 10_000;

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

impl Entry {
    /// What is stored, and the hash in it.
    pub(super) fn encode(&self) -> Result<(Vec<u8>, Digest)> {
        let json = serde_json::to_vec(self)
            .map_err(|error| Error::internal("a manifest entry cannot be written").source(error))?;
        let hash = Digest::of(&json);
        Ok(([&json[..], b"\n", hash.to_string().as_bytes(), b"\n"].concat(), hash))
    }

    /// The entry that is stored as `content`, and its hash, which must be the one that stands beside it. `place` names it in messages.
    pub(super) fn decode(content: &[u8], place: &str) -> Result<(Self, Digest)> {
        let mut lines = content.split(|byte| *byte == b'\n');
        let json = lines.next().unwrap_or_default();
        let written = lines.next().and_then(|line| std::str::from_utf8(line).ok()).and_then(Digest::parse);
        let hash = Digest::of(json);
        if written != Some(hash) {
            return Err(damaged(place));
        }
        let entry = serde_json::from_slice(json).map_err(|error| damaged(place).source(error))?;
        Ok((entry, hash))
    }
}

/// Tells the entries of this process from others'.
pub(super) fn writer() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

/// Where entry `number` stands in its manifest.
pub(super) fn path(number: u64) -> String {
    format!("{:08}/{number:012}", number / FOLDER)
}

pub(super) fn damaged(place: &str) -> Error {
    Error::conflict(format!("the manifest entry `{place}` is missing or damaged"))
        .hint("restore the folder from a backup, or give the destination another `path`")
}

pub(super) fn foreign(folder: &str) -> Error {
    Error::conflict(format!("the folder `{folder}` holds a file that is not Tidemark's"))
        .hint("remove what does not belong there")
}

pub(super) fn taken_over() -> Error {
    Error::conflict("another process has taken over the destination")
        .hint("let only one `tidemark run` write to it")
}
