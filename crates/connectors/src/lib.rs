//! The systems Tidemark reads from and writes to. One folder a system, each with the same rooms: `config` (what the
//! pipeline file says), `source/` (its read strategy), `destination/` (its write strategy). A connector depends on the
//! engine's traits alone; it never touches the log.

pub mod comparing;
pub mod config;
pub mod files;
mod metadata;
pub mod object_stores;
pub mod postgres;
pub mod sqlite;
