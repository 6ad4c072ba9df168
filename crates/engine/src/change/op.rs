//! What happened to a record.

use crate::{Error, Result};

/// The operation of a change; the letters are Debezium's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// `r`: read by the initial sync.
    Read,
    /// `c`: created.
    Create,
    /// `u`: updated.
    Update,
    /// `d`: deleted.
    Delete,
    /// `t`: every record of the stream removed at once. A barrier: it holds no values.
    Truncate,
}

impl Op {
    /// Its letter, as an ASCII byte.
    pub fn letter(self) -> u8 {
        self.as_str().as_bytes()[0]
    }

    /// Its letter, as text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "r",
            Self::Create => "c",
            Self::Update => "u",
            Self::Delete => "d",
            Self::Truncate => "t",
        }
    }

    /// The operation of a letter. An unknown letter is an error, never skipped.
    pub fn from_letter(letter: u8) -> Result<Self> {
        match letter {
            b'r' => Ok(Self::Read),
            b'c' => Ok(Self::Create),
            b'u' => Ok(Self::Update),
            b'd' => Ok(Self::Delete),
            b't' => Ok(Self::Truncate),
            _ => Err(Error::conflict(format!("a change has the unknown operation {letter:#04x}"))
                .hint("a newer Tidemark may have written it: upgrade this one")),
        }
    }
}
