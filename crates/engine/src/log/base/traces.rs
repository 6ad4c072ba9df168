//! What a change means to the keys it is about, and no more.

use std::collections::HashMap;

use crate::{
    Digest, Error, Result,
    change::{ChangeBatch, Keys, Op},
    schema::{Kind, StreamName, StreamSchema},
    write::Delivery,
};

/// One change, as one key sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Trace {
    /// The beginning of the hash of stream and key: at 128 bits no two keys ever share it.
    pub(super) key: [u8; 16],
    /// The change's number.
    pub(super) index: u64,
    /// The stream's.
    pub(super) stream: u32,
    pub(super) effect: Effect,
}

/// What happens under a key. A record that moves to a key where another stands displaces it: the other is the one that the next
/// change leads away, within the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Effect {
    /// A record is here as the change tells, whatever was.
    Image,
    /// A record comes from another key, all of it told.
    ArrivesWhole,
    /// A record comes from another key, in part as it was there.
    ArrivesInPart,
    /// The record here changes in part.
    Changes,
    /// The record is gone, and what it was matters to nobody.
    Gone,
    /// The record leaves for another key, where it may be in part as it was here.
    Leaves,
}

impl Effect {
    pub(super) fn is_of_a_move(self) -> bool {
        matches!(self, Self::ArrivesWhole | Self::ArrivesInPart | Self::Leaves)
    }
}

/// How many bytes a trace takes in the store.
pub(super) const TRACE: usize = 29;

impl Trace {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.key);
        out.extend_from_slice(&self.index.to_le_bytes());
        out.extend_from_slice(&self.stream.to_le_bytes());
        out.push(self.effect as u8);
    }

    pub(super) fn read(bytes: &[u8; TRACE]) -> Option<Self> {
        use Effect::{ArrivesInPart, ArrivesWhole, Changes, Gone, Image, Leaves};
        let (key, rest) = bytes.split_first_chunk()?;
        let (index, rest) = rest.split_first_chunk()?;
        let (stream, rest) = rest.split_first_chunk()?;
        let effect = [Image, ArrivesWhole, ArrivesInPart, Changes, Gone, Leaves];
        let effect = effect.into_iter().find(|effect| rest == [*effect as u8])?;
        let (index, stream) = (u64::from_le_bytes(*index), u32::from_le_bytes(*stream));
        Some(Self { key: *key, index, stream, effect })
    }
}

/// Numbers changes, and makes traces of them.
#[derive(Debug, Default)]
pub(super) struct Tracer {
    numbers: HashMap<StreamName, u32>,
    pub(super) streams: Vec<Traced>,
    /// The number of the next change.
    pub(super) next: u64,
    /// Which changes they were.
    seen: blake3::Hasher,
    /// The first changes after transactions in which records moved.
    pub(super) ends: Vec<u64>,
    /// The commit that the last delivery was of, and that which it was played with; and whether a record moved in it.
    last: (u64, u64),
    has_moved: bool,
}

/// What is to be known of a stream.
#[derive(Debug, Default)]
pub(super) struct Traced {
    /// Changes before this one are void.
    pub(super) void: u64,
    /// What tells its records apart.
    identity: Option<Vec<(String, Kind)>>,
    /// Whether records were told apart by one thing and then by another: then nobody can say which changes are of one record, and
    /// all are kept.
    pub(super) is_kept_whole: bool,
}

impl Tracer {
    /// The traces of the next changes.
    pub(super) fn trace(&mut self, delivery: &Delivery) -> Result<Vec<Trace>> {
        let changes = &delivery.changes;
        let number = self.number(delivery)?;
        let keys = Keys::new(changes);
        let mut traces = Vec::with_capacity(changes.rows());
        for row in 0..changes.rows() {
            let index = self.next;
            self.next += 1;
            let op = changes.op(row)?;
            let stream = &mut self.streams[number as usize];
            if op == Op::Truncate {
                *stream = Traced { void: index + 1, ..Traced::default() };
                continue;
            }
            if !stream.are_told_apart_as_in(changes.schema()) {
                continue;
            }
            let mut keys = keys.of(row, op).into_iter();
            let Some(new) = keys.next() else { continue };
            let mut add = |key: &str, effect| {
                let key = hash(changes.schema().stream(), key);
                traces.push(Trace { key, index, stream: number, effect });
            };
            match (keys.next(), is_image(changes, row, op)) {
                (None, true) => add(&new, Effect::Image),
                (None, false) if op == Op::Delete => add(&new, Effect::Gone),
                (None, false) => add(&new, Effect::Changes),
                (Some(old), is_whole) => {
                    add(&old, Effect::Leaves);
                    add(&new, if is_whole { Effect::ArrivesWhole } else { Effect::ArrivesInPart });
                    self.has_moved = true;
                }
            }
        }
        Ok(traces)
    }

