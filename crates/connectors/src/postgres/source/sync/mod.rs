//! The initial sync: tables as they are, read in chunks, several at once, beside the replication stream.
//!
//! Each run takes one snapshot, shared by all its connections, and reads the chunks that are not staged yet. A chunk is one
//! boundary: once it is durable it is never read again. When all chunks of a table are, and the stream has come as far as
//! the log was then, the generation is complete: [`super::changes`] says so in the stream's own order.

mod chunk;
mod copy;
mod plan;
mod rows;
mod snapshot;

pub(super) use snapshot::end_of_log;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use tidemark_engine::{
    Cursor, Digest, Error, Result, Stop,
    change::{ChangeBatch, Columns, Op},
    log::SyncStep,
    read::{Outlet, Phase, Ticket},
    world::World,
};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_postgres::Client;

use self::{chunk::Chunk, snapshot::Snapshot};
use super::{
    cursor::{StreamCursor, SyncCursor},
    definitions::Definitions,
    table::{Shape, Table, definition},
};
use crate::postgres::{connection::Server, lsn::Lsn, types::ColumnBuilder};

/// What the reader of the stream knows of an initial sync that is under way.
#[derive(Debug, Clone)]
pub(super) struct OpenSync {
    pub(super) generation: u64,
    /// See [`SyncCursor::definition`].
    pub(super) definition: Digest,
    /// Whether chunks of another snapshot are staged.
    pub(super) resumed: bool,
}

/// An initial sync of which every chunk is staged.
#[derive(Debug)]
pub(super) struct Completion {
    pub(super) table: String,
    pub(super) generation: u64,
    pub(super) chunks: usize,
    /// Where the log was by then: with the stream this far, it is complete.
    pub(super) reached: Lsn,
}

/// The initial syncs of a run.
pub(super) struct InitialSync {
    server: Server,
    tables: Vec<Arc<TableSync>>,
    readers: u8,
    out: Outlet,
    world: World,
}

/// The initial sync of one table.
pub(super) struct TableSync {
    shape: Shape,
    plan: SyncCursor,
    staged: BTreeMap<usize, Lsn>,
}

impl InitialSync {
    /// Finds out what is left to be read, and begins what has not begun. Returns when every beginning is durable: from then on
    /// the tables' changes wait for their completion.
    pub(super) async fn begin(
        server: &Server,
        tables: &[Arc<Table>],
        cursor: &Cursor,
        stream: &StreamCursor,
        definitions: &mut Definitions,
        readers: u8,
        out: Outlet,
        world: World,
    ) -> Result<Self> {
        let mut begun = Self { server: server.clone(), tables: Vec::new(), readers, out, world };
        let mut session = None;
        for table in tables {
            let name = table.id.to_string();
            if stream.synced.contains_key(&name) {
                continue;
            }
            let session = match &mut session {
                Some(session) => session,
                None => session.insert(server.connect("initial sync").await?),
            };
            let shape = Shape::ask(table.clone(), definitions).await?;
            let known = SyncCursor::read(cursor, &name)?;
            let sync = match known {
                Some(plan) if !must_start_anew(&plan, &shape, stream, cursor) => {
                    let staged = plan.staged(cursor, &name);
                    TableSync { shape, plan, staged }
                }
                former => {
                    let generation = former.as_ref().map_or(0, |former| former.generation) + 1;
                    let (column, bounds) = plan::chunks(session, table, &shape.schema).await?;
                    let plan =
                        SyncCursor { generation, definition: definition(&shape.schema), column, bounds };
                    let sync = TableSync { shape, plan, staged: BTreeMap::new() };
                    begun.note_begin(&sync, former).await?;
                    sync
                }
            };
            begun.tables.push(Arc::new(sync));
        }
        Ok(begun)
    }

    /// What the reader of the stream must know.
    pub(super) fn open(&self) -> BTreeMap<String, OpenSync> {
        let open = |sync: &Arc<TableSync>| {
            let TableSync { shape, plan, staged } = sync.as_ref();
            let open = OpenSync {
                generation: plan.generation,
                definition: plan.definition,
                resumed: !staged.is_empty(),
            };
            (shape.table.id.to_string(), open)
        };
        self.tables.iter().map(open).collect()
    }

    /// Makes the beginning of a generation durable. What came of a `former` one is void: destinations are told by a truncate.
    async fn note_begin(&self, sync: &TableSync, former: Option<SyncCursor>) -> Result<()> {
        let name = sync.shape.table.id.to_string();
        let mut lane = self.out.lane(SyncCursor::part(&name), Phase::InitialSync);
        lane.note(SyncStep::Begin { stream: sync.shape.table.stream(), generation: sync.plan.generation });
        if let Some(former) = former {
            tracing::info!(table = name, generation = sync.plan.generation, "the initial sync starts anew");
            (0..former.chunks()).for_each(|chunk| lane.forget(SyncCursor::chunk_part(&name, chunk)));
            lane.batch(sync.nothing_left()?).await?;
        }
        lane.boundary(sync.plan.write()?, None).await?.durable().await
    }

    /// Reads every chunk that is not staged yet, and tells of each table that has all.
    pub(super) async fn run(self, completions: mpsc::UnboundedSender<Completion>, stop: Stop) -> Result<()> {
        if self.tables.is_empty() {
            return Ok(());
        }
        let work = Arc::new(Work::new(&self.tables));
        let snapshot = match work.is_empty() {
            true => None,
            false => Some(Snapshot::take(&self.server, &self.world).await?),
        };
        if let Some(snapshot) = &snapshot {
            self.read_chunks(&work, snapshot, &completions, stop).await?;
        }
        for sync in self.tables.iter().filter(|sync| sync.staged.len() == sync.plan.chunks()) {
            sync.complete(&self.server, &completions).await?;
        }
        Ok(())
    }

