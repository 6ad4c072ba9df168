//! Where the source goes on: what is there at the server, whether it is as we left it, and what has to be made.

use std::{collections::BTreeSet, sync::Arc};

use tidemark_engine::{Cursor, Error, Result, read::Lane};

use super::{
    Source, catalog, continuity,
    cursor::{StreamCursor, SyncCursor},
    publication::Publication,
    replication::Replication,
    selection::{Selection, TableToRead},
    slot::{self, RESYNC, Slot},
    table::Table,
};
use crate::postgres::{connection::Session, lsn::Lsn};

impl Source {
    /// Where the stream goes on, durably, and the tables to read, published.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Conflict`] when going on could lose changes.
    pub(super) async fn resume(
        &self,
        session: &Session,
        replication: &mut Replication,
        from: &Cursor,
        lane: &mut Lane,
    ) -> Result<(StreamCursor, Vec<Arc<Table>>)> {
        let identity = replication.identify().await?;
        let known = StreamCursor::read(from)?;
        let slot = Slot::inspect(session, self.slot()).await?;
        let standing = known.as_ref().map(StreamCursor::standing);
        slot::verify(slot.as_ref(), self.slot(), standing.as_ref(), &identity)?;
        let wanted = self.select(session).await?;
        let cursor = match known {
            Some(known) => self.go_on(session, known, from, &wanted, lane).await?,
            None => {
                self.publish(session, &wanted, &BTreeSet::new()).await?;
                let begins = self.open_slot(slot, replication).await?;
                commit(lane, StreamCursor::begin(begins, identity, self.slot())).await?
            }
        };
        Ok((cursor, wanted.into_iter().map(|table| Arc::new(table.into())).collect()))
    }

    /// The cursor as far as it still counts, see [`continuity`].
    async fn go_on(
        &self,
        session: &Session,
        known: StreamCursor,
        from: &Cursor,
        wanted: &[TableToRead],
        lane: &mut Lane,
    ) -> Result<StreamCursor> {
        let name = self.publication();
        let published = Publication::inspect(session, name).await?;
        // What the server's log holds from before a publication was made cannot be read through it.
        let gone = || Error::conflict(format!("publication `{name}` is gone")).hint(RESYNC);
        let tables: Vec<_> = wanted.iter().cloned().map(Table::from).collect();
        let cursor = continuity::review(known.clone(), from, &tables, &published.ok_or_else(gone)?)?;
        let mut anew: BTreeSet<_> = cursor.lapsed.keys().cloned().collect();
        anew.extend(
            SyncCursor::all(from)
                .into_iter()
                .map(|(table, _)| table)
                .filter(|table| cursor.void.contains_key(table)),
        );
        let cursor = if cursor == known { cursor } else { commit(lane, cursor).await? };
        self.publish(session, wanted, &anew).await?;
        Ok(cursor)
    }

    /// Where the slot begins; made now unless it is there, or a DBA's to make.
    async fn open_slot(&self, slot: Option<Slot>, replication: &mut Replication) -> Result<Lsn> {
        let name = self.slot();
        match slot {
            Some(slot) => slot.confirmed.ok_or_else(|| {
                Error::unavailable(format!("replication slot `{name}` is still being made at the server"))
            }),
            None if self.config.slot.is_none() => replication.create_slot(name).await,
            None => Err(Error::config(format!("there is no replication slot `{name}`"))
                .hint("make it with the plugin `pgoutput`, or leave `slot` out")),
        }
    }

    /// The tables to read.
    async fn select(&self, session: &Session) -> Result<Vec<TableToRead>> {
        let all = catalog::tables(session).await?;
        let Selection { tables: wanted, problems, warnings } =
            Selection::of(self.config.streams.as_ref(), &all);
        if let Some(problem) = problems.into_iter().next() {
            return Err(problem);
        }
        for warning in warnings {
            tracing::warn!(hint = warning.hint_text(), "{warning}");
        }
        Ok(wanted)
    }

    /// Sees to it that `wanted` is published; those in `anew` as they are wanted now.
    async fn publish(
        &self,
        session: &Session,
        wanted: &[TableToRead],
        anew: &BTreeSet<String>,
    ) -> Result<()> {
        let name = self.publication();
        if self.config.publication.is_none() {
            Publication::ensure(session, name, wanted, anew).await?;
        }
        let publication = Publication::inspect(session, name).await?.ok_or_else(|| {
            Error::config(format!("there is no publication `{name}`"))
                .hint("make it, or leave `publication` out")
        })?;
        match publication.problems(wanted).into_iter().next() {
            Some(problem) => Err(problem),
            None => Ok(()),
        }
    }
}

/// Makes `cursor` durable.
async fn commit(lane: &mut Lane, cursor: StreamCursor) -> Result<StreamCursor> {
    lane.boundary(cursor.write()?, None).await?.durable().await?;
    Ok(cursor)
}
