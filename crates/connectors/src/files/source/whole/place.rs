//! Where a sweep over files goes on.

use serde::{Deserialize, Serialize};
use tidemark_engine::{Digest, Error, Result};

use super::super::{cursor::Mark, folder::Found};

/// The token of a page. It holds as long as the files are those that the sweep began with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// Of names, sizes and times of all files.
    pub(super) files: String,
    /// How many of them have been read to their ends.
    pub(super) ended: usize,
    /// How far the next one has been read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mark: Option<Mark>,
}

impl Place {
    /// As the text that is kept.
    pub(super) fn to_token(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|error| Error::internal("a place among files cannot be written").source(error))
    }

    /// Reads it back; `None` when it makes no sense.
    pub(super) fn from_token(token: &str) -> Option<Self> {
        serde_json::from_str(token).ok()
    }
}

/// What tells these files, as they are, from others.
pub(super) fn digest(files: &[Found]) -> String {
    let mut text = String::new();
    for Found { path, size, modified, inode, .. } in files {
        text += &format!("{path}\0{size}\0{}\0{inode:?}\n", modified.as_micros());
    }
    Digest::of(text.as_bytes()).to_string()
}
