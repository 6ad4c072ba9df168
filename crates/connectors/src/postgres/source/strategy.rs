//! How the source is read: where it was left, what is new, then the initial sync and the replication stream side by side.

use std::{
    collections::{BTreeMap, BTreeSet},
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
        let known = match known {
            Some(cursor) => Some(self.source.recognise(&session, &wanted, cursor, &from, &mut lane).await?),
            None => None,
        };
        let tables = self.source.publish(&session, wanted).await?;
        let cursor = match known {
            Some(cursor) => cursor,
            None => {
                let begins = match slot.and_then(|slot| slot.confirmed) {
                    Some(begins) => begins,
                    None => self.source.make_slot(&mut replication).await?,
                };
                begin(&mut lane, StreamCursor::begin(begins, identity, self.source.slot())).await?
            }
        };
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

    /// Whether the stream has told every change of `tables` since they were read. What is known to be wanting of a table that
    /// is being read makes its initial sync start anew.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Conflict`] when changes of a table that is complete are wanting.
    async fn recognise(
        &self,
        session: &Session,
        tables: &[TableToRead],
        mut cursor: StreamCursor,
        from: &Cursor,
        lane: &mut Lane,
    ) -> Result<StreamCursor> {
        let names: BTreeSet<String> = tables.iter().map(|table| table.table.id.to_string()).collect();
        let is_other = |table: &&TableToRead| {
            let number = cursor.numbers.get(&table.table.id.to_string());
            number.is_some_and(|number| *number != table.table.oid)
        };
        if let Some(other) = tables.iter().find(is_other) {
            return Err(Error::conflict(format!(
                "table `{}` is another one than the table that was read: it was dropped and made again, or replaced",
                other.table.id
            ))
            .hint(RESYNC));
        }
        let (name, publication) =
            (self.publication(), Publication::inspect(session, self.publication()).await?);
        let untold =
            |table: &String| names.contains(table) && !publication.as_ref().is_some_and(|it| it.has(table));
        if let Some(table) = cursor.synced.keys().find(|table| untold(table)) {
            return Err(Error::conflict(format!("table `{table}` was taken out of publication `{name}`"))
                .hint(RESYNC));
        }
        let mut void = BTreeMap::new();
        for table in names.iter().filter(|table| untold(table)) {
            let sync = SyncCursor::read(from, table)?;
            void.extend(sync.map(|sync| (table.clone(), sync.generation)));
        }
        if !void.is_empty() {
            cursor.void.extend(void);
            cursor = begin(lane, cursor).await?;
        }
        Ok(cursor)
    }

    /// The same tables, published.
    async fn publish(&self, session: &Session, wanted: Vec<TableToRead>) -> Result<Vec<Arc<Table>>> {
        let name = self.publication();
        if self.config.publication.is_none() {
            Publication::ensure(session, name, &wanted).await?;
        }
        let publication = Publication::inspect(session, name).await?.ok_or_else(|| {
            Error::config(format!("there is no publication `{name}`"))
                .hint("make it, or leave `publication` out")
        })?;
        if let Some(problem) = publication.problems(&wanted).into_iter().next() {
            return Err(problem);
        }
        Ok(wanted.into_iter().map(|table| Arc::new(Table::from(table))).collect())
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
