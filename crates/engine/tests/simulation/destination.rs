//! Destinations with transactions: what a database does, in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use tidemark_engine::{
    Error, LogId, Result,
    change::{Cell, Op, Value},
    write::{Standing, Unit, WriteMode, WriteStrategy},
};

use crate::{
    fate::{Call, Fate},
    model::Change,
};

/// What a destination makes of changes.
pub(crate) trait Content: Clone + Default + Send {
    /// How its loop is to treat changes.
    const MODE: WriteMode;

    fn apply(&mut self, stream: &str, change: Change);

    /// Has nothing of `stream` any more, and returns what it had.
    fn take(&mut self, stream: &str) -> Self;

    /// Gets what another had.
    fn give(&mut self, other: Self);
}

/// `append`: every change, by stream.
pub(crate) type Appended = BTreeMap<String, Vec<Change>>;

impl Content for Appended {
    const MODE: WriteMode = WriteMode::Append;

    fn apply(&mut self, stream: &str, change: Change) {
        self.entry(stream.to_owned()).or_default().push(change);
    }

    fn take(&mut self, stream: &str) -> Self {
        self.remove_entry(stream).into_iter().collect()
    }

    fn give(&mut self, other: Self) {
        self.extend(other);
    }
}

/// `mirror`: the newest serial of each key, by stream.
pub(crate) type Mirrored = BTreeMap<String, BTreeMap<i64, i64>>;

impl Content for Mirrored {
    const MODE: WriteMode = WriteMode::Mirror;

    fn take(&mut self, stream: &str) -> Self {
        self.remove_entry(stream).into_iter().collect()
    }

    fn give(&mut self, other: Self) {
        self.extend(other);
    }

    fn apply(&mut self, stream: &str, change: Change) {
        let table = self.entry(stream.to_owned()).or_default();
        table.remove(&change.old_key.unwrap_or(change.key));
        match change.op {
            Op::Truncate => table.clear(),
            Op::Delete => {}
            _ => drop(table.insert(change.key, change.serial)),
        }
    }
}

/// The destination itself, which outlives processes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Durable<C>(Arc<Mutex<State<C>>>);

#[derive(Debug, Default)]
struct State<C> {
    content: C,
    /// What is being filled out of sight, to take the place of streams of `content`.
    shadows: C,
    /// How often a shadow has taken a place.
    replaced: u64,
    /// How often it was emptied.
    emptied: u64,
    /// A stream that it does not take.
    refused: Option<&'static str>,
    /// It does not take changes whose serial is a multiple of this.
    poison: Option<i64>,
    standing: Option<Standing>,
    epoch: u64,
}

impl<C: Content> Durable<C> {
    pub(crate) fn content(&self) -> C {
        self.lock().content.clone()
    }

    /// How often a shadow has taken a place.
    pub(crate) fn replaced(&self) -> u64 {
        self.lock().replaced
    }

    /// Has nothing any more, and does not know where it stood.
    pub(crate) fn empty(&self) {
        let mut state = self.lock();
        *state = State { emptied: state.emptied + 1, epoch: state.epoch, ..State::default() };
    }

    /// How often that was so.
    pub(crate) fn emptied(&self) -> u64 {
        self.lock().emptied
    }

    /// Refuses `stream` from now on, or none.
    pub(crate) fn refuse(&self, stream: Option<&'static str>) {
        self.lock().refused = stream;
    }

    /// Refuses single changes from now on, those whose serial is a multiple of `poison`, or none.
    pub(crate) fn poison(&self, poison: Option<i64>) {
        self.lock().poison = poison;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State<C>> {
        self.0.lock().expect("nobody panics in a transaction")
    }
}

/// The strategy that writes to it.
pub(crate) struct Destination<C> {
    durable: Durable<C>,
    fate: Fate,
    epoch: u64,
}

impl<C: Content> Destination<C> {
    pub(crate) fn new(durable: Durable<C>, fate: Fate) -> Self {
        Self { durable, fate, epoch: 0 }
    }
}

#[async_trait]
impl<C: Content> WriteStrategy for Destination<C> {
    async fn open(&mut self, _log: &LogId) -> Result<Option<Standing>> {
        self.fate.place().await;
        if self.fate.call() != Call::Succeeds {
            return Err(Error::unavailable("the destination does not answer"));
        }
        let mut state = self.durable.lock();
        state.epoch += 1;
        self.epoch = state.epoch;
        Ok(state.standing.clone())
    }

    async fn apply(&mut self, unit: &mut Unit) -> Result<()> {
        let (mut content, mut shadows) = (self.durable.content(), self.durable.lock().shadows.clone());
        let (begin, end) = (unit.begin().clone(), unit.end().clone());
        for (stream, anew) in &end.anew {
            if begin.anew.get(stream).is_none_or(|before| before.from != anew.from) {
                shadows.take(stream.as_str());
            }
        }
        let into_shadows = unit.is_into_shadows();
        while let Some(delivery) = unit.next().await? {
            self.fate.slow_place().await;
            let changes = &delivery.changes;
            let stream = changes.schema().stream();
            if self.durable.lock().refused == Some(stream.as_str()) {
                return Err(Error::data(format!("stream `{stream}` is refused")).of_stream(stream));
            }
            let (keys, serials) = (changes.column(0), changes.column(1));
            let old_keys = changes.column_before(0);
            for row in 0..changes.rows() {
                let change = Change {
                    op: changes.op(row)?,
                    key: int(&keys.cell(row)),
                    old_key: old_keys.as_ref().and_then(|keys| match keys.cell(row) {
                        Cell::Value(Value::Int(key)) => Some(key),
                        _ => None,
                    }),
                    serial: int(&serials.cell(row)),
                };
                let poison = self.durable.lock().poison;
                // A truncate has no serial.
                if poison.is_some_and(|poison| change.serial > 0 && change.serial % poison == 0) {
                    let error = Error::data("a change is refused").of_stream(stream);
                    let ordinal = changes.ordinals().expect("they are numbered").value(row);
                    // Of some it is known at once, of others it has to be found.
                    let is_known = change.serial % 2 == 0 || unit.is_suspect();
                    return Err(match is_known {
                        true => error.of_change(stream, delivery.sequence, ordinal),
                        false => error,
                    });
                }
                let target = if into_shadows { &mut shadows } else { &mut content };
                target.apply(stream.as_str(), change);
            }
        }
        let taking = begin.anew.keys().filter(|stream| !end.anew.contains_key(*stream));
        let taking: Vec<_> = taking.collect();
        for stream in &taking {
            content.take(stream.as_str());
            content.give(shadows.take(stream.as_str()));
        }
        self.fate.place().await;
        let call = self.fate.call();
        if call != Call::FailsBefore {
            let mut state = self.durable.lock();
            let begin = &unit.begin().position;
            // One that has nothing yet begins wherever it is told to.
            let stands_there = state.standing.as_ref().is_none_or(|standing| &standing.position == begin);
            if state.epoch != self.epoch || !stands_there {
                return Err(Error::conflict("another process has taken over"));
            }
            (state.content, state.shadows) = (content, shadows);
            state.replaced += taking.len() as u64;
            state.standing = Some(unit.end().clone());
        }
        self.fate.place().await;
        match call {
            Call::Succeeds => Ok(()),
            Call::FailsBefore | Call::FailsAfter => Err(Error::unavailable("the connection was lost")),
        }
    }
}

fn int(cell: &Cell<'_>) -> i64 {
    match cell {
        Cell::Value(Value::Int(value)) => *value,
        other => panic!("expected an integer, found {other:?}"),
    }
}
