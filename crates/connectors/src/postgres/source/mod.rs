//! Reading a PostgreSQL database: its tables as they are, then every change from its log.

mod changes;
mod cursor;
mod definitions;
pub(crate) mod replication;
mod sync;
mod table;
