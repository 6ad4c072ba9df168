//! `cargo xtask bench postgres`: PostgreSQL through the staging log into PostgreSQL, and changes into the staging log alone, on
//! a server of our own that syncs to disk. Beside them what PostgreSQL's own programs need.

mod changes;
mod initial_sync;
mod orders;
mod pipeline;

use tidemark_test_servers::{Database, Postgres};

use super::build;
use crate::{
    Result,
    needs::{self, Need},
    project::Project,
};

/// What a server is given that has work to do. Housekeeping that comes and goes would make runs differ.
const SETTINGS: [(&str, &str); 3] =
    [("shared_buffers", "256MB"), ("max_wal_size", "8GB"), ("autovacuum", "off")];

/// Measures `rows` rows of an initial sync, and changes in proportion.
pub(crate) fn postgres(project: &Project, install: bool, rows: u64) -> Result {
    needs::meet(project, &[Need::Postgres], install, "cargo xtask bench postgres")?;
    build(project)?;
    let server = Postgres::with_settings(&SETTINGS);
    initial_sync::compare(project, &server, rows)?;
    changes::compare(project, &server, rows)
}

/// Leaves nothing of earlier work to be done during the next.
fn settle(database: &Database<'_>) {
    database.execute("CHECKPOINT");
}
