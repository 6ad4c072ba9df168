//! How the source is read: where it was left, what is new, then the initial sync and the replication stream side by side.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use tidemark_engine::{
    Cursor, Result, Stop,
    read::{Asked, End, Outlet, Phase, ReadContext, ReadStrategy},
};
use tokio::sync::{mpsc, watch};

use super::{
    Source,
    changes::{ChangeReader, Gathered},
    cursor::StreamCursor,
    definitions::Definitions,
    replication::{Acknowledger, Replication},
    sync::{InitialSync, Notice, TableSync, Verdict, end_of_log},
    table::{Shape, Table},
    watching::Watch,
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
        let stop = cx.stop.clone();
        let opened = tokio::select! {
            biased;
            // The server may wait for other transactions before it lets us begin.
            () = stop.stopped() => return Ok(End::Stopped),
            opened = self.open(&from, &out, cx) => opened?,
        };
        let Opened { changes, initial_sync, incomplete, notices, verdicts, watch } = opened;
        let acknowledging = acknowledge(changes.feed.acknowledger(), out.durable());
        let syncs = initial_sync.run(incomplete, notices, verdicts);
        side_by_side(changes.run(), syncs, acknowledging, watch.run()).await
    }
}

/// Both halves, ready to run.
struct Opened {
    changes: ChangeReader,
    initial_sync: InitialSync,
    incomplete: Vec<Arc<TableSync>>,
    notices: mpsc::UnboundedSender<Notice>,
    verdicts: mpsc::UnboundedReceiver<Verdict>,
    watch: Watch,
}

impl Strategy {
    /// Goes back to where the source was left, and begins what is new.
    async fn open(&self, from: &Cursor, out: &Outlet, cx: ReadContext) -> Result<Opened> {
        let Source { server, config, .. } = &self.source;
        let session = server.connect("source").await?;
        let mut replication = Replication::connect(server, "replication").await?;
        let mut lane = out.lane(StreamCursor::part(), Phase::Changes);
        let asked = cx.resyncs.asked();
        let (cursor, tables) =
            self.source.resume(&session, &mut replication, from, &mut lane, &asked).await?;
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
        let incomplete = initial_sync.open(&tables, from, &cursor, &asked, &mut definitions).await?;
        say_what_is_asked_in_vain(&asked, &tables);
        cx.resyncs.meet(&asked);
        let binary = !self.text_only.load(Ordering::Relaxed) && are_binary(&tables, &mut definitions).await?;
        let feed =
            replication.start(self.source.slot(), cursor.lsn, self.source.publication(), binary).await?;
        let watch = Watch {
            source: self.source.clone(),
            tables: tables.clone(),
            publication: cursor.publication,
            known: cursor.names(from),
            again: Stop::new(),
            world: cx.world.clone(),
        };
        let (notify, notices) = mpsc::unbounded_channel();
        let (judge, verdicts) = mpsc::unbounded_channel();
        let changes = ChangeReader {
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
            cx,
            again: watch.again.clone(),
            target,
            binary,
            text_only: self.text_only.clone(),
            gathered: Gathered::default(),
        };
        Ok(Opened { changes, initial_sync, incomplete, notices: notify, verdicts, watch })
    }
}

/// A table may have been left out, or dropped, since somebody asked for it.
fn say_what_is_asked_in_vain(asked: &Asked, tables: &[Arc<Table>]) {
    for stream in asked.streams() {
        if !tables.iter().any(|table| &table.stream() == stream) {
            tracing::warn!(%stream, "`{stream}` was to be read anew, and is not read any more: that is forgotten");
        }
    }
}

/// Runs until `changes` ends, or either fails.
async fn side_by_side(
    changes: impl Future<Output = Result<End>>,
    syncs: impl Future<Output = Result<()>>,
    acknowledging: impl Future<Output = Result<()>>,
    watching: impl Future<Output = Infallible>,
) -> Result<End> {
    let (mut changes, mut syncs) = (std::pin::pin!(changes), std::pin::pin!(syncs));
    let (mut acknowledging, mut watching) = (std::pin::pin!(acknowledging), std::pin::pin!(watching));
    let mut syncing = true;
    loop {
        tokio::select! {
            ended = &mut changes => return ended,
            ended = &mut syncs, if syncing => {
                ended?;
                syncing = false;
            }
            ended = &mut acknowledging => ended?,
            never = &mut watching => match never {},
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
