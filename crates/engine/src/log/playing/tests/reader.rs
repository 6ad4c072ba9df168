//! A reader that stages a table's changes while it reads the table in four chunks.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use proptest::prelude::*;

use super::table::{Change, Rows, batch};
use crate::{
    PartId, Stop,
    change::{ChangeBatch, Op, Value},
    log::{Entry, Former, Group, KeyRange, Log, LogWriter, Span, Store, SyncStep},
    read::Phase,
    schema::{StreamName, ordered},
    world::World,
};

/// The chunks: keys below 10, from 10 below 20, from 20 below 30, from 30.
const CHUNKS: usize = 4;

/// What happens next.
#[derive(Debug, Clone)]
pub(in crate::log) enum Event {
    /// The source commits a transaction.
    Write(Vec<(Write, i64, i64)>),
    /// Some transactions are staged.
    Stage(usize),
    /// A chunk is read, as the source is now.
    Read(usize),
    /// The initial sync is complete, if it is.
    Complete,
    /// An initial sync begins: another one, or one beside the complete one.
    Anew,
    /// What the source did since is lost for good, so the table is read anew.
    Lose,
    /// What has been handed over is committed.
    Commit,
}

/// What a transaction does to a key; what does not fit is left out.
#[derive(Debug, Clone, Copy)]
pub(in crate::log) enum Write {
    Insert,
    Update,
    UpdateInPart,
    Delete,
    Move,
    MoveInPart,
    Truncate,
}

pub(in crate::log) fn event() -> impl Strategy<Value = Event> {
    let write = prop_oneof![
        6 => Just(Write::Insert),
        3 => Just(Write::Update),
        3 => Just(Write::UpdateInPart),
        2 => Just(Write::Delete),
        3 => Just(Write::Move),
        1 => Just(Write::MoveInPart),
    ];
    let writes = prop::collection::vec((write, 0..40i64, 0..40i64), 1..5);
    let truncate = Just(vec![(Write::Truncate, 0, 0)]);
    prop_oneof![
        8 => writes.prop_map(Event::Write),
        1 => truncate.prop_map(Event::Write),
        5 => (1..4usize).prop_map(Event::Stage),
        6 => (0..CHUNKS).prop_map(Event::Read),
        2 => Just(Event::Complete),
        1 => Just(Event::Anew),
        1 => Just(Event::Lose),
        4 => Just(Event::Commit),
    ]
}

/// The source's table and its history.
#[derive(Debug, Default)]
pub(in crate::log) struct Table {
    pub(in crate::log) rows: Rows,
    /// Each transaction, and the table after it; the first is 1.
    history: Vec<(Vec<Change>, Rows)>,
    serial: i64,
}

impl Table {
    fn write(&mut self, writes: Vec<(Write, i64, i64)>) {
        let changes: Vec<_> =
            writes.into_iter().filter_map(|(write, key, to)| self.change(write, key, to)).collect();
        if !changes.is_empty() {
            self.history.push((changes, self.rows.clone()));
        }
    }

    fn change(&mut self, write: Write, key: i64, to: i64) -> Option<Change> {
        self.serial += 1;
        let serial = self.serial;
        let there = self.rows.get(&key).copied();
        let change = |op, second| Change { op, key, old_key: None, first: serial, second };
        let moved = |second| Change { key: to, old_key: Some(key), ..change(Op::Update, second) };
        let change = match (write, there) {
            (Write::Insert, None) => change(Op::Create, Some(serial)),
            (Write::Update, Some(_)) => change(Op::Update, Some(serial)),
            (Write::UpdateInPart, Some(_)) => change(Op::Update, None),
            (Write::Delete, Some(_)) => change(Op::Delete, None),
            (Write::Move, Some(_)) if !self.rows.contains_key(&to) => moved(Some(serial)),
            (Write::MoveInPart, Some(_)) if !self.rows.contains_key(&to) => moved(None),
            (Write::Truncate, _) => change(Op::Truncate, None),
            _ => return None,
        };
        match change.op {
            Op::Truncate => self.rows.clear(),
            Op::Delete => drop(self.rows.remove(&key)),
            _ => {
                self.rows.remove(&key);
                let second = change.second.or(there.map(|(_, second)| second)).unwrap();
                self.rows.insert(change.key, (serial, second));
            }
        }
        Some(change)
    }

    fn now(&self) -> u64 {
        self.history.len() as u64
    }
}

