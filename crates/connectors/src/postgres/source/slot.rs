//! The replication slot: how far the server keeps its log for us.
//! <https://www.postgresql.org/docs/current/view-pg-replication-slots.html>

use tidemark_engine::{Error, Result};
use tokio_postgres::Client;

use super::replication::Identity;
use crate::postgres::{connection::failure, lsn::Lsn};

/// Nothing less than reading everything again makes up for changes that are lost.
pub(in crate::postgres) const RESYNC: &str = "changes may be missing: run `tidemark resync FILE` and then the pipeline, which makes a new slot and reads every table \
     again; destinations keep what they have until then";

/// A slot as the server has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::postgres) struct Slot {
    pub(in crate::postgres) name: String,
    plugin: String,
    database: String,
    /// Whether it is in the database we are connected to.
    here: bool,
    /// The server's process that streams from it now.
    pub(in crate::postgres) active_pid: Option<i32>,
    /// From where the log is kept.
    pub(in crate::postgres) restart: Option<Lsn>,
    /// Up to where we have acknowledged it; streaming begins no earlier.
    pub(in crate::postgres) confirmed: Option<Lsn>,
    /// `reserved`, `extended`, `unreserved`, `lost`.
    pub(in crate::postgres) wal_status: String,
    /// Standbys keep it too (version 17).
    failover: bool,
}

/// Where we stand in which log, from a durable cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::postgres) struct Standing {
    pub(in crate::postgres) system: String,
    pub(in crate::postgres) timeline: u32,
    /// Everything before it is durable with us.
    pub(in crate::postgres) lsn: Lsn,
}

const SLOT: &str = "
    SELECT coalesce(s.plugin::text, ''), coalesce(s.database::text, ''),
           coalesce(s.database = current_database(), false), s.active_pid, s.restart_lsn::text,
           s.confirmed_flush_lsn::text, coalesce(s.wal_status, 'lost'),
           coalesce(to_jsonb(s) ->> 'failover' = 'true', false)
    FROM pg_catalog.pg_replication_slots s WHERE s.slot_name = $1::text::name";

impl Slot {
    /// The slot called `name`, if there is one.
    pub(in crate::postgres) async fn inspect(session: &Client, name: &str) -> Result<Option<Self>> {
        let doing = || format!("cannot look at replication slot `{name}`");
        let row = session.query_opt(SLOT, &[&name]).await.map_err(|error| failure(doing(), error))?;
        let Some(row) = row else { return Ok(None) };
        let lsn = |column| row.get::<_, Option<&str>>(column).and_then(|text| text.parse().ok());
        Ok(Some(Self {
            name: name.to_owned(),
            plugin: row.get(0),
            database: row.get(1),
            here: row.get(2),
            active_pid: row.get(3),
            restart: lsn(4),
            confirmed: lsn(5),
            wal_status: row.get(6),
            failover: row.get(7),
        }))
    }

    /// Drops the slot called `name`; one that is not there is as good as dropped. Nobody may be streaming from it.
    pub(in crate::postgres) async fn drop(session: &Client, name: &str) -> Result<()> {
        let sql = "SELECT pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots \
                   WHERE slot_name = $1::text::name";
        let dropped = session.execute(sql, &[&name]).await;
        dropped.map_err(|error| failure(format!("cannot drop replication slot `{name}`"), error))?;
        Ok(())
    }

    /// Whether it is a slot such as we make, in this database: one that may be dropped.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Conflict`].
    pub(in crate::postgres) fn of_our_kind(&self) -> Result<()> {
        let Self { name, plugin, database, .. } = self;
        if plugin != "pgoutput" {
            return Err(Error::conflict(format!(
                "replication slot `{name}` is one of `{plugin}`, not of `pgoutput`"
            ))
            .hint("name another `slot`, or drop this one if nobody uses it"));
        }
        if !self.here {
            return Err(Error::conflict(format!(
                "replication slot `{name}` belongs to database `{database}`"
            ))
            .hint("name another `slot`: each belongs to one database"));
        }
        Ok(())
    }

    /// Whether it can be streamed from at all.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Conflict`].
    pub(in crate::postgres) fn usable(&self) -> Result<()> {
        self.of_our_kind()?;
        let name = &self.name;
        if self.wal_status == "lost" {
            return Err(Error::conflict(format!(
                "the server has removed the log that replication slot `{name}` was to keep"
            ))
            .hint(format!("{RESYNC}; raise `max_slot_wal_keep_size` so that it does not happen again")));
        }
        if self.wal_status == "unreserved" {
            tracing::warn!(slot = name, "the server is about to remove log that we have not read");
        } else if self.wal_status == "extended" {
            tracing::warn!(slot = name, "the server keeps more log for us than `max_wal_size`");
        }
        Ok(())
    }
}

