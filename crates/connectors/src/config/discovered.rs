//! A stream that a source offers.

use std::{fmt, sync::Arc};

use tidemark_engine::{change::ChangeBatch, schema::StreamSchema};

/// A stream as the source shows it before anything is read into a log.
#[derive(Debug, Clone)]
pub struct Discovered {
    /// Its schema, as far as the source tells now.
    pub schema: Arc<StreamSchema>,
    /// How much of it there is.
    pub extent: Extent,
    /// Its first records, where they were asked for.
    pub sample: Option<ChangeBatch>,
}

/// How much there is of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// It stands in so many files.
    Files(usize),
    /// It has about so many records; `None`: the source has not counted.
    Records(Option<u64>),
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files(1) => f.write_str("1 file"),
            Self::Files(files) => write!(f, "{files} files"),
            Self::Records(None) => f.write_str("not counted"),
            Self::Records(Some(records)) => write!(f, "about {records} records"),
        }
    }
}
