//! The replication stream, from the messages of the server into the log.
//!
//! Transactions come one after another, each whole, once it is committed. Those that arrive together share a boundary, and
//! each keeps its place in it. One that is large is passed on piece by piece and becomes visible with its end.

mod relation;
mod table;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tidemark_engine::{
    Error, Result, Time,
    change::{ChangeBatch, Op},
    log::SyncStep,
    read::{End, Lane, ReadContext, Span},
    schema::StreamName,
};
use tokio::sync::mpsc;

use self::{
    relation::Relation,
    table::{TableChanges, Transaction},
};
use super::{
    cursor::{StreamCursor, SyncCursor},
    definitions::Definitions,
    replication::{
        Feed, Frame,
        pgoutput::{self, Message},
    },
    sync::{Completion, OpenSync},
    table::{Table, definition},
};
use crate::postgres::{lsn::Lsn, types::ColumnType};

/// Transactions are put behind a boundary when there are about this many bytes of messages, or this many changes: they then
/// ride inside the commit.
const ENOUGH_BYTES: usize = 512 << 10;
const ENOUGH_CHANGES: u64 = 8_192;
/// A transaction that goes on beyond this many times as much is passed on before its end.
const LARGE: u64 = 4;

/// Mere progress of the log is told after this much of it, or after this time: it costs a commit, which may itself make the
/// server's log grow where a destination lives on the same server.
const IDLE_BYTES: u64 = 16 << 20;
const IDLE_SHORT: Duration = Duration::from_secs(10);
const IDLE_LONG: Duration = Duration::from_secs(60);

/// How often progress is looked at when nothing comes.
const LOOK: Duration = Duration::from_secs(1);

/// Reads the stream.
pub(super) struct ChangeReader {
    pub(super) feed: Feed,
    pub(super) tables: HashMap<String, Arc<Table>>,
    /// Initial syncs under way, by stream.
    pub(super) syncs: BTreeMap<String, OpenSync>,
    /// Initial syncs that have read all their chunks.
    pub(super) completions: mpsc::UnboundedReceiver<Completion>,
    pub(super) definitions: Definitions,
    pub(super) lane: Lane,
    pub(super) cursor: StreamCursor,
    pub(super) cx: ReadContext,
    /// Where to end; `None`: never.
    pub(super) target: Option<Lsn>,
    /// Whether the server sends values in their binary form, and where to say that it must not.
    pub(super) binary: bool,
    pub(super) text_only: Arc<AtomicBool>,
    pub(super) gathered: Gathered,
}

/// What has arrived since the last boundary, and what is known of the stream.
#[derive(Default)]
pub(super) struct Gathered {
    /// Each table that was described, by its number; `None` for one that is not read.
    relations: HashMap<u32, Option<Arc<Relation>>>,
    /// The transaction that is arriving.
    transaction: Option<Transaction>,
    /// Changes by table; and batches under definitions that have been replaced since.
    tables: BTreeMap<u32, TableChanges>,
    batches: Vec<ChangeBatch>,
    bytes: usize,
    /// Changes since the last boundary, and those of them that are in the lane.
    changes: u64,
    passed_on: u64,
    /// Whole transactions since the last boundary.
    spans: Vec<Span>,
    /// Everything before it has arrived.
    seen: Lsn,
    last_boundary: Option<Time>,
    /// Initial syncs that have read all their chunks and wait for the stream to come as far.
    read: Vec<Completion>,
    /// Why a run must end: an initial sync starts anew.
    void: Option<String>,
}

impl ChangeReader {
    /// Reads until stopped or, with a target, until everything before it is in the log and every initial sync is complete.
    pub(super) async fn run(mut self) -> Result<End> {
        self.gathered.seen = self.cursor.lsn;
        loop {
            self.settle().await?;
            if self.is_at_its_end() {
                return Ok(End::CaughtUp);
            }
            let world = self.cx.world.clone();
            tokio::select! {
                biased;
                () = self.cx.stop.stopped() => return Ok(End::Stopped),
                Some(completion) = self.completions.recv() => self.gathered.read.push(completion),
                frame = self.feed.next() => self.take(frame?).await?,
                () = world.sleep(LOOK) => {}
            }
            while !self.gathered.must_settle()
                && let Some(frame) = self.feed.next_ready()
            {
                self.take(frame?).await?;
            }
        }
    }

    fn is_at_its_end(&self) -> bool {
        let reached = self.target.is_some_and(|target| self.cursor.lsn >= target);
        reached && self.syncs.is_empty() && self.gathered.transaction.is_none()
    }

