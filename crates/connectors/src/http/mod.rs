//! Systems that are spoken to over HTTP: one engine for APIs, lists and feeds.

pub mod client;
mod config;
mod presets;
mod source;
mod system;

pub use config::{
    ChangesConfig, DeltaConfig, Format, Method, Paging, ParentConfig, SourceConfig, StreamConfig, Vanished,
};
pub use presets::{PRESETS, Preset};
pub use source::Source;
