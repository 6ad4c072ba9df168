//! From messages to batches: which stream a message is of, what its records are, and what to do with one that has none.

mod gathered;
mod invalid;
mod layout;
mod tables;

pub(super) use layout::Layout;
pub(super) use tables::Tables;
