//! Where the source goes on: what is there at the server, whether it is as we left it, and what has to be made.
//!
//! Where it is not as we left it, changes may be missing: that stops the run, until a person asks for every table to be read anew.
//! Then a new place in the server's log is where it goes on, in the same staging log.

use std::{collections::BTreeSet, sync::Arc};

use tidemark_engine::{
    Cursor, Error, ErrorKind, Result,
    read::{Asked, Lane},
};

use super::{
    Source, catalog, continuity,
    cursor::StreamCursor,
    publication::Publication,
    replication::{Identity, Replication},
    selection::{Selection, TableToRead},
    slot::{self, RESYNC, Slot},
    table::Table,
};
use crate::postgres::{connection::Session, lsn::Lsn};

impl Source {
    /// Where the stream goes on, durably, and the tables to read, published.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Conflict`] when going on could lose changes, unless all tables are `asked` for.
    pub(super) async fn resume(
        &self,
        session: &Session,
        replication: &mut Replication,
        from: &Cursor,
        lane: &mut Lane,
        asked: &Asked,
    ) -> Result<(StreamCursor, Vec<Arc<Table>>)> {
        let identity = replication.identify().await?;
        let known = StreamCursor::read(from)?;
        let slot = Slot::inspect(session, self.slot()).await?;
        let published = Publication::inspect(session, self.publication()).await?;
        let names = known.as_ref().map(|known| known.names(from)).unwrap_or_default();
        let wanted = self.select(session, &names).await?;
        let begins = match (self.verify(known.as_ref(), slot.as_ref(), published.as_ref(), &identity), known)
        {
            (Ok(()), Some(known)) => {
                let (cursor, published) =
                    self.go_on(session, (known, from), (&wanted, published), lane).await?;
                return Ok((cursor, as_published(wanted, &published)));
            }
            (Err(error), known) if error.kind() == ErrorKind::Conflict && asked.is_all() => {
                tracing::warn!(%error, "every table is read anew, from a new place in the server's log");
                let is_elsewhere = known.as_ref().is_some_and(|known| known.system != identity.system);
                // What the server's log holds from before a publication was made cannot be read through it: the slot has to be
                // younger.
                let goes_on = known.as_ref().is_some_and(|known| {
                    slot::verify(slot.as_ref(), self.slot(), Some(&known.standing()), &identity).is_ok()
                });
                let slot = self.clear_slot(session, slot, is_elsewhere, goes_on).await?;
                let all = wanted.iter().map(|table| table.table.id.to_string()).collect();
                let published = self.publish(session, &wanted, &all).await?;
                let begins = self.open_slot(slot, replication).await?;
                let begins = StreamCursor::begin(begins, identity, self.slot(), published.edition());
                (begins.with_lapsed(known, from), published)
            }
            (Err(error), _) => return Err(error),
            (Ok(()), None) => {
                let published = self.publish(session, &wanted, &BTreeSet::new()).await?;
                let begins = self.open_slot(slot, replication).await?;
                (StreamCursor::begin(begins, identity, self.slot(), published.edition()), published)
            }
        };
        let (begins, published) = begins;
        let cursor = commit(lane, begins).await?;
        Ok((cursor, as_published(wanted, &published)))
    }

    /// Whether what the server sends goes on where we stand: `known` is `None` before the first commit.
    pub(super) fn verify(
        &self,
        known: Option<&StreamCursor>,
        slot: Option<&Slot>,
        published: Option<&Publication>,
        identity: &Identity,
    ) -> Result<()> {
        let standing = known.map(StreamCursor::standing);
        slot::verify(slot, self.slot(), standing.as_ref(), identity)?;
        match (known, published) {
            // What the server's log holds from before a publication was made cannot be read through it.
            (Some(_), None) => {
                Err(Error::conflict(format!("publication `{}` is gone", self.publication())).hint(RESYNC))
            }
            (Some(StreamCursor { publication: Some(then), .. }), Some(now))
                if then.number != now.edition().number =>
            {
                let what = format!("publication `{}` was dropped and made again", self.publication());
                Err(Error::conflict(what).hint(RESYNC))
            }
            _ => Ok(()),
        }
    }

    /// The cursor as far as it still counts, see [`continuity`].
    async fn go_on(
        &self,
        session: &Session,
        (known, from): (StreamCursor, &Cursor),
        (wanted, published): (&[TableToRead], Option<Publication>),
        lane: &mut Lane,
    ) -> Result<(StreamCursor, Publication)> {
        let Some(published) = published else {
            return Err(Error::internal("a publication that was there is not"));
        };
        let tables: Vec<_> = wanted.iter().cloned().map(Table::from).collect();
        let cursor = continuity::review(known.clone(), from, &tables, &published);
        let anew = continuity::to_publish_anew(&cursor, from);
        let cursor = if cursor == known { cursor } else { commit(lane, cursor).await? };
        let published = self.publish(session, wanted, &anew).await?;
        Ok((cursor, published))
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

    /// Drops `slot`, from which the staged changes cannot be continued, so that another takes its place. One that a DBA made is the
    /// DBA's to replace: it is what this returns, unless it is still the one that was read from (`goes_on`), and so older than the
    /// publication.
    async fn clear_slot(
        &self,
        session: &Session,
        slot: Option<Slot>,
        is_elsewhere: bool,
        goes_on: bool,
    ) -> Result<Option<Slot>> {
        let name = self.slot();
        let Some(found) = slot else { return Ok(None) };
        found.of_our_kind()?;
        if self.config.slot.is_some() {
            found.usable().map_err(|error| {
                error.hint("drop the slot and make it anew with the plugin `pgoutput`; then run this again")
            })?;
            if goes_on {
                return Err(Error::conflict(format!(
                    "replication slot `{name}` is older than publication `{}`, and cannot be read through it",
                    self.publication()
                ))
                .hint("drop the slot and make it anew with the plugin `pgoutput`; then run this again"));
            }
            return Ok(Some(found));
        }
        if is_elsewhere {
            // Another pipeline of the same name may read from it.
            return Err(Error::conflict(format!(
                "there is a replication slot `{name}` on this other server"
            ))
            .hint("drop it if nobody reads from it; then run this again"));
        }
        Slot::drop(session, name).await?;
        Ok(None)
    }

    /// The tables to read, where those called `known` were read before.
    async fn select(&self, session: &Session, known: &BTreeSet<String>) -> Result<Vec<TableToRead>> {
        let all = catalog::tables(session).await?;
        let Selection { tables: wanted, problems, warnings } =
            Selection::knowing(self.config.streams.as_ref(), &all, known);
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
    ) -> Result<Publication> {
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
            None => Ok(publication),
        }
    }
}

/// The tables `wanted`, each with where `published` has it.
fn as_published(wanted: Vec<TableToRead>, published: &Publication) -> Vec<Arc<Table>> {
    let table = |table: TableToRead| {
        let row = published.row(&table.table.id);
        Arc::new(Table { published: row, ..table.into() })
    };
    wanted.into_iter().map(table).collect()
}

/// Makes `cursor` durable.
async fn commit(lane: &mut Lane, cursor: StreamCursor) -> Result<StreamCursor> {
    lane.boundary(cursor.write()?, None).await?.durable().await?;
    Ok(cursor)
}
