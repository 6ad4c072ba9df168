//! Segments that many commits share, in the middle of being read: whoever plays one commit after another finds the place.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use arrow_array::RecordBatch;

use super::{Log, commit::Segment, segment};
use crate::{Error, Result, change::ChangeBatch, codec::Batches, schema::StreamSchema};

/// Bytes of segments that are kept open, as stored.
const OPEN_BYTES: u64 = 16 << 20;

/// Segments that are open, the one used last at the end.
#[derive(Default)]
pub(super) struct Slices(Mutex<VecDeque<Open>>);

/// A segment that has been read up to some row.
struct Open {
    name: String,
    bytes: u64,
    batches: Batches,
    /// What is left of the batch that was decoded last.
    rest: Option<RecordBatch>,
    next: u64,
}

impl std::fmt::Debug for Slices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Slices")
    }
}

impl Slices {
    /// One of `segment` that has not come beyond its rows.
    fn take(&self, segment: &Segment) -> Option<Open> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |open: &Open| open.name == segment.name && open.next <= segment.skip;
        let nearest = (0..open.len()).filter(|&at| fits(&open[at])).max_by_key(|&at| open[at].next)?;
        open.remove(nearest)
    }

    fn put_back(&self, slice: Open) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.push_back(slice);
        while open.len() > 1 && open.iter().map(|slice| slice.bytes).sum::<u64>() > OPEN_BYTES {
            open.pop_front();
        }
    }
}

impl Open {
    /// Whether the rows of `segment` are decoded, and more behind them: then they only have to be cut off.
    fn holds(&self, segment: &Segment) -> bool {
        let wanted = segment.skip.saturating_sub(self.next).saturating_add(segment.rows);
        self.rest.as_ref().is_some_and(|rest| rest.num_rows() as u64 > wanted)
    }

    /// The rows of `segment`, which are further on.
    fn read(&mut self, segment: &Segment) -> Result<Vec<RecordBatch>> {
        let mut rows = Vec::new();
        let mut wanted = segment.rows;
        while wanted > 0 {
            let batch = match self.rest.take() {
                Some(rest) => rest,
                None => self.batches.next().ok_or_else(|| miscounted(segment))??,
            };
            let length = batch.num_rows() as u64;
            let skipped = (segment.skip.saturating_sub(self.next)).min(length);
            let taken = (length - skipped).min(wanted);
            let rows_of = |from: u64, count: u64| batch.slice(from as usize, count as usize);
            if taken > 0 {
                rows.push(rows_of(skipped, taken));
            }
            if skipped + taken < length {
                self.rest = Some(rows_of(skipped + taken, length - skipped - taken));
            }
            self.next += skipped + taken;
            wanted -= taken;
        }
        if self.next == segment.total() && (self.rest.is_some() || self.batches.next().is_some()) {
            return Err(miscounted(segment));
        }
        Ok(rows)
    }
}

impl Log {
    /// The changes of `segment` that are those of commit `sequence`.
    pub(super) async fn slice(
        &self,
        sequence: u64,
        segment: &Segment,
        schema: &Arc<StreamSchema>,
    ) -> Result<Vec<ChangeBatch>> {
        let mut open = match self.0.slices.take(segment) {
            Some(open) => open,
            None => {
                let batches = segment::read(segment, self.segment(sequence, segment).await?)?;
                Open { name: segment.name.clone(), bytes: segment.bytes, batches, rest: None, next: 0 }
            }
        };
        // To ask another thread takes longer than to cut off the rows of a small commit.
        let is_at_hand = open.holds(segment);
        let (wanted, schema) = (segment.clone(), schema.clone());
        let read = move || {
            let rows = open.read(&wanted)?.into_iter();
            let changes = rows.map(|rows| ChangeBatch::from_record_batch(schema.clone(), &rows));
            Ok::<_, Error>((changes.collect::<Result<Vec<_>>>()?, open))
        };
        let (changes, open) = if is_at_hand { read()? } else { self.world().compute(read).await?? };
        if open.next < segment.total() {
            self.0.slices.put_back(open);
        }
        Ok(changes)
    }
}

fn miscounted(segment: &Segment) -> Error {
    let Segment { name, .. } = segment;
    Error::conflict(format!("the segment `{name}` does not hold {} changes", segment.total()))
}
