//! A source in memory whose keys are checked at the end of a transaction, and the log that it leaves.

use std::{collections::BTreeSet, sync::Arc};

use futures::stream;
use proptest::prelude::*;
use tidemark_engine::{
    Time,
    change::Op,
    read::Phase,
    schema::{Kind, StreamSchema},
    write::{Delivery, Standing, Unit, Watermarks},
};

use super::changes::{Change, Said, batch, schema, text};

/// Keys stay; a column widens by number, then text; a column comes and goes.
pub(crate) fn schemas() -> [Arc<StreamSchema>; 4] {
    let (int, float, words) = (Kind::Int64, Kind::Float64, Kind::Text);
    [
        schema("s", &[("id", int.clone()), ("a", int.clone()), ("b", words.clone())], &["id"]),
        schema(
            "s",
            &[("id", int.clone()), ("a", Kind::Number), ("b", words.clone()), ("c", int.clone())],
            &["id"],
        ),
        schema("s", &[("id", int.clone()), ("a", Kind::Number), ("b", words.clone()), ("c", float)], &["id"]),
        schema("s", &[("id", int), ("a", words.clone()), ("b", words)], &["id"]),
    ]
}

/// A wish for a change; what the source allows of it becomes some.
#[derive(Debug, Clone)]
struct Wish {
    action: u8,
    key: i64,
    to: i64,
    a: i64,
    b: Option<u8>,
    unchanged: [bool; 3],
}

/// Wishes of one transaction, and how much later than the one before it was made.
#[derive(Debug, Clone)]
struct Transaction {
    wishes: Vec<Wish>,
    later: i64,
}

/// Changes of one transaction, as they are in the log.
#[derive(Debug, Clone)]
pub(crate) struct Staged {
    pub(crate) sequence: u64,
    pub(crate) played: u64,
    pub(crate) first: u64,
    pub(crate) phase: Phase,
    pub(crate) time: Time,
    pub(crate) schema: usize,
    pub(crate) changes: Vec<Change>,
}

/// What the log has for a destination, each item the changes that are played with one commit.
#[derive(Debug, Clone)]
pub(crate) struct Story {
    pub(crate) commits: Vec<Vec<Staged>>,
}

/// How a story is told: after which commits a unit ends, after which of them the destination is opened again, and how many
/// changes a batch holds at most.
#[derive(Debug, Clone)]
pub(crate) struct Cuts {
    pub(crate) ends: Vec<bool>,
    pub(crate) reopens: Vec<bool>,
    pub(crate) batch: usize,
}

pub(crate) fn cuts() -> impl Strategy<Value = Cuts> {
    let flags = || prop::collection::vec(any::<bool>(), 1..8);
    (flags(), flags(), 1usize..6).prop_map(|(ends, reopens, batch)| Cuts { ends, reopens, batch })
}

/// Stories in which the schema of each commit is one of these [`schemas`], by number.
pub(crate) fn story(allowed: &'static [usize]) -> impl Strategy<Value = Story> {
    let wish = (0u8..24, 0i64..5, 0i64..5, -3i64..100, prop::option::of(0u8..4), any::<[bool; 3]>());
    let wish = wish.prop_map(|(action, key, to, a, b, unchanged)| Wish { action, key, to, a, b, unchanged });
    let transaction = (prop::collection::vec(wish, 0..7), 0i64..3);
    let transaction = transaction.prop_map(|(wishes, later)| Transaction { wishes, later });
    let transactions = || prop::collection::vec(transaction.clone(), 0..4);
    let commits = prop::collection::vec((prop::sample::select(allowed), transactions()), 0..6);
    let read = prop::collection::btree_set(0i64..5, 0..5);
    (any::<bool>(), read, transactions(), commits)
        .prop_map(|(voided, read, waited, commits)| told(voided, &read, &waited, &commits))
}

