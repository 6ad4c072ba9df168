//! Databases that are asked again and again: tables, and what queries find. What the pipeline file says of them, and what holds for
//! all of them, whatever the system.

mod config;
mod overlap;
mod plan;
mod unique;

pub(crate) use config::QueryStream;
pub(crate) use config::{Asked, validate};
pub(crate) use plan::{Terms, plan};
pub(crate) use unique::Unique;