/// Whether what `slot` streams from the server `identity` continues where we `stand`: `None` before the first commit.
///
/// A server silently begins at the slot's own place where that is later than the one asked for, so this is asked before every
/// streaming. Fails with [`tidemark_engine::ErrorKind::Conflict`].
pub(in crate::postgres) fn verify(
    slot: Option<&Slot>,
    name: &str,
    standing: Option<&Standing>,
    identity: &Identity,
) -> Result<()> {
    if let Some(slot) = slot {
        slot.usable()?;
    }
    let Some(standing) = standing else { return Ok(()) };
    if standing.system != identity.system {
        return Err(Error::conflict(format!(
            "this is another server: its system identifier is `{}`, and the staged changes came from `{}`",
            identity.system, standing.system
        ))
        .hint(format!("point `url` at the server it was; if this one took its place, {RESYNC}")));
    }
    let Some(slot) = slot else {
        return Err(Error::conflict(format!("replication slot `{name}` is gone")).hint(RESYNC));
    };
    if standing.timeline != identity.timeline && !slot.failover {
        return Err(Error::conflict(format!(
            "the server was replaced by a copy of itself: its timeline went from {} to {}",
            standing.timeline, identity.timeline
        ))
        .hint(RESYNC));
    }
    if identity.flushed < standing.lsn {
        return Err(Error::conflict(format!(
            "the server's log ends at {}, before {}, which has been read from it: it was restored, or replaced by a copy that lagged",
            identity.flushed, standing.lsn
        ))
        .hint(RESYNC));
    }
    match slot.confirmed {
        Some(confirmed) if confirmed > standing.lsn => Err(Error::conflict(format!(
            "replication slot `{name}` stands at {confirmed}, beyond {}, where the staged changes end",
            standing.lsn
        ))
        .hint(format!("{RESYNC}; somebody else has read from the slot, or made it anew"))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use tidemark_engine::ErrorKind;

    use super::*;

    fn slot() -> Slot {
        Slot {
            name: "s".to_owned(),
            plugin: "pgoutput".to_owned(),
            database: "d".to_owned(),
            here: true,
            active_pid: None,
            restart: Some(Lsn(5)),
            confirmed: Some(Lsn(10)),
            wal_status: "reserved".to_owned(),
            failover: false,
        }
    }

    fn refusal(slot: Option<Slot>, lsn: u64, timeline: u32, system: &str) -> String {
        let standing = Standing { system: "1".to_owned(), timeline: 1, lsn: Lsn(lsn) };
        let identity = Identity { system: system.to_owned(), timeline, flushed: Lsn(20) };
        match verify(slot.as_ref(), "s", Some(&standing), &identity) {
            Ok(()) => String::new(),
            Err(error) => {
                assert_eq!((error.kind(), error.hint_text().is_some()), (ErrorKind::Conflict, true));
                error.to_string()
            }
        }
    }

    #[test]
    fn a_slot_that_goes_on_is_accepted() {
        for lsn in [10, 15] {
            assert_eq!(refusal(Some(slot()), lsn, 1, "1"), "");
        }
        assert_eq!(refusal(Some(Slot { failover: true, ..slot() }), 10, 2, "1"), "");
        let identity = Identity { system: "1".to_owned(), timeline: 1, flushed: Lsn(20) };
        verify(None, "s", None, &identity).unwrap();
    }

    #[test]
    fn whatever_could_have_lost_changes_stops() {
        let lost = Slot { wal_status: "lost".to_owned(), ..slot() };
        let other = Slot { plugin: "wal2json".to_owned(), ..slot() };
        let elsewhere = Slot { here: false, ..slot() };
        assert_eq!(refusal(None, 10, 1, "1"), "replication slot `s` is gone");
        assert!(refusal(Some(lost), 10, 1, "1").contains("removed the log"));
        assert!(refusal(Some(other), 10, 1, "1").contains("`wal2json`"));
        assert!(refusal(Some(elsewhere), 10, 1, "1").contains("database `d`"));
        assert!(refusal(Some(slot()), 9, 1, "1").contains("stands at 0/A, beyond 0/9"));
        assert!(refusal(Some(slot()), 10, 1, "2").contains("another server"));
        assert!(refusal(Some(slot()), 10, 2, "1").contains("timeline went from 1 to 2"));
    }
}
