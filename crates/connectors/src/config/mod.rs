//! What every connector's part of the pipeline file is made of: units in human form, the problems a validation
//! finds, and the closed list of systems.

mod discovered;
mod findings;
mod home;
mod place;
mod problem;
mod secret;
mod systems;
mod tables;
mod units;
mod writing;

pub use crate::postgres::HeldBack;
pub use discovered::{Discovered, Extent};
pub use findings::Findings;
pub use home::Home;
pub use place::Place;
pub use problem::Problem;
pub use secret::Secret;
pub use systems::{DestinationConfig, DestinationSystem, NamedStreams, SourceConfig, SourceSystem};
pub use tables::Tables;
pub use units::{ByteSize, Interval};
pub use writing::{TableName, Writing};
