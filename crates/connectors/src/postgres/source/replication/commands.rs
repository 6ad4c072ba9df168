//! What a replication session is asked before it streams.

use std::time::Duration;

use tidemark_engine::{Error, Result};

use super::{
    feed::{Feed, refused},
    startup,
    wire::{Row, Wire, unexpected},
};
use crate::postgres::{
    connection::{Server, ServerReport, UNLIMITED_SINCE_14},
    identifier::quoted,
    lsn::Lsn,
};

/// The first version whose `pgoutput` sends binary values.
const SENDS_BINARY: u32 = 14_00_00;

/// A session for logical replication. Dropping it ends it, and with it the temporary slots and the snapshot it has made.
pub(in crate::postgres) struct Replication {
    wire: Wire,
    server: String,
    version: u32,
    /// How long the server waits for a word from us; `None` for ever.
    patience: Option<Duration>,
}

/// Which log it is that the server writes, and how far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::postgres) struct Identity {
    /// The number a cluster is given when it is made; its physical copies share it.
    pub(in crate::postgres) system: String,
    /// Grows by one with each promotion of a standby.
    pub(in crate::postgres) timeline: u32,
    /// How far the log is on the server's disk.
    pub(in crate::postgres) flushed: Lsn,
}

/// The state of the database at one place in its log, which other sessions can look at too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::postgres) struct ExportedSnapshot {
    /// For `SET TRANSACTION SNAPSHOT`, as long as the session that made it lives and asks nothing else.
    pub(in crate::postgres) snapshot: String,
    /// It holds exactly what was committed before this place; the changes after it are those a slot streams from here.
    pub(in crate::postgres) point: Lsn,
}

impl Replication {
    /// Logs in for `purpose`. Needs the `REPLICATION` attribute.
    pub(in crate::postgres) async fn connect(server: &Server, purpose: &str) -> Result<Self> {
        let transport = startup::log_in(server, purpose).await?;
        let mut session =
            Self { wire: Wire::new(transport), server: server.place(), version: 0, patience: None };
        session.ask("set up a session", UNLIMITED_SINCE_14).await?;
        let settings = "SELECT name, setting FROM pg_catalog.pg_settings \
                        WHERE name IN ('server_version_num', 'wal_sender_timeout') ORDER BY name";
        let rows = session.ask("read the server's settings", settings).await?;
        session.version = field(&rows, 0, 1)?;
        session.patience = Some(field(&rows, 1, 1)?).filter(|millis| *millis > 0).map(Duration::from_millis);
        Ok(session)
    }

    /// Which log this is.
    pub(in crate::postgres) async fn identify(&mut self) -> Result<Identity> {
        let rows = self.ask("identify the server", "IDENTIFY_SYSTEM").await?;
        Ok(Identity {
            system: field(&rows, 0, 0)?,
            timeline: field(&rows, 0, 1)?,
            flushed: field_lsn(&rows, 2)?,
        })
    }

    /// Makes a slot that goes with this session, and shows the database as it is where the slot begins.
    ///
    /// Waits until every transaction that is now open has ended.
    pub(in crate::postgres) async fn create_temporary_slot(
        &mut self,
        name: &str,
    ) -> Result<ExportedSnapshot> {
        // The older of two ways to write it: every version understands it.
        let command =
            format!("CREATE_REPLICATION_SLOT {} TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT", quoted(name));
        let rows = self.ask(&format!("create temporary replication slot `{name}`"), &command).await?;
        Ok(ExportedSnapshot { snapshot: field(&rows, 0, 2)?, point: field_lsn(&rows, 1)? })
    }

    /// Makes a lasting slot and returns where it begins.
    ///
    /// Waits until every transaction that is now open has ended.
    pub(in crate::postgres) async fn create_slot(&mut self, name: &str) -> Result<Lsn> {
        let command = format!("CREATE_REPLICATION_SLOT {} LOGICAL pgoutput NOEXPORT_SNAPSHOT", quoted(name));
        let rows = self.ask(&format!("create replication slot `{name}`"), &command).await?;
        field_lsn(&rows, 1)
    }

    /// Streams what `publication` lets through of the transactions that commit after `from`, values in binary where `binary`
    /// is set and the server is version 14 or later.
    ///
    /// The slot itself may stand later than `from`; the server then begins there without a word, so look first.
    pub(in crate::postgres) async fn start(
        mut self,
        slot: &str,
        from: Lsn,
        publication: &str,
        binary: bool,
    ) -> Result<Feed> {
        let binary = if binary && self.version >= SENDS_BINARY { ", binary 'true'" } else { "" };
        let command = format!(
            "START_REPLICATION SLOT {} LOGICAL {from} (proto_version '1', publication_names '{}'{binary})",
            quoted(slot),
            // Strings of replication commands know no backslash.
            quoted(publication).replace('\'', "''"),
        );
        self.wire.send(&command).await?;
        loop {
            let message = self.wire.receive().await?;
            match message.tag {
                b'W' => return Ok(Feed::start(self.wire, self.server, from, self.patience)),
                b'E' => {
                    let doing = format!("cannot stream from replication slot `{slot}` of `{}`", self.server);
                    return Err(refused(doing, ServerReport::read(&message.body)));
                }
                b'N' | b'S' => {}
                other => return Err(unexpected(other)),
            }
        }
    }

    async fn ask(&mut self, doing: &str, command: &str) -> Result<Vec<Row>> {
        let doing = format!("cannot {doing} at `{}`", self.server);
        self.wire.ask(&doing, command).await
    }
}

fn field<T: std::str::FromStr>(rows: &[Row], row: usize, column: usize) -> Result<T> {
    let text = rows.get(row).and_then(|row| row.get(column)?.as_deref());
    text.and_then(|text| text.parse().ok()).ok_or_else(|| {
        Error::internal("the server answered a replication command in a way that is not understood")
    })
}

fn field_lsn(rows: &[Row], column: usize) -> Result<Lsn> {
    field(rows, 0, column)
}
