//! SQLite: a database file as a destination.

mod config;

pub use config::DestinationConfig;
