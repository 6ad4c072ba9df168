//! A table that changes while it is read in chunks, and the strategy that does: with generations that are abandoned, and chunks
//! that a restart reads at a later point than those before.

use std::collections::BTreeMap;

use bytes::Bytes;
use tidemark_engine::{
    Cursor, Error, PartId, Result,
    change::{Op, Value},
    log::{Former, KeyRange, SyncStep},
    read::{Lane, Outlet, Phase},
    schema::{StreamName, ordered},
};

use crate::{
    fate::{Call, Fate},
    model::Change,
    source::{SourceTime, batch},
    world::Seeded,
};

const NAME: &str = "accounts";
const KEYS: i64 = 40;
const CHUNKS: usize = 4;
/// Of one generation after another, this is the last that is abandoned, or read anew.
const LAST_GENERATION: u64 = 7;

/// The table and its history.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    /// Each transaction, and the table after it; the first is 1.
    history: Vec<(Vec<Change>, BTreeMap<i64, i64>)>,
}

impl Table {
    pub(crate) fn new(random: &mut Seeded) -> Self {
        let mut rows = BTreeMap::new();
        let mut serial = 0;
        let mut transaction = |_| {
            let size = 1 + random.below(4);
            let mut change = || {
                serial += 1;
                let mut key = || i64::try_from(random.below(KEYS.unsigned_abs())).expect("it is small");
                let (key, to) = (key(), key());
                let (op, to, old_key) = match rows.remove(&key) {
                    None => (Op::Create, key, None),
                    Some(_) if random.below(4) == 0 => (Op::Delete, key, None),
                    Some(_) if !rows.contains_key(&to) && to != key => (Op::Update, to, Some(key)),
                    Some(_) => (Op::Update, key, None),
                };
                if op != Op::Delete {
                    rows.insert(to, serial);
                }
                Change { op, key: to, old_key, serial }
            };
            let changes = (0..size).map(|_| change()).collect();
            (changes, rows.clone())
        };
        Self { history: (0..50).map(&mut transaction).collect() }
    }

    /// The table after transaction `time`.
    pub(crate) fn at(&self, time: u64) -> &BTreeMap<i64, i64> {
        &self.history[usize::try_from(time).expect("it is small") - 1].1
    }

    /// What has been mirrored is what the table looked like after a transaction, or nothing.
    pub(crate) fn check_state(&self, mirrored: &BTreeMap<String, BTreeMap<i64, i64>>) {
        let found = mirrored.get(NAME).cloned().unwrap_or_default();
        let is_known = self.history.iter().any(|(_, table)| *table == found);
        assert!(is_known || found.is_empty(), "`{NAME}` never looked like this: {found:?}");
    }

    /// The last transaction.
    pub(crate) fn last(&self) -> u64 {
        self.history.len() as u64
    }

    fn transaction(&self, number: u64) -> &[Change] {
        &self.history[usize::try_from(number).expect("it is small") - 1].0
    }
}

/// What the cursor says: which generation, the points of the chunks that have been read (0: not yet), the last transaction
/// that is staged, the last generation that is complete, and the last that does not count because changes since it are wanting.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    generation: u64,
    points: [u64; CHUNKS],
    staged: u64,
    complete: u64,
    void: u64,
}

impl Progress {
    /// Each lane has a part of its own.
    fn parts() -> [PartId; 2] {
        [PartId::new("accounts/sync"), PartId::new(NAME)]
    }

    fn read(cursor: &Cursor) -> Self {
        let numbers = |part: PartId| {
            let bytes = cursor.get(&part).map_or(&[][..], |bytes| bytes.as_ref());
            let numbers =
                bytes.chunks(8).map(|number| u64::from_be_bytes(number.try_into().expect("8 bytes")));
            numbers.chain(std::iter::repeat(0)).take(CHUNKS + 2).collect::<Vec<_>>()
        };
        let [sync, changes] = Self::parts().map(numbers);
        let points = std::array::from_fn(|chunk| sync[chunk + 1]);
        Self { generation: sync[0], points, staged: changes[0], complete: changes[1], void: changes[2] }
    }

    /// What there is of the table when a generation begins now.
    fn former(&self) -> Former {
        match self.complete {
            0 => Former::Nothing,
            complete if self.void >= complete => Former::Stale,
            _ => Former::Current,
        }
    }

    fn sync_part(&self) -> Bytes {
        let numbers = std::iter::once(self.generation).chain(self.points);
        numbers.flat_map(u64::to_be_bytes).collect()
    }

    fn changes_part(&self) -> Bytes {
        [self.staged, self.complete, self.void].into_iter().flat_map(u64::to_be_bytes).collect()
    }
}

/// The last transaction that a cursor tells to be staged.
pub(crate) fn staged(cursor: &Cursor) -> usize {
    usize::try_from(Progress::read(cursor).staged).expect("it is small")
}

