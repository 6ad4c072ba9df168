//! Files in a folder: CSV, JSON Lines and Parquet, as a source and as a destination.

mod config;
mod destination;
mod source;

pub use config::{
    DestinationConfig, DestinationFormat, OnRewrite, SourceConfig, SourceFormat, StreamConfig, Streams,
};
pub use destination::Destination;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub use source::fuzzing;
pub use source::{FilesStrategy, Source};
