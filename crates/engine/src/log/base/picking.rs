//! What becomes of the changes that still matter.

use arrow_array::{BooleanArray, UInt8Array, UInt64Array};
use arrow_buffer::BooleanBuffer;

use super::{
    survivors::Survivors,
    traces::{is_image, note},
};
use crate::{
    Digest, Error, Result, Time,
    change::{Before, ChangeBatch, Columns, Op},
    write::Delivery,
};

/// Picks what matters out of the same deliveries from which the survivors were found.
pub(super) struct Picker {
    survivors: Survivors,
    /// The number of the next change.
    next: u64,
    /// The ordinal of the next one that is picked.
    ordinal: u64,
    seen: blake3::Hasher,
}

/// What a base holds of a delivery.
#[derive(Debug, Default)]
pub(super) struct Picked {
    /// Records as they were last told in full, as an initial sync reads them.
    pub(super) records: Option<Part>,
    /// Changes of others.
    pub(super) changes: Option<Part>,
}

/// Some changes of one commit.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) sequence: u64,
    pub(super) changes: ChangeBatch,
    /// When each counts as made.
    pub(super) times: Vec<Time>,
}

/// What becomes of one change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Void,
    /// The record is all that is kept of it.
    Record,
    /// It is the first that is kept of its record, and tells all of it.
    Image,
    AsItIs,
}

impl Picker {
    /// The first change that is picked has the ordinal `ordinal`.
    pub(super) fn new(survivors: Survivors, ordinal: u64) -> Self {
        Self { survivors, next: 0, ordinal, seen: blake3::Hasher::new() }
    }

    /// What the base holds of the next delivery.
    pub(super) fn pick(&mut self, delivery: &Delivery) -> Result<Picked> {
        let changes = &delivery.changes;
        note(&mut self.seen, delivery)?;
        let fates = (0..changes.rows()).map(|row| self.fate(changes, row)).collect::<Result<Vec<_>>>()?;
        if fates.iter().all(|fate| *fate == Fate::Void) {
            return Ok(Picked::default());
        }
        let ordinals = fates.iter().map(|fate| {
            let ordinal = self.ordinal;
            self.ordinal += u64::from(*fate != Fate::Void);
            ordinal
        });
        let changes = changes.clone().with_ordinals(UInt64Array::from_iter_values(ordinals));
        let picked = |is_picked: &dyn Fn(Fate) -> bool| {
            let rows: BooleanArray = fates.iter().map(|fate| Some(is_picked(*fate))).collect();
            if rows.true_count() == 0 {
                return Ok::<_, Error>(None);
            }
            let of_these = || fates.iter().copied().enumerate().filter(|(_, fate)| is_picked(*fate));
            let times = of_these().map(|(row, _)| delivery.watermark(row)).collect::<Result<_>>()?;
            let fates = of_these().map(|(_, fate)| fate).collect::<Vec<_>>();
            let changes = rewritten(&changes.filter(&rows)?, &fates)?;
            Ok(Some(Part { sequence: delivery.sequence, changes, times }))
        };
        Ok(Picked {
            records: picked(&|fate| fate == Fate::Record)?,
            changes: picked(&|fate| matches!(fate, Fate::Image | Fate::AsItIs))?,
        })
    }

    fn fate(&mut self, changes: &ChangeBatch, row: usize) -> Result<Fate> {
        let index = self.next;
        self.next += 1;
        let op = changes.op(row)?;
        let Survivors { streams, numbers, found, .. } = &self.survivors;
        let number = numbers.get(changes.schema().stream());
        let stream = number.and_then(|number| streams.get(*number as usize)).ok_or_else(changed)?;
        let is_kept = stream.is_kept_whole || found.kept.contains(index);
        Ok(if op == Op::Truncate || index < stream.void || !is_kept {
            Fate::Void
        } else if stream.is_kept_whole || found.moves.contains(index) || !is_image(changes, row, op) {
            Fate::AsItIs
        } else if found.records.contains(index) {
            Fate::Record
        } else {
            Fate::Image
        })
    }

    /// The ordinal after the last. Fails when they were not the same deliveries.
    pub(super) fn end(self) -> Result<u64> {
        let seen = Digest::from_bytes(self.seen.finalize().into());
        let is_same = self.next == self.survivors.count && seen == self.survivors.seen;
        if is_same { Ok(self.ordinal) } else { Err(changed()) }
    }
}

fn changed() -> Error {
    Error::unavailable("the log was laid out anew while a base was made of it")
}

/// `changes` as the base holds them: what is the first of its record says nothing of what was before.
fn rewritten(changes: &ChangeBatch, fates: &[Fate]) -> Result<ChangeBatch> {
    let Columns { ops, before, exceptions, .. } = changes.columns().clone();
    let letters = ops.values().iter().zip(fates).map(|(op, fate)| match fate {
        Fate::Record => Op::Read.letter(),
        Fate::Image if *op == Op::Update.letter() => Op::Create.letter(),
        _ => *op,
    });
    let is_first = |row: usize| fates[row] != Fate::AsItIs;
    let before = before.and_then(|before| {
        let present = (0..changes.rows()).map(|row| before.present.value(row) && !is_first(row));
        let present: BooleanBuffer = present.collect();
        (present.count_set_bits() > 0).then_some(Before { present, ..before })
    });
    let width = changes.schema().fields().len();
    let exceptions = match &before {
        Some(_) => exceptions,
        None => exceptions.and_then(|them| them.renumbered(|column| (column < width).then_some(column))),
    };
    let ops = UInt8Array::from_iter_values(letters);
    let columns = Columns { ops, before, exceptions, ..changes.columns().clone() };
    let rewritten = ChangeBatch::new(changes.schema().clone(), columns)?;
    Ok(match changes.ordinals() {
        Some(ordinals) => rewritten.with_ordinals(ordinals.clone()),
        None => rewritten,
    })
}
