//! The initial sync: tables as they are, read in chunks, several at once, beside the replication stream.
//!
//! A round takes one snapshot, shared by all its connections, and reads the chunks that are not staged yet. A chunk is one
//! boundary: once it is durable it is never read again. When all chunks of a table are, and the stream has come as far as
//! the log was then, the generation is complete, and [`super::changes`] says so in the stream's own order; or it is void
//! (see [`notice`]), and the table is read anew in the next round.

mod chunk;
pub(in crate::postgres) mod copy;
#[cfg(feature = "fuzzing")]
#[expect(clippy::expect_used, reason = "a broken promise is to panic")]
pub(super) mod fuzzing;
mod look;
mod notice;
pub(in crate::postgres) mod plan;
pub(in crate::postgres) mod rows;
mod snapshot;
mod table;
mod work;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, atomic::AtomicBool},
};

use tidemark_engine::{
    Cursor, Error, Result, Stop,
    change::ChangeBatch,
    read::{Asked, Outlet},
    world::World,
};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_postgres::Client;

pub(super) use notice::{Completion, Event, Notice, OpenSync, Verdict, What};
pub(super) use snapshot::end_of_log;
pub(super) use table::TableSync;

use self::{
    look::Look,
    snapshot::Snapshot,
    work::{Round, Work},
};
use super::{
    cursor::{StreamCursor, SyncCursor},
    definitions::Definitions,
    table::{Shape, Table},
};
use crate::postgres::{connection::Server, lsn::Lsn};

/// The initial syncs of a run.
pub(super) struct InitialSync {
    pub(super) server: Server,
    pub(super) readers: u8,
    pub(super) out: Outlet,
    pub(super) world: World,
    pub(super) stop: Stop,
    /// Set when chunks of the tables under way must all be of one snapshot.
    pub(super) keep_snapshot: Arc<AtomicBool>,
}

impl InitialSync {
    /// The tables that are not complete, or `asked` for. Those that had not begun have, durably: from now on their changes wait.
    pub(super) async fn open(
        &self,
        tables: &[Arc<Table>],
        cursor: &Cursor,
        stream: &StreamCursor,
        asked: &Asked,
        definitions: &mut Definitions,
    ) -> Result<Vec<Arc<TableSync>>> {
        let under_way: BTreeSet<_> = SyncCursor::all(cursor).into_iter().map(|(table, _)| table).collect();
        let is_incomplete = |table: &&Arc<Table>| {
            let name = table.id.to_string();
            !stream.synced.contains_key(&name) || under_way.contains(&name) || asked.takes(&table.stream())
        };
        let incomplete: Vec<_> = tables.iter().filter(is_incomplete).collect();
        let (mut open, mut tickets) = (Vec::new(), Vec::new());
        if incomplete.is_empty() {
            return Ok(open);
        }
        let session = self.server.connect("initial sync").await?;
        for table in incomplete {
            let shape = Shape::ask(table.clone(), definitions).await?;
            let (sync, ticket) = TableSync::open(shape, &session, &self.out, cursor, stream).await?;
            tickets.extend(ticket);
            open.push(sync);
        }
        // Those of a thousand tables share commits.
        for ticket in tickets {
            ticket.durable().await?;
        }
        Ok(open)
    }

    /// Reads `tables`, round by round, until all are complete.
    pub(super) async fn run(
        self,
        mut tables: Vec<Arc<TableSync>>,
        notices: mpsc::UnboundedSender<Notice>,
        mut verdicts: mpsc::UnboundedReceiver<Verdict>,
    ) -> Result<()> {
        while !tables.is_empty() {
            self.read(&tables, &notices).await?;
            let mut void = Vec::new();
            for _ in 0..tables.len() {
                // The reader of the stream ends only with the run.
                let Some(verdict) = verdicts.recv().await else { return Ok(()) };
                let sync = tables.iter().find(|sync| sync.name() == verdict.table);
                void.extend(sync.filter(|_| verdict.void.is_some()).cloned());
            }
            let mut anew = Vec::new();
            if !void.is_empty() {
                let session = self.server.connect("initial sync").await?;
                for sync in void {
                    let sync = sync.anew(&session, &self.out).await?;
                    let _ = notices.send(Notice::Begun(sync.describe()));
                    anew.push(sync);
                }
            }
            tables = anew;
        }
        Ok(())
    }

    /// One round: every chunk of `tables` that is not staged.
    async fn read(&self, tables: &[Arc<TableSync>], notices: &mpsc::UnboundedSender<Notice>) -> Result<()> {
        let work = Work::new(tables);
        if !work.is_empty() {
            self.read_chunks(work, tables, notices).await?;
        }
        self.tell_of_whole(tables, notices).await
    }

    async fn read_chunks(
        &self,
        work: Work,
        tables: &[Arc<TableSync>],
        notices: &mpsc::UnboundedSender<Notice>,
    ) -> Result<()> {
        let session = self.server.connect("initial sync").await?;
        let mut looks = HashMap::new();
        for sync in tables {
            let table = &sync.shape.table;
            looks.insert(table.oid, Look::at(&session, table).await?);
        }
        let snapshot = Snapshot::take(&self.server, &self.world).await?;
        let round = Arc::new(Round {
            server: self.server.clone(),
            work,
            snapshot: snapshot.name().to_owned(),
            point: snapshot.point(),
            looks,
            out: self.out.clone(),
            notices: notices.clone(),
            world: self.world.clone(),
            begun: self.world.now(),
            keep_snapshot: self.keep_snapshot.clone(),
            stop: self.stop.clone(),
        });
        let mut readers = JoinSet::new();
        for _ in 0..self.readers {
            readers.spawn(round.clone().read());
        }
        while let Some(ended) = readers.join_next().await {
            ended??;
        }
        if round.work.is_empty() || self.stop.is_stopped() {
            return Ok(());
        }
        Err(Error::unavailable("the snapshot of the initial sync is old: a new one is taken"))
    }

    /// Tells of tables of which every chunk had been staged before the round.
    async fn tell_of_whole(
        &self,
        tables: &[Arc<TableSync>],
        notices: &mpsc::UnboundedSender<Notice>,
    ) -> Result<()> {
        for sync in tables.iter().filter(|sync| sync.left().is_empty()) {
            let session = self.server.connect("initial sync").await?;
            let points = sync.staged.values().copied();
            let (first, last) = (points.clone().min(), points.max());
            let completion = Completion {
                table: sync.name(),
                generation: sync.plan.generation,
                chunks: sync.plan.chunks(),
                points: (first.unwrap_or_default(), last.unwrap_or_default()),
                reached: end_of_log(&session).await?,
                seen: None,
            };
            let _ = notices.send(Notice::Read(completion));
        }
        Ok(())
    }
}

/// The first `records` of a table.
pub(super) async fn sample(session: &Client, shape: &Shape, records: usize) -> Result<Option<ChangeBatch>> {
    let condition = shape.table.condition.iter().map(|condition| format!(" WHERE ({condition})"));
    let clauses = format!("{} LIMIT {records}", condition.collect::<String>());
    rows::Copying::begin(session, shape, &clauses, Lsn::default()).await?.next().await
}
