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
    read::{End, Lane, ReadContext, Span, Ticket},
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
    sync::{Completion, Event, Notice, OpenSync, Verdict, What},
    table::{Table, definition},
};
use crate::postgres::{lsn::Lsn, types::ColumnType};

/// Transactions are put behind a boundary when there are about this many bytes of messages, or this many changes: they then
/// ride inside the commit.
const ENOUGH_BYTES: usize = 512 << 10;
const ENOUGH_CHANGES: u64 = 8_192;
/// A transaction that goes on beyond this many times as much is passed on before its end.
const LARGE: u64 = 4;

/// Mere progress of the log is told no more often: it costs a commit, which itself makes the server's log grow where a
/// destination lives on the same server. Nor less often: a server that shuts down waits for it.
const IDLE: Duration = Duration::from_secs(10);

/// How often progress is looked at when nothing comes.
const LOOK: Duration = Duration::from_secs(1);

/// Reads the stream.
pub(super) struct ChangeReader {
    pub(super) feed: Feed,
    pub(super) tables: HashMap<String, Arc<Table>>,
    /// Initial syncs under way, by stream; what is told of them; and what we tell.
    pub(super) syncs: BTreeMap<String, OpenSync>,
    pub(super) notices: mpsc::UnboundedReceiver<Notice>,
    pub(super) verdicts: mpsc::UnboundedSender<Verdict>,
    /// See [`super::sync::InitialSync`].
    pub(super) keep_snapshot: Arc<AtomicBool>,
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
    /// Initial syncs that are void, and have not begun anew yet.
    anew: usize,
    /// The last boundary.
    ticket: Option<Ticket>,
    /// Why a run must end: the tables have to be looked at again.
    altered: Option<String>,
}

impl ChangeReader {
    /// Reads until stopped or, with a target, until everything before it is in the log and every initial sync is complete.
    pub(super) async fn run(mut self) -> Result<End> {
        self.gathered.seen = self.cursor.lsn;
        let end = self.read_on().await?;
        // The server may forget what is durable before we leave.
        if let Some(ticket) = self.gathered.ticket.take() {
            ticket.durable().await?;
            self.feed.acknowledger().acknowledge(self.cursor.lsn);
        }
        self.feed.close().await;
        Ok(end)
    }

