//! Streams without initial syncs: records that are told in part, move, swap their places and change their schema.

use std::{collections::BTreeMap, sync::Arc};

use arrow_array::{ArrayRef, Int32Array, Int64Array, StringArray, UInt8Array};
use arrow_buffer::BooleanBuffer;
use bytes::Bytes;
use proptest::prelude::*;

use crate::{
    PartId, Stop,
    change::{Before, BitmapBuilder, Cell, ChangeBatch, Columns, Op},
    log::{Entry, Group, Log, LogWriter, Span, Store},
    read::Phase,
    schema::{Field, Kind, StreamName, StreamSchema},
    world::World,
    write::Delivery,
};

/// What happens to a stream next.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// A record is there, whatever was.
    Put(i64),
    Update(i64, bool),
    Delete(i64),
    /// It moves, told as a whole or in part.
    Move(i64, i64, bool),
    /// Two records swap their places, in one transaction.
    Swap(i64, i64, bool, bool),
    /// One takes the place of another, which moves on.
    Push(i64, i64, i64, bool),
    Truncate,
    /// The stream has the next of its schemas from here on.
    Schema,
    /// What happened so far is committed.
    Commit,
}

/// `schemas` of them are changes of schema, about, in a thousand.
pub(super) fn event(schemas: u32) -> impl Strategy<Value = (usize, Event)> {
    let key = || 0..12i64;
    let event = prop_oneof![
        200 => key().prop_map(Event::Put),
        200 => (key(), any::<bool>()).prop_map(|(key, whole)| Event::Update(key, whole)),
        80 => key().prop_map(Event::Delete),
        120 => (key(), key(), any::<bool>()).prop_map(|(key, to, whole)| Event::Move(key, to, whole)),
        60 => (key(), key(), any::<bool>(), any::<bool>()).prop_map(|(a, b, one, two)| Event::Swap(a, b, one, two)),
        60 => (key(), key(), key(), any::<bool>()).prop_map(|(a, b, c, whole)| Event::Push(a, b, c, whole)),
        10 => Just(Event::Truncate),
        schemas => Just(Event::Schema),
        150 => Just(Event::Commit),
    ];
    (0..2usize, event)
}

#[derive(Debug, Clone, Copy)]
struct Change {
    op: Op,
    key: i64,
    old_key: Option<i64>,
    is_whole: bool,
    serial: i64,
}

const NAMES: [&str; 2] = ["one", "two"];

/// A log in the making.
pub(super) struct History {
    pub(super) log: Log,
    writer: LogWriter,
    entry: Entry,
    streams: [State; 2],
    serial: i64,
}

#[derive(Debug, Default)]
struct State {
    keys: std::collections::BTreeSet<i64>,
    version: usize,
}

impl History {
    pub(super) async fn new() -> Self {
        let log = Log::open_or_create(Store::memory(), "history", World::real()).await.unwrap();
        let writer = LogWriter::open(&log).await.unwrap();
        Self { log, writer, entry: Entry::default(), streams: Default::default(), serial: 0 }
    }

    pub(super) async fn meet(&mut self, stream: usize, event: Event) {
        let state = &mut self.streams[stream];
        let has = |key: &i64| state.keys.contains(key);
        let mut serial = self.serial;
        let mut change = |op, key, old_key, is_whole| {
            serial += 1;
            Change { op, key, old_key, is_whole, serial }
        };
        let mut moved = |key, to, is_whole| change(Op::Update, to, Some(key), is_whole);
        let changes = match event {
            Event::Move(key, to, whole) if has(&key) && !has(&to) => {
                state.keys.remove(&key);
                state.keys.insert(to);
                vec![moved(key, to, whole)]
            }
            Event::Swap(a, b, one, two) if has(&a) && has(&b) && a != b => {
                vec![moved(a, b, one), moved(b, a, two)]
            }
            Event::Push(a, b, c, whole) if has(&a) && has(&b) && a != b && !has(&c) => {
                state.keys.remove(&a);
                state.keys.insert(c);
                vec![moved(a, b, whole), moved(b, c, !whole)]
            }
            Event::Put(key) => {
                state.keys.insert(key);
                vec![change(Op::Create, key, None, true)]
            }
            Event::Update(key, whole) if has(&key) => vec![change(Op::Update, key, None, whole)],
            Event::Delete(key) if state.keys.remove(&key) => vec![change(Op::Delete, key, None, false)],
            Event::Truncate => {
                state.keys.clear();
                vec![change(Op::Truncate, 0, None, false)]
            }
            Event::Schema => {
                state.version += 1;
                Vec::new()
            }
            Event::Commit => return self.commit().await,
            _ => Vec::new(),
        };
        let version = state.version;
        self.serial = serial;
        if !changes.is_empty() {
            self.hand_over(batch(NAMES[stream], version, &changes));
        }
    }

    pub(super) fn hand_over(&mut self, batch: ChangeBatch) {
        let rows = batch.rows() as u64;
        self.entry.groups.push(Group {
            part: PartId::new("part"),
            cursor: Bytes::new(),
            forgotten: Vec::new(),
            transactions: vec![Span { rows, time: None }],
            last_source_position: None,
            steps: Vec::new(),
            rows,
            left_out: 0,
            phase: Phase::Changes,
            batches: vec![batch.numbered_from(0)],
            segments: Vec::new(),
        });
    }

