//! The replication stream, from the messages of the server into the log.
//!
//! Transactions come one after another, each whole, once it is committed. Those that arrive together share a boundary, and
//! each keeps its place in it. One that is large is passed on piece by piece and becomes visible with its end.

#[cfg(feature = "fuzzing")]
#[expect(clippy::expect_used, reason = "a broken promise is to panic")]
pub(super) mod fuzzing;
mod gathered;
mod relation;
mod syncs;
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
    Error, Result, Stop,
    change::Op,
    read::{End, Lane, ReadContext, Span},
};
use tokio::sync::mpsc;

pub(super) use self::gathered::Gathered;
use self::{
    relation::Relation,
    table::{TableChanges, Transaction},
};
use super::{
    cursor::StreamCursor,
    definitions::Definitions,
    replication::{
        Feed, Frame,
        pgoutput::{self, Message},
    },
    sync::{Notice, OpenSync, Verdict, What},
    table::{Table, definition},
};
use crate::postgres::{lsn::Lsn, types::ColumnType};

/// Mere progress of the log is told no more often: it costs a commit, which itself makes the server's log grow where a
/// destination lives on the same server. Nor less often: a server that shuts down waits for it.
const IDLE: Duration = Duration::from_secs(10);

/// How often progress is looked at when nothing comes.
const LOOK: Duration = Duration::from_secs(1);

/// Reads the stream.
pub(super) struct ChangeReader {
    pub(super) feed: Feed,
    /// By the server's numbers: a table may be given another name, and is still the same.
    pub(super) tables: HashMap<u32, Arc<Table>>,
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
    /// Thrown when the run is to begin again.
    pub(super) again: Stop,
    /// Where to end; `None`: never.
    pub(super) target: Option<Lsn>,
    /// Whether the server sends values in their binary form, and where to say that it must not.
    pub(super) binary: bool,
    pub(super) text_only: Arc<AtomicBool>,
    pub(super) gathered: Gathered,
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
        let mut commit = self.lane.under_way();
        loop {
            // What comes while a commit is under way shares a boundary, and the next one.
            if commit.is_over() || self.gathered.must_settle() {
                self.settle().await?;
                commit = self.lane.under_way();
            }
            if self.is_at_its_end() {
                return Ok(End::CaughtUp);
            }
            let world = self.cx.world.clone();
            tokio::select! {
                biased;
                () = self.cx.stop.stopped() => return Ok(End::Stopped),
                // Chunks that are being read would be read again.
                () = self.again.stopped(), if !self.is_syncing() => return Ok(End::Again),
                Some(notice) = self.notices.recv() => self.take_notice(notice),
                frame = self.feed.next() => self.take(frame?).await?,
                () = commit.over(), if !commit.is_over() => {}
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
        reached && !self.is_syncing() && self.gathered.transaction.is_none()
    }

    fn is_syncing(&self) -> bool {
        !self.syncs.is_empty() || self.gathered.anew > 0
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
        let Some(table) = self.tables.get(&message.oid).cloned() else {
            self.gathered.relations.insert(message.oid, None);
            return Ok(());
        };
        let name = table.id.to_string();
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
}

fn out_of_order() -> Error {
    Error::data("the replication stream has a message where none may be")
        .hint("report this: it stopped before anything was lost")
}
