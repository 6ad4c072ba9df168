//! How the source is read: where it was left, what is new, then the initial sync and the replication stream side by side.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use tidemark_engine::{
    Cursor, Error, Result,
    read::{End, Lane, Outlet, Phase, ReadContext, ReadStrategy},
};
use tokio::sync::{mpsc, watch};

use super::{
    Source, catalog,
    changes::{ChangeReader, Gathered},
    continuity,
    cursor::{StreamCursor, SyncCursor},
    definitions::Definitions,
    publication::Publication,
    replication::{Acknowledger, Replication},
    selection::{Selection, TableToRead},
    slot::{self, RESYNC, Slot},
    sync::{InitialSync, end_of_log},
    table::{Shape, Table},
};
use crate::postgres::{connection::Session, lsn::Lsn, types::ColumnType};

/// Reads a PostgreSQL database.
pub(super) struct Strategy {
    source: Source,
    /// Some column was found that is exact as text alone.
    text_only: Arc<AtomicBool>,
}

impl Strategy {
    pub(super) fn new(source: Source) -> Self {
        Self { source, text_only: Arc::default() }
    }
}

#[async_trait]
impl ReadStrategy for Strategy {
    async fn run(&mut self, from: Cursor, out: Outlet, cx: ReadContext) -> Result<End> {
        let Source { server, config, .. } = &self.source;
        let session = server.connect("source").await?;
        let mut replication = Replication::connect(server, "replication").await?;
        let identity = replication.identify().await?;
        let known = StreamCursor::read(&from)?;
        let slot = Slot::inspect(&session, self.source.slot()).await?;
        slot::verify(
            slot.as_ref(),
            self.source.slot(),
            known.as_ref().map(StreamCursor::standing).as_ref(),
            &identity,
        )?;
        let wanted = self.source.select(&session).await?;
        let mut lane = out.lane(StreamCursor::part(), Phase::Changes);
        let cursor = match known {
            Some(known) => {
                let cursor = self.source.review(&session, known.clone(), &from, &wanted).await?;
                let mut anew: BTreeSet<_> = cursor.lapsed.keys().cloned().collect();
                anew.extend(
                    SyncCursor::all(&from)
                        .into_iter()
                        .map(|(table, _)| table)
                        .filter(|table| cursor.void.contains_key(table)),
                );
                let cursor = if cursor == known { cursor } else { begin(&mut lane, cursor).await? };
                self.source.publish(&session, &wanted, &anew).await?;
                cursor
            }
            None => {
                self.source.publish(&session, &wanted, &BTreeSet::new()).await?;
                let begins = match slot {
                    None => self.source.make_slot(&mut replication).await?,
                    Some(slot) => slot.confirmed.ok_or_else(|| {
                        let name = self.source.slot();
                        Error::unavailable(format!(
                            "replication slot `{name}` is still being made at the server"
                        ))
                    })?,
                };
                begin(&mut lane, StreamCursor::begin(begins, identity, self.source.slot())).await?
            }
        };
        let tables: Vec<_> = wanted.into_iter().map(|table| Arc::new(Table::from(table))).collect();
        let target = match cx.until_caught_up {
            true => Some(end_of_log(&session).await?),
            false => None,
        };

        let mut definitions = Definitions::new(server.clone());
        let initial_sync = InitialSync {
            server: server.clone(),
            readers: config.readers,
            out: out.clone(),
            world: cx.world.clone(),
            stop: cx.stop.clone(),
            keep_snapshot: Arc::default(),
        };
        let incomplete = initial_sync.open(&tables, &from, &cursor, &mut definitions).await?;
        let binary = !self.text_only.load(Ordering::Relaxed) && are_binary(&tables, &mut definitions).await?;
        let feed =
            replication.start(self.source.slot(), cursor.lsn, self.source.publication(), binary).await?;
        let acknowledging = acknowledge(feed.acknowledger(), out.durable());
        let (notify, notices) = mpsc::unbounded_channel();
        let (judge, verdicts) = mpsc::unbounded_channel();
        let reader = ChangeReader {
            feed,
            tables: tables.iter().map(|table| (table.oid, table.clone())).collect(),
            syncs: incomplete
                .iter()
                .map(|sync| sync.describe())
                .map(|sync| (sync.table.clone(), sync))
                .collect(),
            notices,
            verdicts: judge,
            keep_snapshot: initial_sync.keep_snapshot.clone(),
            definitions,
            lane,
            cursor,
            cx: cx.clone(),
            target,
            binary,
            text_only: self.text_only.clone(),
            gathered: Gathered::default(),
        };
        drop(session);
        side_by_side(reader.run(), initial_sync.run(incomplete, notify, verdicts), acknowledging).await
    }
}

impl Source {
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

    /// The cursor as far as it still counts, see [`continuity`].
    async fn review(
        &self,
        session: &Session,
        cursor: StreamCursor,
        from: &Cursor,
        wanted: &[TableToRead],
    ) -> Result<StreamCursor> {
        let name = self.publication();
        let published = Publication::inspect(session, name).await?;
        // What the server's log holds from before a publication was made cannot be read through it.
        let gone = || Error::conflict(format!("publication `{name}` is gone")).hint(RESYNC);
        let tables: Vec<_> = wanted.iter().cloned().map(Table::from).collect();
        continuity::review(cursor, from, &tables, &published.ok_or_else(gone)?)
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

    /// Makes the slot, unless it is the DBA's to make.
    async fn make_slot(&self, replication: &mut Replication) -> Result<Lsn> {
        match &self.config.slot {
            None => replication.create_slot(self.slot()).await,
            Some(name) => Err(Error::config(format!("there is no replication slot `{name}`"))
                .hint("make it with the plugin `pgoutput`, or leave `slot` out")),
        }
    }
}

/// Makes where the stream begins durable, before anything else is.
async fn begin(lane: &mut Lane, cursor: StreamCursor) -> Result<StreamCursor> {
    lane.boundary(cursor.write()?, None).await?.durable().await?;
    Ok(cursor)
}

/// Runs until `changes` ends, or either fails.
async fn side_by_side(
    changes: impl Future<Output = Result<End>>,
    syncs: impl Future<Output = Result<()>>,
    acknowledging: impl Future<Output = Result<()>>,
) -> Result<End> {
    let (mut changes, mut syncs, mut acknowledging) =
        (std::pin::pin!(changes), std::pin::pin!(syncs), std::pin::pin!(acknowledging));
    let mut syncing = true;
    loop {
        tokio::select! {
            ended = &mut changes => return ended,
            ended = &mut syncs, if syncing => {
                ended?;
                syncing = false;
            }
            ended = &mut acknowledging => ended?,
        }
    }
}

/// Tells the server what it may forget: what is durable, and nothing more.
async fn acknowledge(acknowledger: Acknowledger, mut durable: watch::Receiver<Cursor>) -> Result<()> {
    loop {
        let cursor = StreamCursor::read(&durable.borrow_and_update())?;
        if let Some(cursor) = cursor {
            acknowledger.acknowledge(cursor.lsn);
        }
        if durable.changed().await.is_err() {
            // The loop is ending.
            return std::future::pending().await;
        }
    }
}

/// Whether every column can be read from its binary form.
async fn are_binary(tables: &[Arc<Table>], definitions: &mut Definitions) -> Result<bool> {
    for table in tables {
        let shape = Shape::ask(table.clone(), definitions).await?;
        if !shape.types.iter().all(ColumnType::is_binary) {
            return Ok(false);
        }
    }
    Ok(true)
}
