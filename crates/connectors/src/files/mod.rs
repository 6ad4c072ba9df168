//! Files in a folder: CSV, JSON Lines and Parquet, as a source and as a destination.

mod config;
pub mod source;

pub use config::{
    DestinationConfig, DestinationFormat, OnRewrite, SourceConfig, SourceFormat, StreamConfig, Streams,
};
pub use source::Source;
