//! Reading a PostgreSQL database: its tables as they are, then every change from its log.

pub(crate) mod replication;