/// The reader, and what it has put into the log.
pub(in crate::log) struct Reader {
    pub(in crate::log) log: Log,
    pub(in crate::log) table: Table,
    writer: LogWriter,
    entry: Entry,
    generation: u64,
    is_syncing: bool,
    /// The last generation; and the last one that an appended history has in its place.
    read: Reading,
    placed: Reading,
    /// What there is of the table beside a generation that begins now.
    former: Former,
    /// The transaction up to which changes have been staged.
    staged: u64,
    /// The table after each commit after which a complete generation goes on, and after which one that waits for another was last
    /// told of.
    pub(in crate::log) complete_at: BTreeMap<u64, Rows>,
    pub(in crate::log) stale_at: BTreeMap<u64, Rows>,
}

/// What is read of a generation.
#[derive(Debug, Clone, Default)]
struct Reading {
    former: Former,
    /// The point of each chunk that has been read.
    points: [Option<u64>; CHUNKS],
    /// The transaction up to which changes had been staged when it began.
    began_at: u64,
    /// The keys that chunks read.
    records: BTreeSet<i64>,
}

impl Reader {
    /// One that has begun.
    pub(in crate::log) async fn new() -> Self {
        let log = Log::open_or_create(Store::memory(), "playing", World::real()).await.unwrap();
        let mut reader = Self {
            writer: LogWriter::open(&log).await.unwrap(),
            log,
            table: Table::default(),
            entry: Entry::default(),
            generation: 0,
            is_syncing: false,
            read: Reading::default(),
            placed: Reading::default(),
            former: Former::Nothing,
            staged: 0,
            complete_at: BTreeMap::new(),
            stale_at: BTreeMap::new(),
        };
        reader.begin().await;
        reader
    }

    pub(in crate::log) async fn meet(&mut self, event: Event) {
        match event {
            Event::Write(writes) => self.table.write(writes),
            Event::Stage(transactions) => self.stage(transactions).await,
            Event::Read(chunk) => self.read(chunk),
            Event::Complete => self.complete().await,
            Event::Anew => self.begin().await,
            Event::Lose => self.lose().await,
            Event::Commit => self.commit().await,
        }
    }

    /// Stages and reads everything.
    pub(in crate::log) async fn finish(&mut self) {
        loop {
            (0..CHUNKS).for_each(|chunk| self.read(chunk));
            self.stage(usize::MAX).await;
            self.complete().await;
            if !self.is_syncing {
                return self.commit().await;
            }
        }
    }

    async fn begin(&mut self) {
        self.generation += 1;
        let former = self.former;
        let begin = SyncStep::Begin { stream: stream(), generation: self.generation, former };
        let nothing = Change { op: Op::Truncate, key: 0, old_key: None, first: 0, second: None };
        let void = (self.generation > 1 && former != Former::Current).then(|| batch(0, &[nothing]));
        if self.entry.concerns(&stream()) {
            self.commit().await;
        }
        self.hand_over(vec![begin], Phase::InitialSync, void);
        self.is_syncing = true;
        self.read = Reading { former, began_at: self.staged, ..Reading::default() };
    }

    /// The source forgets what it did since it was last staged.
    async fn lose(&mut self) {
        if !self.entry.groups.is_empty() {
            self.commit().await;
        }
        self.staged = self.table.now();
        if self.former == Former::Current {
            self.former = Former::Stale;
        }
        self.begin().await;
    }

    fn read(&mut self, chunk: usize) {
        if !self.is_syncing || self.read.points[chunk].is_some() {
            return;
        }
        let point = self.table.now() + 1;
        self.read.points[chunk] = Some(point);
        let rows = self.table.rows.iter().filter(|(key, _)| chunk_of(**key) == chunk);
        let rows: Vec<_> = rows
            .map(|(&key, &(first, second))| Change {
                op: Op::Read,
                key,
                old_key: None,
                first,
                second: Some(second),
            })
            .collect();
        self.read.records.extend(rows.iter().map(|row| row.key));
        let bound = |chunk: usize| ordered(&Value::Int(chunk as i64 * 10));
        let range = KeyRange {
            from: (chunk > 0).then(|| bound(chunk)).flatten(),
            until: (chunk < CHUNKS - 1).then(|| bound(chunk + 1)).flatten(),
        };
        let step = SyncStep::Chunk {
            stream: stream(),
            generation: self.generation,
            range,
            point: point.to_be_bytes().to_vec(),
        };
        self.hand_over(vec![step], Phase::InitialSync, (!rows.is_empty()).then(|| batch(0, &rows)));
    }