    async fn take(&mut self, frame: Frame) -> Result<()> {
        match frame {
            Frame::Data { message, .. } => self.read(&message).await,
            Frame::Keepalive { end } => {
                // Transactions come whole: between two of them everything before `end` has arrived.
                if self.gathered.transaction.is_none() {
                    self.gathered.seen = self.gathered.seen.max(end);
                }
                Ok(())
            }
        }
    }

    async fn read(&mut self, bytes: &Bytes) -> Result<()> {
        self.gathered.bytes += bytes.len();
        match Message::read(bytes)? {
            Message::Begin(begin) => {
                self.gathered.transaction = Some(Transaction {
                    commit: begin.final_lsn,
                    time: begin.commit_time,
                    name: begin.xid.to_string(),
                    changes: 0,
                    first: self.gathered.changes,
                });
                Ok(())
            }
            Message::Commit(commit) => self.end_transaction(commit.end_lsn),
            Message::Relation(relation) => self.describe(&relation).await,
            Message::Insert { relation, new } => self.change(relation, |table| table.insert(new)),
            Message::Update { relation, old, new } => {
                self.change(relation, |table| table.update(old, new))?;
                self.watch_move(relation);
                Ok(())
            }
            Message::Delete { relation, old } => self.change(relation, |table| table.delete(old)),
            Message::Truncate(truncate) => truncate.relations().try_for_each(|relation| {
                self.change(relation, TableChanges::truncate)?;
                self.void_sync(relation, "was truncated");
                Ok(())
            }),
            // What types are called is asked of the catalog; where a transaction came from first does not matter; what
            // applications write into the log beside their tables is not a table's.
            Message::Type { .. } | Message::Origin { .. } | Message::Logical { .. } => Ok(()),
        }
    }

    fn end_transaction(&mut self, end: Lsn) -> Result<()> {
        let transaction = self.gathered.transaction.take().ok_or_else(out_of_order)?;
        let rows = self.gathered.changes - transaction.first;
        if rows > 0 {
            self.gathered.spans.push(Span { rows, time: Some(transaction.time) });
        }
        self.gathered.seen = self.gathered.seen.max(end);
        Ok(())
    }

    /// Learns what a table looks like from here on.
    async fn describe(&mut self, message: &pgoutput::Relation<'_>) -> Result<()> {
        let name = format!("{}.{}", message.schema, message.name);
        let Some(table) = self.tables.get(&name).cloned() else {
            self.gathered.relations.insert(message.oid, None);
            return Ok(());
        };
        let wanted: Vec<_> = message.columns.iter().map(|column| (column.type_oid, column.typmod)).collect();
        let types = self.definitions.types_anew(&wanted).await?;
        if self.binary && !types.iter().all(ColumnType::is_binary) {
            // Only as text is every type what PostgreSQL would print; the next run asks for that.
            self.text_only.store(true, Ordering::Relaxed);
            return Err(Error::unavailable(format!(
                "table `{name}` has a column that must be read as text: the stream is opened again"
            )));
        }
        let relation = Relation::new(&table, message, types)?;
        if let Some(sync) = self.syncs.get(&name)
            && sync.definition != definition(&relation.schema)
        {
            self.void(&name, "was altered");
        }
        let known = self.gathered.relations.get(&message.oid).cloned().flatten();
        if known.is_some_and(|known| known.is_read_alike(&relation)) {
            return Ok(());
        }
        if let Some(changes) = self.gathered.tables.remove(&message.oid) {
            self.gathered.batches.push(changes.finish()?);
        }
        self.gathered.relations.insert(message.oid, Some(Arc::new(relation)));
        Ok(())
    }

    /// Adds a change of the table with the number `relation`, if it is read.
    fn change(&mut self, relation: u32, add: impl FnOnce(&mut TableChanges) -> Result<Op>) -> Result<()> {
        let Gathered { relations, transaction, tables, changes, .. } = &mut self.gathered;
        let known = relations.get(&relation).ok_or_else(out_of_order)?;
        let Some(known) = known else { return Ok(()) };
        let transaction = transaction.as_mut().ok_or_else(out_of_order)?;
        let table = tables.entry(relation).or_insert_with(|| TableChanges::new(known.clone()));
        let op = add(table)?;
        table.end_row(op, transaction, *changes);
        transaction.changes += 1;
        *changes += 1;
        Ok(())
    }