    async fn read_on(&mut self) -> Result<End> {
        loop {
            self.settle().await?;
            if self.is_at_its_end() {
                return Ok(End::CaughtUp);
            }
            let world = self.cx.world.clone();
            tokio::select! {
                biased;
                () = self.cx.stop.stopped() => return Ok(End::Stopped),
                Some(notice) = self.notices.recv() => self.take_notice(notice),
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
        let is_syncing = !self.syncs.is_empty() || self.gathered.anew > 0;
        reached && !is_syncing && self.gathered.transaction.is_none()
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
                if self.gathered.tables.get(&relation).is_some_and(TableChanges::last_moved_in_part) {
                    self.note_event(relation, What::MovedInPart);
                }
                Ok(())
            }
            Message::Delete { relation, old } => self.change(relation, |table| table.delete(old)),
            Message::Truncate(truncate) => truncate.relations().try_for_each(|relation| {
                self.change(relation, TableChanges::truncate)?;
                self.note_event(relation, What::Truncated);
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
        let is_altered = definition(&relation.schema);
        let is_altered = self.syncs.get(&name).is_some_and(|sync| sync.definition != is_altered);
        let known = self.gathered.relations.get(&message.oid).cloned().flatten();
        if !known.is_some_and(|known| known.is_read_alike(&relation)) {
            if let Some(changes) = self.gathered.tables.remove(&message.oid) {
                self.gathered.batches.push(changes.finish()?);
            }
            self.gathered.relations.insert(message.oid, Some(Arc::new(relation)));
        }
        if is_altered {
            self.note_event(message.oid, What::Altered);
        }
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
        self.take_notices();
        let judged = self.judge();
        if self.gathered.spans.is_empty() && judged.is_empty() && !self.has_idle_progress() {
            return Ok(());
        }
        self.pass_on().await?;
        let verdicts: Vec<_> = judged.into_iter().map(|completion| self.end_sync(completion)).collect();
        self.cursor.lsn = self.gathered.seen;
        let spans = std::mem::take(&mut self.gathered.spans);
        let ticket = self.lane.boundary_over(self.cursor.write()?, spans).await?;
        self.gathered.end_boundary(self.cx.world.now());
        if !verdicts.is_empty() {
            // A generation that is void is begun anew only when that is known for good.
            ticket.durable().await?;
        } else {
            self.gathered.ticket = Some(ticket);
        }
        for verdict in verdicts {
            let _ = self.verdicts.send(verdict);
        }
        match self.gathered.altered.take() {
            Some(why) => Err(Error::unavailable(why)),
            None => Ok(()),
        }
    }

    fn take_notices(&mut self) {
        while let Ok(notice) = self.notices.try_recv() {
            self.take_notice(notice);
        }
    }

    fn take_notice(&mut self, notice: Notice) {
        match notice {
            Notice::Begun(sync) => {
                self.gathered.anew -= 1;
                self.syncs.insert(sync.table.clone(), sync);
            }
            Notice::Read(completion) => self.gathered.read.push(completion),
        }
    }

    /// The generations that are staged whole, now that the stream has come as far.
    fn judge(&mut self) -> Vec<Completion> {
        let seen = self.gathered.seen;
        let all = std::mem::take(&mut self.gathered.read);
        let (ready, waiting) = all.into_iter().partition(|completion| completion.reached <= seen);
        self.gathered.read = waiting;
        ready
    }

    /// Ends a generation with the next boundary: it is complete, or void.
    fn end_sync(&mut self, completion: Completion) -> Verdict {
        let Completion { table, generation, chunks, .. } = completion.clone();
        let sync = self.syncs.remove(&table);
        let events = sync.iter().flat_map(|sync| &sync.events);
        let harm = events.filter(|event| completion.suffers(event)).map(|event| event.what).next();
        self.cursor.moved.remove(&table);
        match harm {
            Some(what) => {
                self.cursor.void.insert(table.clone(), generation);
                self.gathered.anew += 1;
                if what == What::Altered {
                    let why =
                        format!("table `{table}` was altered while it was being read: it is looked at again");
                    self.gathered.altered.get_or_insert(why);
                }
            }
            None => {
                self.lane.note(SyncStep::Done { stream: StreamName::new(&table), generation });
                self.lane.forget(SyncCursor::part(&table));
                (0..chunks).for_each(|chunk| self.lane.forget(SyncCursor::chunk_part(&table, chunk)));
                self.cursor.void.remove(&table);
                self.cursor.synced.insert(table.clone(), generation);
            }
        }
        Verdict { table, void: harm }
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
        u128::from(since) >= IDLE.as_micros()
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

    /// Notes what happened to a table, if its initial sync is under way.
    fn note_event(&mut self, relation: u32, what: What) {
        // One that began before this happened has been told of.
        self.take_notices();
        let Some(Some(known)) = self.gathered.relations.get(&relation) else { return };
        let Some(at) = self.gathered.transaction.as_ref().map(|transaction| transaction.commit) else {
            return;
        };
        let Some(sync) = self.syncs.get_mut(known.schema.stream().as_str()) else { return };
        let event = Event { at, what };
        if sync.events.last() != Some(&event) {
            sync.events.push(event);
        }
        let (table, generation) = (sync.table.clone(), sync.generation);
        match what {
            What::MovedInPart => {
                self.keep_snapshot.store(true, Ordering::Relaxed);
                self.cursor.moved.insert(table, generation);
            }
            // Should this process end before it is judged, the next one starts anew.
            What::Truncated | What::Altered => drop(self.cursor.void.insert(table, generation)),
        }
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
