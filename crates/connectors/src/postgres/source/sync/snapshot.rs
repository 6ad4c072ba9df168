//! The snapshot that chunks are read in, and where the server's log was when it was taken.

use std::time::Duration;

use tidemark_engine::{Error, Result, Time, world::World};

use crate::postgres::{
    connection::{Server, Session, failure},
    lsn::Lsn,
    source::replication::{ExportedSnapshot, Replication},
};

/// A snapshot holds back vacuum on the whole server, so no chunk is begun in an older one, unless all must be of one.
const OLD: Duration = Duration::from_secs(30 * 60);

/// How long to wait in silence for open transactions to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// A snapshot, which lives as long as this does. It shows exactly the transactions that were committed before its point.
pub(super) struct Snapshot {
    exported: ExportedSnapshot,
    /// The server forgets the snapshot with this connection.
    _connection: Replication,
}

impl Snapshot {
    /// Takes a snapshot by way of a temporary slot. The server waits for every transaction that is open; which one, is logged.
    pub(super) async fn take(server: &Server, world: &World) -> Result<Self> {
        let mut connection = Replication::connect(server, "snapshot").await?;
        let slot = format!("tidemark_sync_{}", world.name(12));
        let exported = {
            let mut creating = std::pin::pin!(connection.create_temporary_slot(&slot));
            loop {
                tokio::select! {
                    exported = &mut creating => break exported?,
                    () = world.sleep(PATIENCE) => say_who_is_in_the_way(server).await,
                }
            }
        };
        Ok(Self { exported, _connection: connection })
    }

    /// What other sessions know it by.
    pub(super) fn name(&self) -> &str {
        &self.exported.snapshot
    }

    /// Transactions that were committed at or after this are not in it.
    pub(super) fn point(&self) -> Lsn {
        self.exported.point
    }
}

/// Whether a snapshot taken at `begun` should be given back.
pub(super) fn is_old(begun: Time, world: &World) -> bool {
    u128::from(world.now().micros_since(begun)) > OLD.as_micros()
}

async fn say_who_is_in_the_way(server: &Server) {
    let oldest = async {
        let session = server.connect("progress").await.ok()?;
        let sql =
            "SELECT pid, coalesce(application_name, ''), (now() - xact_start)::text FROM pg_stat_activity
                   WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() ORDER BY xact_start LIMIT 1";
        session.query_opt(sql, &[]).await.ok().flatten()
    };
    let Some(row) = oldest.await else { return };
    let (pid, application, open): (i32, String, String) = (row.get(0), row.get(1), row.get(2));
    tracing::info!(pid, application, open, "the initial sync waits for a transaction of the source to end");
}

/// The end of the server's log: everything that has been committed by now lies before it.
pub(in crate::postgres::source) async fn end_of_log(session: &Session) -> Result<Lsn> {
    let row = session.query_one("SELECT pg_current_wal_insert_lsn()::text", &[]).await;
    let row = row.map_err(|error| failure("cannot ask where the source's log ends", error))?;
    let text: String = row.get(0);
    let lsn: Lsn = text.parse().map_err(|_| Error::data(format!("the source's log ends at `{text}`")))?;
    Ok(without_page_header(lsn))
}

/// At the start of a page the position to insert at is behind the page's header, which the stream does not reach before
/// something is written there.
fn without_page_header(lsn: Lsn) -> Lsn {
    const PAGE: u64 = 8_192;
    match lsn.0 % PAGE {
        header @ (24 | 40) => Lsn(lsn.0 - header),
        _ => lsn,
    }
}
