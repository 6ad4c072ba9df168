//! Random stories, to be told to destinations in units cut at random: a source in memory, the log that it leaves, and what tables hold in
//! the end.

pub(crate) mod changes;
pub(crate) mod models;
pub(crate) mod source;
