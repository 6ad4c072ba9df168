//! How much of its log the server keeps for us.

use tidemark_engine::Result;

use super::Source;
use crate::postgres::connection::failure;

/// What a slot that lags costs the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldBack {
    /// Bytes of log from the oldest that is kept for the slot to the newest; `None` when the log it needs is lost.
    pub bytes: Option<u64>,
    /// `reserved`, `extended` (more than `max_wal_size`), `unreserved` (about to be removed) or `lost`.
    pub status: String,
}

const HELD: &str = "
    SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint, coalesce(wal_status, 'lost')
    FROM pg_catalog.pg_replication_slots WHERE slot_name = $1::text::name";

impl Source {
    /// How much log the server keeps for the slot; `None` while there is no slot.
    pub async fn held_back(&self) -> Result<Option<HeldBack>> {
        let session = self.server.connect("status").await?;
        let row = session.query_opt(HELD, &[&self.slot()]).await;
        let row = row
            .map_err(|error| failure(format!("cannot look at replication slot `{}`", self.slot()), error))?;
        Ok(row.map(|row| HeldBack {
            bytes: row.get::<_, Option<i64>>(0).and_then(|bytes| u64::try_from(bytes).ok()),
            status: row.get(1),
        }))
    }
}
