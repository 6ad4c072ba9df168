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
    /// The first and the last of their points; `None` without chunks.
    points: Option<(Vec<u8>, Vec<u8>)>,
}

/// The first column of the key: chunks are ranges of it.
struct Key<'a> {
    after: Column<'a>,
    before: Option<Column<'a>>,
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
        let points = chunks.iter().map(|chunk| &chunk.point);
        let points = points.clone().min().cloned().zip(points.max().cloned());
        Ok(Self { stream: stream.clone(), chunks, points })
    }

    /// What of `changes` the snapshots do not have, in order. A key change of which they have one half is the other half.
    pub(super) fn sift(&self, changes: &ChangeBatch) -> Result<Vec<ChangeBatch>> {
        let first = changes.schema().key().first();
        let key =
            first.map(|&index| Key { after: changes.column(index), before: changes.column_before(index) });
        let rows = 0..changes.rows();
        let verdicts =
            rows.map(|row| self.verdict(changes, key.as_ref(), row)).collect::<Result<Vec<_>>>()?;
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

    fn verdict(&self, changes: &ChangeBatch, key: Option<&Key<'_>>, row: usize) -> Result<Verdict> {
        let (first, last) = self.points.as_ref().ok_or_else(|| self.unsound("lies in no chunk"))?;
        if last.is_empty() {
            // The least of all points: no snapshot has any change, whatever its position, and a source may know none.
            return Ok(Verdict::Keep);
        }
        let positions = changes.columns().source_positions.as_ref();
        let position = positions.filter(|positions| positions.is_valid(row)).map(|them| them.value(row));
        let position = position.ok_or_else(|| self.unsound("has no source position"))?;
        let op = changes.op(row)?;
        if op == Op::Truncate || first == last {
            // It concerns every key, or no key matters: all snapshots have it or none.
            return match (position >= first.as_slice(), position >= last.as_slice()) {
                (_, true) => Ok(Verdict::Keep),
                (false, false) => Ok(Verdict::Drop),
                // The generation should have begun anew with it.
                (true, false) => Err(self.unsound("truncates the stream between two of its chunks")),
            };
        }
        let key = key.ok_or_else(|| self.unsound("has no key"))?;
        let new = self.point(&key.after, row)?;
        let before = key.before.as_ref().filter(|_| op == Op::Update);
        // What is not known of the old key has not changed.
        let old = match before.filter(|column| column.cell(row) != Cell::Unchanged) {
            Some(column) => self.point(column, row)?,
            None => new,
        };
        Ok(match (position >= old, position >= new) {
            (true, true) => Verdict::Keep,
            (false, false) => Verdict::Drop,
            (true, false) => Verdict::Depart,
            (false, true) => Verdict::Arrive,
        })
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, BinaryArray, Int64Array, StringArray, UInt8Array};
    use arrow_buffer::BooleanBuffer;

    use super::*;
    use crate::{
        ErrorKind,
        change::{Before, BitmapBuilder, Columns, Value},
        schema::{Field, Kind, StreamSchema},
    };

    fn chunk(from: Option<i64>, until: Option<i64>, point: u8) -> Chunk {
        let bound = |key: Option<i64>| key.and_then(|key| ordered(&Value::Int(key)));
        Chunk { range: KeyRange { from: bound(from), until: bound(until) }, point: vec![point] }
    }

    fn chunks(chunks: Vec<Chunk>) -> Result<Chunks> {
        Chunks::new(&StreamName::new("a"), chunks)
    }

    /// Keys below 10 were read at 5, the others at 3.
    fn two() -> Chunks {
        chunks(vec![chunk(Some(10), None, 3), chunk(None, Some(10), 5)]).unwrap()
    }

    /// One change at `position`: of key `key`, that was `old` before.
    fn change(op: Op, position: Option<u8>, key: Option<i64>, old: Option<i64>, whole: bool) -> ChangeBatch {
        let fields = vec![Field::new("id", Kind::Int64), Field::new("text", Kind::Text)];
        let schema = StreamSchema::new(StreamName::new("a"), fields, vec!["id".into()]).unwrap();
        let (mut unchanged, mut unknown) = (BitmapBuilder::new(2), BitmapBuilder::new(2));
        if !whole {
            unchanged.set(1);
        }
        unchanged.end_row();
        unknown.set(1);
        unknown.end_row();
        let values = |key, text: Option<&str>| -> Vec<ArrayRef> {
            vec![Arc::new(Int64Array::from(vec![key])), Arc::new(StringArray::from(vec![text]))]
        };
        let columns = Columns {
            source_positions: position.map(|position| BinaryArray::from_iter_values([[position]])),
            unchanged: unchanged.finish(),
            before: Some(Before {
                present: BooleanBuffer::from(vec![old.is_some()]),
                unknown: unknown.finish(),
                values: values(old, None),
            }),
            ..Columns::new(UInt8Array::from(vec![op.letter()]), values(key, whole.then_some("new")))
        };
        ChangeBatch::new(schema, columns).unwrap().numbered_from(7)
    }

    fn kind(chunks: &Chunks, change: &ChangeBatch) -> ErrorKind {
        chunks.sift(change).unwrap_err().kind()
    }

    #[test]
    fn a_change_is_kept_from_the_point_of_its_chunk_on() {
        for (key, position, kept) in [(9, 4, 0), (9, 5, 1), (10, 2, 0), (10, 3, 1)] {
            let change = change(Op::Update, Some(position), Some(key), None, true);
            assert_eq!(two().sift(&change).unwrap().len(), kept, "key {key} at {position}");
        }
    }

    #[test]
    fn a_key_change_between_two_points_is_half_a_change() {
        let arrives = change(Op::Update, Some(4), Some(20), Some(1), true);
        let arrived = two().sift(&arrives).unwrap().remove(0);
        assert_eq!(
            (arrived.op(0).unwrap(), arrived.column(0).cell(0)),
            (Op::Create, Cell::Value(Value::Int(20)))
        );
        assert_eq!(arrived.ordinals().unwrap().values(), &[7], "it keeps its identity");

        let departs = change(Op::Update, Some(4), Some(1), Some(20), false);
        let departed = two().sift(&departs).unwrap().remove(0);
        assert_eq!(
            (departed.op(0).unwrap(), departed.column(0).cell(0)),
            (Op::Delete, Cell::Value(Value::Int(20)))
        );
        assert_eq!(departed.column(1).cell(0), Cell::Unchanged, "nobody told what it held");

        let in_part = change(Op::Update, Some(4), Some(20), Some(1), false);
        let error = two().sift(&in_part).unwrap_err();
        assert_eq!((error.kind(), error.stream()), (ErrorKind::Data, Some(&StreamName::new("a"))));
    }

    #[test]
    fn what_cannot_be_told_is_never_guessed() {
        let fine = |position, key| change(Op::Update, position, key, None, true);
        assert_eq!(kind(&two(), &fine(None, Some(1))), ErrorKind::Internal, "no position");
        assert_eq!(kind(&two(), &fine(Some(9), None)), ErrorKind::Internal, "no key");
        let gap = chunks(vec![chunk(None, Some(1), 1), chunk(Some(2), None, 2)]).unwrap();
        assert_eq!(kind(&gap, &fine(Some(9), Some(1))), ErrorKind::Internal, "no chunk");
        assert_eq!(kind(&chunks(vec![]).unwrap(), &fine(Some(9), Some(1))), ErrorKind::Internal, "no chunks");
        assert!(chunks(vec![chunk(None, Some(3), 1), chunk(Some(2), None, 2)]).is_err(), "chunks overlap");
        let one = chunks(vec![chunk(None, None, 3)]).unwrap();
        assert_eq!(one.sift(&fine(Some(3), None)).unwrap().len(), 1, "with one point no key matters");
        let nothing = Chunk { range: KeyRange::default(), point: Vec::new() };
        let kept = chunks(vec![nothing]).unwrap().sift(&fine(None, None)).unwrap();
        assert_eq!(kept.len(), 1, "where no snapshot has changes, no position matters");
    }

    #[test]
    fn a_truncate_is_before_or_after_all_points() {
        let truncate = |position| change(Op::Truncate, Some(position), None, None, false);
        assert_eq!(two().sift(&truncate(2)).unwrap().len(), 0);
        assert_eq!(two().sift(&truncate(5)).unwrap().len(), 1);
        assert_eq!(kind(&two(), &truncate(4)), ErrorKind::Internal);
    }
}