/// Reads the table to its end.
pub(crate) struct Reading<'a> {
    table: &'a Table,
    time: &'a SourceTime,
    fate: &'a Fate,
    sync: Lane,
    changes: Lane,
    /// Whether somebody asks for it to be read anew.
    asked: bool,
    at: Progress,
}

impl<'a> Reading<'a> {
    pub(crate) fn new(
        table: &'a Table,
        time: &'a SourceTime,
        fate: &'a Fate,
        (from, told_from): (&Cursor, usize),
        out: &Outlet,
        asked: bool,
    ) -> Self {
        let [sync, changes] = Progress::parts();
        let (sync, changes) = (out.lane(sync, Phase::InitialSync), out.lane(changes, Phase::Changes));
        let at = Progress { staged: told_from as u64, ..Progress::read(from) };
        Self { table, time, fate, sync, changes, asked, at }
    }

    /// Begins what is to begin, durably.
    pub(crate) async fn open(&mut self) -> Result<()> {
        let is_syncing = self.at.complete < self.at.generation;
        // Fewer and fewer lives would be long enough.
        let may_begin = self.at.generation < LAST_GENERATION;
        let (abandons, loses) = (self.fate.draw(3) == 0, self.fate.draw(12) == 0);
        if may_begin && loses {
            self.lose().await?;
        }
        if self.at.void == self.at.generation || may_begin && (abandons || self.asked && !is_syncing) {
            self.begin().await?;
        }
        Ok(())
    }

    pub(crate) async fn run(mut self) -> Result<()> {
        loop {
            self.fate.place().await;
            if self.fate.call() != Call::Succeeds {
                return Err(Error::unavailable("the source went away"));
            }
            let unread = self.at.points.iter().position(|point| *point == 0);
            let syncing = self.at.complete < self.at.generation;
            match unread.filter(|_| syncing) {
                Some(chunk) if self.fate.draw(3) == 0 => self.read(chunk).await?,
                None if self.at.staged == self.table.last() && !syncing => return Ok(()),
                None if syncing && self.at.points.iter().all(|point| *point <= self.at.staged + 1) => {
                    self.complete().await?;
                }
                _ => self.stage().await?,
            }
        }
    }

    /// One generation after another voids what came before.
    async fn begin(&mut self) -> Result<()> {
        (self.at.generation, self.at.points) = (self.at.generation + 1, [0; CHUNKS]);
        let generation = self.at.generation;
        let former = self.at.former();
        self.sync.note(SyncStep::Begin { stream: stream(), generation, former });
        if generation > 1 && former != Former::Current {
            let nothing = Change { op: Op::Truncate, key: 0, old_key: None, serial: 0 };
            self.sync.batch(batch(NAME, &[nothing], 0)).await?;
        }
        self.sync.boundary(self.at.sync_part(), None).await?.durable().await
    }

    /// Transactions that were not staged are lost: the table is read anew, and goes on behind them.
    async fn lose(&mut self) -> Result<()> {
        self.at.staged = self.time.pass(self.fate.draw(3), self.table.last());
        self.at.void = self.at.generation;
        self.changes.boundary(self.at.changes_part(), None).await?.durable().await
    }

    async fn read(&mut self, chunk: usize) -> Result<()> {
        let now = self.time.pass(self.fate.draw(4), self.table.last());
        let width = KEYS / CHUNKS as i64;
        let first = width * i64::try_from(chunk).expect("it is small");
        let rows = self.table.at(now).range(first..first + width);
        let rows: Vec<_> =
            rows.map(|(&key, &serial)| Change { op: Op::Read, key, old_key: None, serial }).collect();
        self.at.points[chunk] = now + 1;
        self.sync.note(SyncStep::Chunk {
            stream: stream(),
            generation: self.at.generation,
            range: KeyRange {
                from: (chunk > 0).then(|| ordered(&Value::Int(first))).flatten(),
                until: (chunk + 1 < CHUNKS).then(|| ordered(&Value::Int(first + width))).flatten(),
            },
            point: (now + 1).to_be_bytes().to_vec(),
        });
        self.sync.batch(batch(NAME, &rows, 0)).await?;
        self.sync.boundary(self.at.sync_part(), None).await.map(drop)
    }

    /// Stages the next transaction, if there is one yet.
    async fn stage(&mut self) -> Result<()> {
        let next = self.at.staged + 1;
        if next > self.time.pass(1, self.table.last()) {
            return Ok(());
        }
        self.changes.batch(batch(NAME, self.table.transaction(next), next)).await?;
        self.at.staged = next;
        self.changes.boundary(self.at.changes_part(), None).await.map(drop)
    }

    async fn complete(&mut self) -> Result<()> {
        self.at.complete = self.at.generation;
        self.changes.note(SyncStep::Done { stream: stream(), generation: self.at.generation });
        self.changes.boundary(self.at.changes_part(), None).await.map(drop)
    }
}

fn stream() -> StreamName {
    StreamName::new(NAME)
}