    /// Numbers the next changes without a look at them, and tells the number of their stream.
    fn number(&mut self, delivery: &Delivery) -> Result<u32> {
        let at = (delivery.played, delivery.sequence);
        if at != self.last && std::mem::take(&mut self.has_moved) {
            self.ends.push(self.next);
        }
        self.last = at;
        note(&mut self.seen, delivery)?;
        let stream = delivery.changes.schema().stream();
        if let Some(number) = self.numbers.get(stream) {
            return Ok(*number);
        }
        let number = u32::try_from(self.streams.len())
            .map_err(|_| Error::internal("a log has more streams than can be numbered"))?;
        self.numbers.insert(stream.clone(), number);
        self.streams.push(Traced::default());
        Ok(number)
    }

    /// What was learnt: the streams and their names, how many changes there were, and which.
    pub(super) fn end(self) -> (HashMap<StreamName, u32>, Vec<Traced>, u64, Digest) {
        (self.numbers, self.streams, self.next, Digest::from_bytes(self.seen.finalize().into()))
    }
}

/// Adds the changes of `delivery` to the hash of all.
pub(super) fn note(seen: &mut blake3::Hasher, delivery: &Delivery) -> Result<()> {
    let unnumbered = || Error::internal("changes were read that have no number");
    let ordinals = delivery.changes.ordinals().ok_or_else(unnumbered)?;
    let stream = Digest::of(delivery.changes.schema().stream().as_str().as_bytes());
    for ordinal in ordinals.values() {
        seen.update(&stream.as_bytes()[..8]);
        seen.update(&delivery.sequence.to_le_bytes());
        seen.update(&ordinal.to_le_bytes());
    }
    Ok(())
}

impl Traced {
    /// Whether records are told apart as they always were, under `schema` too.
    fn are_told_apart_as_in(&mut self, schema: &StreamSchema) -> bool {
        let parts = schema.key().iter().map(|&index| &schema.fields()[index]);
        let mut parts = parts.map(|field| (field.name.as_str(), canonical(&field.kind)));
        match &self.identity {
            None => {
                self.identity = Some(parts.map(|(name, kind)| (name.to_owned(), kind)).collect());
                self.is_kept_whole = schema.key().is_empty();
            }
            Some(identity) => {
                let mut known = identity.iter().map(|(name, kind)| (name.as_str(), kind.clone()));
                self.is_kept_whole |= !(known.by_ref().eq(parts.by_ref()));
            }
        }
        !self.is_kept_whole
    }
}

/// The kind that stands for all kinds whose values of equal meaning have the same text.
fn canonical(kind: &Kind) -> Kind {
    use Kind::{Decimal, Enum, Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64};
    match kind {
        Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64 => Int64,
        Decimal { scale, .. } => Decimal { precision: 38, scale: *scale },
        Enum { .. } => Kind::Text,
        other => other.clone(),
    }
}

/// Whether the change in `row` tells all of its record: what a created one is missing it does not have.
pub(super) fn is_image(changes: &ChangeBatch, row: usize, op: Op) -> bool {
    let is_whole = || changes.columns().unchanged.as_ref().is_none_or(|unchanged| unchanged.is_empty(row));
    match op {
        Op::Read | Op::Create => true,
        Op::Update => is_whole(),
        Op::Delete | Op::Truncate => false,
    }
}

fn hash(stream: &StreamName, key: &str) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(stream.as_str().as_bytes()).update(&[0]).update(key.as_bytes());
    let mut hash = [0; 16];
    hash.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    hash
}