/// First an initial sync: commit 1 has the records that it reads, and after them the changes made meanwhile, which count as made
/// before the records were staged and wait for commit 2. Then the source goes on.
fn told(
    voided: bool,
    read: &BTreeSet<i64>,
    waited: &[Transaction],
    commits: &[(usize, Vec<Transaction>)],
) -> Story {
    let schemas = schemas();
    let mut live = read.clone();
    let time = |at: i64| Time::from_micros(1_700_000_000_000_000 + at * 250_000);
    let record = |key: &i64| Change {
        op: Op::Read,
        old_key: None,
        values: vec![text(key), text(key * 7), text("read")],
    };
    let mut reading = Vec::new();
    if voided {
        reading.extend((2..5).map(|key| record(&key)));
        reading.push(Change { op: Op::Truncate, old_key: None, values: vec![Said::Null; 3] });
    }
    reading.extend(read.iter().map(record));
    let mut next = reading.len() as u64;
    let staged = |sequence, played, first, phase, time, schema, changes| Staged {
        sequence,
        played,
        first,
        phase,
        time,
        schema,
        changes,
    };
    let first = staged(1, 1, 0, Phase::InitialSync, time(50), 0, reading);
    let (mut at, mut waiting) = (40, Vec::new());
    for transaction in waited {
        at += transaction.later;
        let changes = happen(transaction, &schemas[0], &mut live);
        waiting.push(staged(1, 2, next, Phase::Changes, time(at), 0, changes.clone()));
        next += changes.len() as u64;
    }
    let mut all = vec![vec![first], waiting];
    let mut at = 60;
    for ((schema, transactions), sequence) in commits.iter().zip(3..) {
        let (mut next, mut commit) = (0, Vec::new());
        for transaction in transactions {
            at += transaction.later;
            let changes = happen(transaction, &schemas[*schema], &mut live);
            commit.push(staged(sequence, sequence, next, Phase::Changes, time(at), *schema, changes.clone()));
            next += changes.len() as u64;
        }
        all.push(commit);
    }
    Story { commits: all }
}

/// What becomes of the wishes of a transaction.
fn happen(transaction: &Transaction, schema: &StreamSchema, live: &mut BTreeSet<i64>) -> Vec<Change> {
    let mut changes = Vec::new();
    for wish in &transaction.wishes {
        let (is_there, is_taken) = (live.contains(&wish.key), live.contains(&wish.to));
        let moved = |from: i64, to: i64| Change {
            op: Op::Update,
            old_key: Some(from),
            values: partly(said(to, wish, schema), wish),
        };
        match wish.action {
            0 => {
                live.clear();
                let values = vec![Said::Null; schema.fields().len()];
                changes.push(Change { op: Op::Truncate, old_key: None, values });
            }
            1..=4 if is_there => {
                live.remove(&wish.key);
                changes.push(deleted(wish.key, wish, schema));
            }
            5..=10 if is_there => {
                let values = partly(said(wish.key, wish, schema), wish);
                let old_key = wish.unchanged[0].then_some(wish.key);
                changes.push(Change { op: Op::Update, old_key, values });
            }
            11..=14 if is_there && wish.key != wish.to => {
                changes.push(moved(wish.key, wish.to));
                match (is_taken, wish.action) {
                    // The two change places.
                    (true, 11 | 12) => changes.push(moved(wish.to, wish.key)),
                    // The one that was there first goes.
                    (true, _) => {
                        changes.push(deleted(wish.to, wish, schema));
                        live.remove(&wish.key);
                    }
                    (false, _) => {
                        live.remove(&wish.key);
                        live.insert(wish.to);
                    }
                }
            }
            15.. if !is_there => {
                live.insert(wish.key);
                changes.push(Change { op: Op::Create, old_key: None, values: said(wish.key, wish, schema) });
            }
            _ => {}
        }
    }
    changes
}

fn said(key: i64, wish: &Wish, schema: &StreamSchema) -> Vec<Said> {
    let b = wish.b.map_or(Said::Null, |b| text(["", "x", "'\"\0", "é\n"][b as usize]));
    let mut values = vec![text(key), text(wish.a), b];
    if let Some(c) = schema.fields().get(3) {
        let is_float = c.kind == Kind::Float64;
        values.push(if is_float { text(format!("{:?}", wish.a as f64 / 4.0)) } else { text(wish.a) });
    }
    values
}

fn partly(mut values: Vec<Said>, wish: &Wish) -> Vec<Said> {
    for (value, unchanged) in values[1..].iter_mut().zip(wish.unchanged) {
        if unchanged {
            *value = Said::Unchanged;
        }
    }
    values
}

/// A delete that knows the key, and of the rest as much as the wish says.
fn deleted(key: i64, wish: &Wish, schema: &StreamSchema) -> Change {
    let mut values = vec![Said::Unchanged; schema.fields().len()];
    values[0] = text(key);
    if wish.unchanged[1] {
        values[1] = text(wish.a);
    }
    Change { op: Op::Delete, old_key: None, values }
}

impl Staged {
    /// The same as deliveries of up to `size` changes.
    pub(crate) fn deliveries(&self, size: usize) -> Vec<Delivery> {
        let schema = &schemas()[self.schema];
        let parts = self.changes.chunks(size).zip((self.first..).step_by(size));
        let parts = parts.map(|(changes, first)| Delivery {
            sequence: self.sequence,
            played: self.played,
            phase: self.phase,
            watermarks: Watermarks::all(self.time),
            changes: batch(schema, changes, first),
        });
        parts.collect()
    }
}

/// A unit of `deliveries`.
pub(crate) fn unit_of(begin: Standing, end: Standing, deliveries: Vec<Delivery>) -> Unit {
    Unit::new(begin, end, stream::iter(deliveries.into_iter().map(Ok)))
}
