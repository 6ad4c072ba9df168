//! How the source is read: where it was left, what is new, then the initial sync and the replication stream side by side.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use tidemark_engine::{
    Cursor, Result,
    read::{End, Lane, Outlet, Phase, ReadContext, ReadStrategy},
};
use tokio::sync::{mpsc, watch};

use super::{
    Source,
    changes::{ChangeReader, Gathered},
    cursor::StreamCursor,
    definitions::Definitions,
    replication::{Acknowledger, Replication},
    sync::{InitialSync, end_of_log},
    table::Table,
};
use crate::postgres::types::ColumnType;

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
        let Source { server, .. } = &self.source;
        let session = server.connect("source").await?;
        let mut replication = Replication::connect(server, "replication").await?;
        let identity = replication.identify().await?;
        let tables = self.source.tables(&session).await?;
        let known = StreamCursor::read(&from)?;
        let publication = self.source.publish(&session, &tables).await?;
        let mut lane = out.lane(StreamCursor::part(), Phase::Changes);
        let cursor = match known {
            Some(cursor) => {
                self.source.verify_slot(&session, &identity, &cursor).await?;
                cursor
            }
            None => begin(&mut lane, self.source.open_slot(&session, &mut replication, &identity).await?).await?,
        };
        let target = match cx.until_caught_up {
            true => Some(end_of_log(&session).await?),
            false => None,
        };

        let mut definitions = Definitions::new(server.clone());
        let readers = self.source.readers();
        let syncs = InitialSync::begin(
            server, &tables, &from, &cursor, &mut definitions, readers, out.clone(), cx.world.clone(),
        )
        .await?;
        let binary = !self.text_only.load(Ordering::Relaxed) && are_binary(&tables, &mut definitions).await?;
        let feed = replication.start(&cursor.slot, cursor.lsn, &publication, binary).await?;
        let acknowledging = acknowledge(feed.acknowledger(), out.durable());
        let (completed, completions) = mpsc::unbounded_channel();
        let reader = ChangeReader {
            feed,
            tables: tables.iter().map(|table| (table.id.to_string(), table.clone())).collect(),
            syncs: syncs.open(),
            completions,
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
        side_by_side(reader.run(), syncs.run(completed, cx.stop.clone()), acknowledging).await
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
        let types = definitions.types(&table.wanted_types()).await?;
        if !types.iter().all(ColumnType::is_binary) {
            return Ok(false);
        }
    }
    Ok(true)
}
