//! PostgreSQL, as a source and as a destination.

mod compared;
mod config;
mod connection;
mod destination;
mod identifier;
mod lsn;
mod source;
mod types;

pub use config::{DestinationConfig, SourceConfig, StreamConfig, Streams};
pub use destination::Destination;
pub use source::{HeldBack, Made, Source};