    async fn stage(&mut self, transactions: usize) {
        for _ in 0..transactions {
            let Some((changes, _)) = self.table.history.get(self.staged as usize) else { return };
            let (changes, lsn) = (changes.clone(), self.staged + 1);
            if self.is_syncing && changes.iter().any(|change| change.op == Op::Truncate) {
                self.begin().await;
            }
            self.hand_over(Vec::new(), Phase::Changes, Some(batch(lsn, &changes)));
            self.staged = lsn;
        }
    }

    async fn complete(&mut self) {
        let last = self.read.points.iter().copied().max().flatten();
        let passed = last.is_some_and(|last| self.staged + 1 >= last);
        if !self.is_syncing || self.read.points.contains(&None) || !passed {
            return;
        }
        if self.a_record_would_arrive_in_part() {
            return self.begin().await;
        }
        let done = SyncStep::Done { stream: stream(), generation: self.generation };
        self.hand_over(vec![done], Phase::InitialSync, None);
        self.is_syncing = false;
        if self.read.former != Former::Current {
            self.placed = self.read.clone();
        }
        self.former = Former::Current;
    }

    /// The keys that are read of the generation that an appended history has.
    pub(in crate::log) fn records(&self) -> &BTreeSet<i64> {
        &self.placed.records
    }

    fn a_record_would_arrive_in_part(&self) -> bool {
        self.since_begin(&self.read).any(|(lsn, change)| {
            let (old, new) = self.read.points_of(change);
            change.old_key.is_some() && change.second.is_none() && lsn < old && lsn >= new
        })
    }

    /// How many changes of each transaction the chunks of the generation in an appended history do not have.
    pub(in crate::log) fn expected_changes(&self) -> BTreeMap<u64, usize> {
        let mut expected = BTreeMap::new();
        for (lsn, change) in self.since_begin(&self.placed) {
            let (old, new) = self.placed.points_of(change);
            let all = self.placed.points.iter().flatten().max().copied().unwrap();
            let missing = if change.op == Op::Truncate { lsn >= all } else { lsn >= old || lsn >= new };
            if missing {
                *expected.entry(lsn).or_default() += 1;
            }
        }
        expected
    }

    fn since_begin(&self, read: &Reading) -> impl Iterator<Item = (u64, &Change)> {
        let staged = (1..=self.staged).zip(&self.table.history).skip(read.began_at as usize);
        staged.flat_map(|(lsn, (changes, _))| changes.iter().map(move |change| (lsn, change)))
    }

    fn hand_over(&mut self, steps: Vec<SyncStep>, phase: Phase, batch: Option<ChangeBatch>) {
        let batches: Vec<_> = batch.into_iter().map(|batch| batch.numbered_from(0)).collect();
        let rows = batches.iter().map(|batch| batch.rows() as u64).sum();
        self.entry.groups.push(Group {
            part: PartId::new("table"),
            cursor: Bytes::new(),
            forgotten: Vec::new(),
            transactions: vec![Span { rows, time: None }],
            last_source_position: None,
            steps,
            rows,
            left_out: 0,
            phase,
            batches,
            segments: Vec::new(),
        });
    }

    async fn commit(&mut self) {
        let commit = self.writer.commit(std::mem::take(&mut self.entry), &Stop::new()).await.unwrap();
        let goes_on = !self.is_syncing || self.read.former == Former::Current;
        if self.is_syncing && self.read.former == Former::Stale {
            let (_, rows) = self.complete_at.last_key_value().unwrap();
            self.stale_at.insert(commit.sequence(), rows.clone());
        }
        if goes_on {
            let staged = self.staged.checked_sub(1).and_then(|last| self.table.history.get(last as usize));
            let rows = staged.map(|(_, rows)| rows.clone()).unwrap_or_default();
            self.complete_at.insert(commit.sequence(), rows);
        }
    }
}

impl Reading {
    /// The points of the chunks that hold the old key and the new.
    fn points_of(&self, change: &Change) -> (u64, u64) {
        let point = |key| self.points[chunk_of(key)].unwrap();
        (point(change.old_key.unwrap_or(change.key)), point(change.key))
    }
}

fn stream() -> StreamName {
    StreamName::new("table")
}

fn chunk_of(key: i64) -> usize {
    (key / 10) as usize
}