    async fn read_chunks(
        &self,
        work: &Arc<Work>,
        snapshot: &Snapshot,
        completions: &mpsc::UnboundedSender<Completion>,
        stop: Stop,
    ) -> Result<()> {
        let begun = self.world.now();
        let mut readers = JoinSet::new();
        for _ in 0..self.readers.max(1) {
            let reader = Reader {
                server: self.server.clone(),
                work: work.clone(),
                snapshot: snapshot.name().to_owned(),
                point: snapshot.point(),
                out: self.out.clone(),
                completions: completions.clone(),
                world: self.world.clone(),
                begun,
                stop: stop.clone(),
            };
            readers.spawn(reader.run());
        }
        while let Some(ended) = readers.join_next().await {
            ended??;
        }
        if stop.is_stopped() || work.is_empty() {
            return Ok(());
        }
        Err(Error::unavailable("the snapshot of the initial sync is old: a new one is taken"))
    }
}

/// The first `records` of a table.
pub(super) async fn sample(session: &Client, shape: &Shape, records: usize) -> Result<Option<ChangeBatch>> {
    let condition = shape.table.condition.iter().map(|condition| format!(" WHERE ({condition})"));
    let clauses = format!("{} LIMIT {records}", condition.collect::<String>());
    rows::Copying::begin(session, shape, &clauses, Lsn::default()).await?.next().await
}

/// Whether chunks that are staged cannot be put together with ones still to be read.
fn must_start_anew(plan: &SyncCursor, shape: &Shape, stream: &StreamCursor, cursor: &Cursor) -> bool {
    let table = shape.table.id.to_string();
    let staged = plan.staged(cursor, &table).len();
    let is_partly_staged = staged > 0 && staged < plan.chunks();
    let moved = stream.moved.get(&table) == Some(&plan.generation);
    plan.definition != definition(&shape.schema)
        || stream.void.get(&table) == Some(&plan.generation)
        || (moved && is_partly_staged)
}

impl TableSync {
    /// A truncate: whatever a destination has of the table is void.
    fn nothing_left(&self) -> Result<ChangeBatch> {
        let mut columns: Vec<_> = self.shape.types.iter().map(ColumnBuilder::new).collect();
        let mut unchanged = tidemark_engine::change::BitmapBuilder::new(columns.len());
        for (index, column) in columns.iter_mut().enumerate() {
            column.append_null();
            unchanged.set(index);
        }
        unchanged.end_row();
        let values = columns.iter_mut().map(ColumnBuilder::finish).collect::<Result<_>>()?;
        let columns = Columns {
            unchanged: unchanged.finish(),
            ..Columns::new([Op::Truncate.letter()].to_vec().into(), values)
        };
        ChangeBatch::new(self.shape.schema.clone(), columns)
    }

    /// Tells that every chunk is staged, and where the log is by now.
    async fn complete(&self, server: &Server, completions: &mpsc::UnboundedSender<Completion>) -> Result<()> {
        let session = server.connect("initial sync").await?;
        let reached = snapshot::end_of_log(&session).await?;
        let completion = Completion {
            table: self.shape.table.id.to_string(),
            generation: self.plan.generation,
            chunks: self.plan.chunks(),
            reached,
        };
        // The reader of the stream is gone only when the run is over.
        let _ = completions.send(completion);
        Ok(())
    }
}

/// The chunks that are still to be read.
struct Work(Mutex<VecDeque<Chunk>>);

impl Work {
    fn new(tables: &[Arc<TableSync>]) -> Self {
        let chunks = tables.iter().flat_map(|sync| {
            let left: Vec<_> =
                (0..sync.plan.chunks()).filter(|number| !sync.staged.contains_key(number)).collect();
            let progress = Arc::new(chunk::Progress::new(left.len()));
            left.into_iter().map(move |number| Chunk {
                sync: sync.clone(),
                number,
                progress: progress.clone(),
            })
        });
        Self(Mutex::new(chunks.collect()))
    }

    fn next(&self) -> Option<Chunk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

/// One of the connections that read chunks.
struct Reader {
    server: Server,
    work: Arc<Work>,
    snapshot: String,
    point: Lsn,
    out: Outlet,
    completions: mpsc::UnboundedSender<Completion>,
    world: World,
    begun: tidemark_engine::Time,
    stop: Stop,
}

impl Reader {
    async fn run(self) -> Result<()> {
        let session = self.server.connect("initial sync").await?;
        let mut tickets: Vec<(Chunk, Ticket)> = Vec::new();
        while !self.stop.is_stopped()
            && !snapshot::is_old(self.begun, &self.world)
            && let Some(chunk) = self.work.next()
        {
            let ticket = chunk.read(&session, &self.snapshot, self.point, &self.out).await?;
            tickets.push((chunk, ticket));
            if tickets.len() > 1 {
                let (chunk, ticket) = tickets.remove(0);
                self.settle(chunk, ticket).await?;
            }
        }
        for (chunk, ticket) in tickets {
            self.settle(chunk, ticket).await?;
        }
        Ok(())
    }

    /// Waits until a chunk is durable; with the last one the table has all.
    async fn settle(&self, chunk: Chunk, ticket: Ticket) -> Result<()> {
        ticket.durable().await?;
        if chunk.progress.is_last() {
            chunk.sync.complete(&self.server, &self.completions).await?;
        }
        Ok(())
    }
}
