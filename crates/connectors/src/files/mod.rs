//! Files in a folder: CSV, JSON Lines and Parquet, as a source and as a destination; this one also in object storage, and in XML.

mod config;
mod destination;
mod source;
mod system;

pub use config::{
    ChangesConfig, DestinationConfig, DestinationFormat, OnRewrite, SourceConfig, SourceFormat, StreamConfig,
    Streams,
};
pub use destination::Destination;
pub use source::{FilesStrategy, Source};
