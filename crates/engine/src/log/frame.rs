//! Changes inside a commit: one Arrow IPC frame for each run of one schema.

use std::sync::Arc;

use arrow_array::{RecordBatch, UInt64Array};
use bytes::Bytes;

use super::commit::{Body, Compression, Frame};
use crate::{
    Error, Result,
    change::ChangeBatch,
    codec::{Format, encode_all, join},
    read::Phase,
    schema::StreamSchema,
};

/// A batch on its way into a commit.
pub(super) struct Part {
    pub(super) phase: Phase,
    /// What its ordinals count from, in the commit.
    pub(super) first_ordinal: u64,
    pub(super) batch: ChangeBatch,
}

/// Adds `parts` to `body`: those of one stream, schema and phase share a frame, so many small transactions
/// become one record batch. A stream whose schema changes on the way has several frames, in order.
pub(super) fn write(parts: Vec<Part>, body: &mut Body) -> Result<Vec<Frame>> {
    let mut runs: Vec<Run> = Vec::new();
    for Part { phase, first_ordinal, batch } in parts {
        let schema = batch.schema().clone();
        let record = batch.shifted_by(first_ordinal)?.to_record_batch()?;
        let last_of_stream = runs.iter_mut().rev().find(|run| run.schema.stream() == schema.stream());
        match last_of_stream {
            Some(run) if run.schema.digest() == schema.digest() && run.phase == phase => {
                run.records.push(record)
            }
            _ => runs.push(Run { schema, phase, records: vec![record] }),
        }
    }
    runs.into_iter().map(|run| run.write(body)).collect()
}

struct Run {
    schema: Arc<StreamSchema>,
    phase: Phase,
    records: Vec<RecordBatch>,
}

impl Run {
    fn write(self, body: &mut Body) -> Result<Frame> {
        let record = join(&self.records)?;
        let plain = encode_all(Format::Arrow, record.schema_ref(), std::slice::from_ref(&record))?;
        let (compression, bytes) = Compression::compress(&plain)?;
        Ok(Frame {
            stream: self.schema.stream().clone(),
            schema: self.schema.digest(),
            phase: self.phase,
            rows: record.num_rows() as u64,
            offset: body.add(&bytes),
            length: bytes.len() as u64,
            compression,
        })
    }
}

/// The changes of a frame. `bytes` are its section of a verified commit.
pub(super) fn read(frame: &Frame, schema: &Arc<StreamSchema>, bytes: Bytes) -> Result<Vec<ChangeBatch>> {
    let plain = frame.compression.decompress(bytes)?;
    let records = Format::Arrow.codec().decode(plain)?;
    let batches = records.map(|record| ChangeBatch::from_record_batch(schema.clone(), &record?));
    let batches = batches.collect::<Result<Vec<_>>>()?;
    let rows: usize = batches.iter().map(ChangeBatch::rows).sum();
    if rows as u64 != frame.rows {
        return Err(Error::conflict(format!("a frame of stream `{}` has lost changes", frame.stream)));
    }
    Ok(batches)
}

impl ChangeBatch {
    /// The same batch with its ordinals counted from `first` instead of 0.
    pub(crate) fn shifted_by(self, first: u64) -> Result<Self> {
        let ordinals =
            self.ordinals().ok_or_else(|| Error::internal("a batch was committed before it was numbered"))?;
        if first == 0 {
            return Ok(self);
        }
        let shifted = UInt64Array::from_iter_values(ordinals.values().iter().map(|ordinal| first + ordinal));
        Ok(self.with_ordinals(shifted))
    }
}
