//! PostgreSQL, as a source and as a destination.

mod compared;
mod config;
mod connection;
mod destination;
mod identifier;
mod lsn;
#[doc(hidden)]
pub mod measured;
mod source;
mod types;

pub use config::{DestinationConfig, SourceConfig, StreamConfig, Streams};
pub use destination::Destination;
/// Doors for the fuzz targets, built for them alone.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing {
    pub use super::{
        source::{copy, messages},
        types::fuzzing::value,
    };
}

pub use source::{HeldBack, Made, Source};

/// The bytes that the places of changes compare with, of everything at or before the log sequence number `text`.
pub(crate) fn source_position(text: &str) -> Option<Vec<u8>> {
    let lsn: lsn::Lsn = text.parse().ok()?;
    // A change's place is that of its transaction's commit, and then its number in it.
    Some([lsn.to_bytes(), [0xff; 8]].concat())
}
