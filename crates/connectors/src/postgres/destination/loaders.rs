//! The sessions that load rows of an initial sync ahead of the position, several at once.
//!
//! Pieces of one stream go beside one another in the hope that no key occurs in two of them. Where one meets rows that are there,
//! it is rolled back and kept with every piece of its stream that was begun after it; when all sessions are idle these are
//! merged one by one, in order. The notes of what comes after a piece go in the transaction that merges it, so that after a
//! crash too the later rows are written after the earlier ones.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use tidemark_engine::{Error, Position, change::ChangeBatch, schema::StreamName};
use tokio::task::JoinSet;

use super::{
    ahead::Load,
    bulk::{Copied, SAVEPOINT},
    failure::{Failure, Result},
    ledger::{self, Tenure},
    loaded::Loaded,
    writer::Writer,
};
use crate::postgres::connection::Server;

/// The sessions that load ahead.
pub(super) struct Loaders {
    server: Server,
    tenure: Arc<Tenure>,
    most: usize,
    loaded: Loaded,
    idle: Vec<Writer>,
    busy: JoinSet<Landed>,
    /// How many pieces have been begun.
    begun: u64,
    under_way: HashMap<StreamName, UnderWay>,
    /// Streams whose pieces have met rows that were there: they go on in order.
    in_order: HashSet<StreamName>,
    /// Whether to find the row that a piece fails over: one piece after another.
    pub(super) suspects: bool,
}

/// What came of a piece, and the session it went over.
struct Landed {
    stream: StreamName,
    number: u64,
    outcome: Result<(Writer, Copied)>,
}

/// The pieces of one stream by number, from the oldest that is not in its table on, and what came of each.
type UnderWay = BTreeMap<u64, (Arc<Load>, Option<Copied>)>;

impl Loaders {
    /// At most `most` sessions; they connect when they are needed. `loaded` is what there is already.
    pub(super) fn new(server: Server, tenure: Arc<Tenure>, most: usize, loaded: Loaded) -> Self {
        Self {
            server,
            tenure,
            most: most.max(1),
            loaded,
            idle: Vec::new(),
            busy: JoinSet::new(),
            begun: 0,
            under_way: HashMap::new(),
            in_order: HashSet::new(),
            suspects: false,
        }
    }

    /// The parts of `changes` that have not been loaded.
    pub(super) fn missing(&self, sequence: u64, changes: &ChangeBatch) -> Vec<ChangeBatch> {
        self.loaded.missing(sequence, changes)
    }

    /// Forgets what was loaded of `stream` up to commit `sequence`: the position has moved past it.
    pub(super) fn forget(&mut self, stream: &StreamName, sequence: u64) {
        self.loaded.forget(stream.as_str(), sequence);
    }

    /// Forgets prepared statements: the tables that they are about have changed. To be called when nothing is under way.
    pub(super) fn forget_statements(&mut self) {
        self.idle.iter_mut().for_each(Writer::forget_statements);
    }

    /// Loads one piece in a transaction of its own, as soon as a session is free. What came before of the same stream may still be
    /// under way, save that a beginning waits for everything.
    pub(super) async fn take(&mut self, load: Load, begin: &Position) -> Result<()> {
        let rows = load.rows();
        // What a crash has left out may have to be written before what is there.
        let is_gap = rows.as_ref().is_some_and(|rows| self.loaded.has_after(rows));
        if is_gap || self.suspects || !load.may_run_beside() || self.in_order.contains(load.stream()) {
            self.land(begin).await?;
            return self.load_in_order(&load, begin).await;
        }
        let mut writer = self.free().await?;
        let (stream, number, load) = (load.stream().clone(), self.begun, Arc::new(load));
        self.begun += 1;
        self.under_way.entry(stream.clone()).or_default().insert(number, (load.clone(), None));
        let (tenure, begin) = (self.tenure.clone(), begin.clone());
        self.busy.spawn(async move {
            let outcome = load_beside(&mut writer, &load, &tenure, &begin).await;
            Landed { stream, number, outcome: outcome.map(|copied| (writer, copied)) }
        });
        Ok(())
    }

    /// Waits until everything is loaded.
    pub(super) async fn finish(&mut self, begin: &Position) -> Result<()> {
        self.land(begin).await?;
        self.in_order.clear();
        Ok(())
    }

    /// Waits for every session, and loads in order what met rows that were there.
    async fn land(&mut self, begin: &Position) -> Result<()> {
        while !self.busy.is_empty() {
            self.join_one().await?;
        }
        for (stream, pieces) in std::mem::take(&mut self.under_way) {
            for (load, _) in pieces.values() {
                self.load_in_order(load, begin).await?;
            }
            self.in_order.insert(stream);
        }
        Ok(())
    }

    /// Loads when nothing else is under way.
    async fn load_in_order(&mut self, load: &Load, begin: &Position) -> Result<()> {
        let mut writer = self.free().await?;
        writer.suspects = self.suspects;
        self.tenure.hold(&mut writer, (BEGIN, ""), begin).await?;
        let copied = load.run(&mut writer).await?;
        match load.rows() {
            Some(rows) => {
                if copied == Copied::SomeAreThere {
                    self.tenure.forget_loaded_after(&mut writer, &rows).await?;
                    self.loaded.forget_after(&rows);
                }
                self.tenure.commit_loaded(&mut writer, &rows).await?;
            }
            None => writer.run("COMMIT").await?,
        }
        self.idle.push(writer);
        Ok(())
    }

    async fn free(&mut self) -> Result<Writer> {
        if let Some(writer) = self.idle.pop() {
            return Ok(writer);
        }
        if self.busy.len() < self.most {
            let mut writer = Writer::connect(&self.server, "loader").await?;
            ledger::register_session(&mut writer, &self.tenure.destination).await?;
            return Ok(writer);
        }
        self.join_one().await?;
        self.idle.pop().ok_or_else(|| Failure::Known(Error::internal("no loader came back")))
    }

    async fn join_one(&mut self) -> Result<()> {
        let Some(joined) = self.busy.join_next().await else { return Ok(()) };
        let Landed { stream, number, outcome } = joined?;
        let (writer, copied) = outcome?;
        self.idle.push(writer);
        let Some(pieces) = self.under_way.get_mut(&stream) else { return Ok(()) };
        if let Some((_, landed)) = pieces.get_mut(&number) {
            *landed = Some(copied);
        }
        if copied == Copied::SomeAreThere {
            self.in_order.insert(stream.clone());
        }
        while let Some(oldest) = pieces.first_entry().filter(|oldest| oldest.get().1 == Some(Copied::All)) {
            oldest.remove();
        }
        if pieces.is_empty() {
            self.under_way.remove(&stream);
        }
        Ok(())
    }
}

/// The commit of a piece need not wait for the disk: rows and note are lost together or not at all, and the commit that moves the
/// position, which comes after them in the server's log, does wait.
const BEGIN: &str = "BEGIN; SET LOCAL synchronous_commit = off";

/// Loads in a transaction of its own, which is rolled back where rows are there already.
async fn load_beside(writer: &mut Writer, load: &Load, tenure: &Tenure, begin: &Position) -> Result<Copied> {
    tenure.hold(writer, (BEGIN, SAVEPOINT), begin).await?;
    let copied = load.run_beside(writer).await?;
    if copied == Copied::SomeAreThere {
        writer.run("ROLLBACK").await?;
        return Ok(copied);
    }
    match load.rows() {
        Some(rows) => tenure.commit_loaded(writer, &rows).await?,
        None => writer.run("COMMIT").await?,
    }
    Ok(copied)
}
