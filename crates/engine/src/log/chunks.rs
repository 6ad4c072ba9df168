//! The chunks of a generation, and which changes their snapshots have already.

use arrow_array::{Array, BooleanArray};

use super::KeyRange;
use crate::{
    Error, Result,
    change::{Cell, ChangeBatch, Column, Op},
    schema::{StreamName, ordered},
};

/// One chunk: the keys it covers, and the point from which on changes are not in its snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) range: KeyRange,
    pub(super) point: Vec<u8>,
}

/// Every chunk of one generation, in the order of their keys.
#[derive(Debug)]
pub(super) struct Chunks {
    stream: StreamName,
    chunks: Vec<Chunk>,
}

/// What becomes of a change that waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// No snapshot has it.
    Keep,
    /// Every snapshot has it.
    Drop,
    /// The chunk of its new key was read after it, that of its old key before: there the record is still to go.
    Depart,
    /// The chunk of its old key was read after it, that of its new key before: there the record is still to come.
    Arrive,
}

impl Chunks {
    /// The chunks of `stream`.
    ///
    /// Fails with [`crate::ErrorKind::Internal`] when two of them cover the same keys.
    pub(super) fn new(stream: &StreamName, mut chunks: Vec<Chunk>) -> Result<Self> {
        chunks.sort_by(|a, b| a.range.from.cmp(&b.range.from));
        let apart = |pair: &[Chunk]| match (&pair[0].range.until, &pair[1].range.from) {
            (Some(until), Some(from)) => until <= from,
            _ => false,
        };
        if !chunks.windows(2).all(apart) {
            return Err(Error::internal(format!("chunks of the initial sync of stream `{stream}` overlap")));
        }
        Ok(Self { stream: stream.clone(), chunks })
    }

    /// What of `changes` the snapshots do not have, in order. A key change of which they have one half is the other half.
    pub(super) fn sift(&self, changes: &ChangeBatch) -> Result<Vec<ChangeBatch>> {
        let rows = 0..changes.rows();
        let verdicts = rows.map(|row| self.verdict(changes, row)).collect::<Result<Vec<_>>>()?;
        let mut sifted = Vec::new();
        let mut begin = 0;
        for (row, verdict) in verdicts.iter().enumerate() {
            let half = match verdict {
                Verdict::Keep | Verdict::Drop => continue,
                Verdict::Depart => changes.departure(row)?,
                Verdict::Arrive => changes.arrival(row)?,
            };
            sifted.extend(kept(changes, &verdicts, begin, row)?);
            sifted.push(half);
            begin = row + 1;
        }
        sifted.extend(kept(changes, &verdicts, begin, changes.rows())?);
        Ok(sifted)
    }

    fn verdict(&self, changes: &ChangeBatch, row: usize) -> Result<Verdict> {
        let positions = changes.columns().source_positions.as_ref();
        let position = positions.filter(|positions| positions.is_valid(row)).map(|them| them.value(row));
        let position = position.ok_or_else(|| self.unsound("has no source position"))?;
        let op = changes.op(row)?;
        if op == Op::Truncate || self.share_one_point() {
            return self.verdict_for_all_keys(position);
        }
        let key = *changes.schema().key().first().ok_or_else(|| self.unsound("has no key"))?;
        let new = self.point(&changes.column(key), row)?;
        let before = changes.column_before(key).filter(|_| op == Op::Update);
        // What is not known of the old key has not changed.
        let old = match before.filter(|column| column.cell(row) != Cell::Unchanged) {
            Some(column) => self.point(&column, row)?,
            None => new,
        };
        Ok(match (position >= old, position >= new) {
            (true, true) => Verdict::Keep,
            (false, false) => Verdict::Drop,
            (true, false) => Verdict::Depart,
            (false, true) => Verdict::Arrive,
        })
    }

    /// A change that concerns every key must be in all snapshots or in none: a truncate between two of them would have begun
    /// the generation anew.
    fn verdict_for_all_keys(&self, position: &[u8]) -> Result<Verdict> {
        let mut had = self.chunks.iter().map(|chunk| position < chunk.point.as_slice());
        let first = had.next().ok_or_else(|| self.unsound("lies in no chunk"))?;
        match had.all(|had| had == first) {
            true if first => Ok(Verdict::Drop),
            true => Ok(Verdict::Keep),
            false => Err(self.unsound("truncates the stream between two of its chunks")),
        }
    }

    fn share_one_point(&self) -> bool {
        self.chunks.windows(2).all(|pair| pair[0].point == pair[1].point)
    }

    /// The point of the chunk that holds the key in `row` of `column`.
    fn point(&self, column: &Column<'_>, row: usize) -> Result<&[u8]> {
        let key = match column.cell(row) {
            Cell::Value(value) => ordered(&value),
            _ => None,
        };
        let key = key.ok_or_else(|| self.unsound("has a key without an order"))?;
        let after = self
            .chunks
            .partition_point(|chunk| chunk.range.from.as_deref().is_none_or(|from| from <= key.as_slice()));
        let chunk = after.checked_sub(1).and_then(|index| self.chunks.get(index));
        let chunk = chunk.filter(|chunk| chunk.range.contains(&key));
        Ok(chunk.ok_or_else(|| self.unsound("lies in no chunk"))?.point.as_slice())
    }

    fn unsound(&self, what: &str) -> Error {
        Error::internal(format!(
            "a change that waited for the initial sync of stream `{}` {what}",
            self.stream
        ))
    }
}

/// The rows of `changes` from `begin` to `end` that are kept; `None` when there are none.
fn kept(
    changes: &ChangeBatch,
    verdicts: &[Verdict],
    begin: usize,
    end: usize,
) -> Result<Option<ChangeBatch>> {
    let stretch = changes.slice(begin, end - begin);
    let verdicts = &verdicts[begin..end];
    let count = verdicts.iter().filter(|verdict| **verdict == Verdict::Keep).count();
    match count {
        0 => Ok(None),
        all if all == verdicts.len() => Ok(Some(stretch)),
        _ => {
            let keep = verdicts.iter().map(|verdict| Some(*verdict == Verdict::Keep));
            stretch.filter(&keep.collect::<BooleanArray>()).map(Some)
        }
    }
}