    pub(super) async fn commit(&mut self) {
        if !self.entry.groups.is_empty() {
            self.writer.commit(std::mem::take(&mut self.entry), &Stop::new()).await.unwrap();
        }
    }
}

/// The schemas that a stream has, one after another: a column comes to be, its key widens, its key becomes text.
fn schema(name: &str, version: usize) -> Arc<StreamSchema> {
    let key = match version {
        0 | 1 => Kind::Int32,
        2 => Kind::Int64,
        _ => Kind::Text,
    };
    let mut fields = vec![Field::new("id", key)];
    let width = if version == 0 { 2 } else { 3 };
    fields.extend(["first", "second", "third"][..width].iter().map(|name| Field::new(*name, Kind::Int64)));
    StreamSchema::new(StreamName::new(name), fields, vec!["id".into()]).unwrap()
}

/// Of what is told in part, the last column is not told.
fn batch(name: &str, version: usize, changes: &[Change]) -> ChangeBatch {
    let schema = schema(name, version);
    let width = schema.fields().len();
    let (mut unchanged, mut unknown) = (BitmapBuilder::new(width), BitmapBuilder::new(width));
    for change in changes {
        if !change.is_whole {
            unchanged.set(width - 1);
        }
        unchanged.end_row();
        (1..width).for_each(|column| unknown.set(column));
        unknown.end_row();
    }
    let keys = |key: &dyn Fn(&Change) -> Option<i64>| -> ArrayRef {
        let keys = changes.iter().map(key);
        match &schema.fields()[0].kind {
            Kind::Int32 => Arc::new(keys.map(|key| key.map(|key| key as i32)).collect::<Int32Array>()),
            Kind::Int64 => Arc::new(keys.collect::<Int64Array>()),
            _ => Arc::new(keys.map(|key| key.map(|key| key.to_string())).collect::<StringArray>()),
        }
    };
    let is_truncate = |change: &Change| change.op == Op::Truncate;
    let values = |column: usize| -> ArrayRef {
        let value = |change: &Change| {
            let is_told = !is_truncate(change) && (change.is_whole || column < width - 1);
            is_told.then_some(change.serial * 10 + column as i64)
        };
        Arc::new(changes.iter().map(value).collect::<Int64Array>())
    };
    let nothing = || -> ArrayRef { Arc::new(Int64Array::from(vec![None; changes.len()])) };
    let mut before = vec![keys(&|change| change.old_key)];
    before.extend((1..width).map(|_| nothing()));
    let mut after = vec![keys(&|change| (!is_truncate(change)).then_some(change.key))];
    after.extend((1..width).map(values));
    let columns = Columns {
        unchanged: unchanged.finish(),
        before: Some(Before {
            present: changes.iter().map(|change| change.old_key.is_some()).collect::<BooleanBuffer>(),
            unknown: unknown.finish(),
            values: before,
        }),
        ..Columns::new(UInt8Array::from_iter_values(changes.iter().map(|change| change.op.letter())), after)
    };
    ChangeBatch::new(schema, columns).unwrap()
}

type Row = BTreeMap<String, String>;

/// A destination that takes changes one by one, as those of `mirror` do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Mirror {
    pub(super) tables: BTreeMap<StreamName, BTreeMap<String, Row>>,
    /// Records that were displaced, by the stream and the key that they had.
    parked: Vec<(StreamName, String, Row)>,
}

impl Mirror {
    pub(super) fn play(deliveries: &[Delivery]) -> Self {
        let mut mirror = Self::default();
        deliveries.iter().for_each(|delivery| mirror.apply(&delivery.changes));
        assert!(mirror.parked.is_empty(), "in the end nobody is displaced");
        mirror
    }

    fn apply(&mut self, changes: &ChangeBatch) {
        let stream = changes.schema().stream();
        for row in 0..changes.rows() {
            let op = changes.op(row).unwrap();
            let table = self.tables.entry(stream.clone()).or_default();
            let text = |cell: Cell<'_>| match cell {
                Cell::Value(value) => Some(value.to_string()),
                _ => None,
            };
            if op == Op::Truncate {
                table.clear();
                self.parked.retain(|(of, ..)| of != stream);
                continue;
            }
            let key = text(changes.column(0).cell(row)).unwrap();
            let old_key = changes.column_before(0).and_then(|column| text(column.cell(row)));
            let old_key = old_key.filter(|old_key| op == Op::Update && *old_key != key);
            let told = changes.schema().fields().iter().enumerate().skip(1);
            let told = told
                .filter_map(|(at, field)| Some((field.name.clone(), text(changes.column(at).cell(row))?)));
            let told = told.collect::<Row>();
            let mut parked = |key: &str| {
                let at = self.parked.iter().position(|(of, parked, _)| of == stream && parked == key)?;
                Some(self.parked.remove(at).2)
            };
            match (op, old_key) {
                (Op::Delete, _) => {
                    if parked(&key).is_none() {
                        assert!(table.remove(&key).is_some(), "what is deleted is there");
                    }
                }
                (Op::Update, Some(old_key)) => {
                    let mut moved =
                        parked(&old_key).or_else(|| table.remove(&old_key)).expect("what moves is there");
                    moved.extend(told);
                    if let Some(there) = table.insert(key.clone(), moved) {
                        self.parked.push((stream.clone(), key, there));
                    }
                }
                (Op::Update, None) => table.get_mut(&key).expect("what is updated is there").extend(told),
                _ => drop(table.insert(key, told)),
            }
        }
    }
}