    /// Passes on what has arrived, where the stream is between two transactions with a boundary.
    async fn settle(&mut self) -> Result<()> {
        if self.gathered.transaction.is_some() {
            if self.gathered.is_large() {
                self.pass_on().await?;
            }
            return Ok(());
        }
        let completed = self.completed();
        if self.gathered.spans.is_empty() && completed.is_empty() && !self.has_idle_progress() {
            return Ok(());
        }
        self.pass_on().await?;
        for Completion { table, generation, chunks, .. } in completed {
            self.lane.note(SyncStep::Done { stream: StreamName::new(&table), generation });
            self.lane.forget(SyncCursor::part(&table));
            (0..chunks).for_each(|chunk| self.lane.forget(SyncCursor::chunk_part(&table, chunk)));
            self.cursor.void.remove(&table);
            self.cursor.moved.remove(&table);
            self.syncs.remove(&table);
            self.cursor.synced.insert(table, generation);
        }
        self.cursor.lsn = self.gathered.seen;
        let spans = std::mem::take(&mut self.gathered.spans);
        let ticket = self.lane.boundary_over(self.cursor.write()?, spans).await?;
        self.gathered.end_boundary(self.cx.world.now());
        if let Some(why) = self.gathered.void.take() {
            ticket.durable().await?;
            return Err(Error::unavailable(why));
        }
        Ok(())
    }

    /// Initial syncs that the stream has come far enough for.
    fn completed(&mut self) -> Vec<Completion> {
        let seen = self.gathered.seen;
        let is_void =
            |completion: &Completion| self.cursor.void.get(&completion.table) == Some(&completion.generation);
        let all = std::mem::take(&mut self.gathered.read);
        let (ready, waiting) = all
            .into_iter()
            .filter(|completion| !is_void(completion))
            .partition(|completion| completion.reached <= seen);
        self.gathered.read = waiting;
        ready
    }

    /// Whether it is time to tell that the log went on without changes for us.
    fn has_idle_progress(&self) -> bool {
        let advanced = self.gathered.seen.0.saturating_sub(self.cursor.lsn.0);
        if advanced == 0 {
            return false;
        }
        if self.target.is_some_and(|target| self.cursor.lsn < target && target <= self.gathered.seen) {
            return true;
        }
        let now = self.cx.world.now();
        let since = self.gathered.last_boundary.map_or(u64::MAX, |last| now.micros_since(last));
        let pause = if advanced >= IDLE_BYTES { IDLE_SHORT } else { IDLE_LONG };
        u128::from(since) >= pause.as_micros()
    }

    /// Hands everything that has arrived to the lane.
    async fn pass_on(&mut self) -> Result<()> {
        let mut batches = std::mem::take(&mut self.gathered.batches);
        for (_, changes) in std::mem::take(&mut self.gathered.tables) {
            batches.push(changes.finish()?);
        }
        self.gathered.bytes = 0;
        self.gathered.passed_on = self.gathered.changes;
        for batch in batches {
            self.lane.batch(batch).await?;
        }
        Ok(())
    }

    /// A record that moved to another key without all its values: chunks of two snapshots could each miss it.
    fn watch_move(&mut self, relation: u32) {
        let Some(Some(known)) = self.gathered.relations.get(&relation) else { return };
        let name = known.schema.stream().as_str().to_owned();
        let moved = self.gathered.tables.get(&relation).is_some_and(TableChanges::last_moved_in_part);
        let Some(sync) = self.syncs.get(&name).filter(|_| moved) else { return };
        self.cursor.moved.insert(name.clone(), sync.generation);
        if sync.resumed {
            self.void(&name, "had a record moved to another key");
        }
    }

    fn void_sync(&mut self, relation: u32, what: &str) {
        if let Some(Some(known)) = self.gathered.relations.get(&relation) {
            let name = known.schema.stream().as_str().to_owned();
            self.void(&name, what);
        }
    }

    /// Notes that the initial sync of `table`, if one is under way, must start anew.
    fn void(&mut self, table: &str, what: &str) {
        let Some(sync) = self.syncs.get(table) else { return };
        self.cursor.void.insert(table.to_owned(), sync.generation);
        let why = format!("table `{table}` {what} while it was being read: its initial sync starts anew");
        self.gathered.void.get_or_insert(why);
    }
}

impl Gathered {
    fn must_settle(&self) -> bool {
        if self.transaction.is_some() { self.is_large() } else { self.is_times_enough(1) }
    }

    fn is_large(&self) -> bool {
        self.is_times_enough(LARGE)
    }

    fn is_times_enough(&self, times: u64) -> bool {
        self.bytes as u64 >= ENOUGH_BYTES as u64 * times
            || self.changes - self.passed_on >= ENOUGH_CHANGES * times
    }

    fn end_boundary(&mut self, now: Time) {
        self.changes = 0;
        self.passed_on = 0;
        self.last_boundary = Some(now);
    }
}

fn out_of_order() -> Error {
    Error::data("the replication stream has a message where none may be")
        .hint("report this: it stopped before anything was lost")
}
