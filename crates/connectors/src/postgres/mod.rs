//! PostgreSQL, as a source (by its log of changes, or by queries) and as a destination.

mod compared;
mod config;
mod connection;
mod destination;
mod identifier;
mod lsn;
#[doc(hidden)]
pub mod measured;
mod query;
mod source;
mod system;
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

pub use query::{QueryConfig, QuerySource};
pub use source::{HeldBack, Made, Source};
