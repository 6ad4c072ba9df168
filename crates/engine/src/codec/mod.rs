//! How staged data is written: one codec a format, lossless for every type.

mod arrow_ipc;
mod columns;
mod foreign;
mod jsonl;
mod parquet;
mod text;
mod xml;

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub(crate) use columns::{conform, join, union};
pub(crate) use text::Filling;
pub use xml::{xml_name, xml_text};

use crate::{Result, change::slice_bytes};

/// The format of a segment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Apache Parquet, zstd level 1.
    #[default]
    Parquet,
    /// JSON Lines, zstd level 1.
    Jsonl,
    /// XML with its XML Schema inside, zstd level 1.
    Xml,
    /// The Apache Arrow IPC stream format.
    Arrow,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::Parquet, Self::Jsonl, Self::Xml, Self::Arrow];

    /// The codec of this format.
    pub fn codec(self) -> &'static dyn Codec {
        match self {
            Self::Parquet => &parquet::Parquet,
            Self::Jsonl => &jsonl::JsonLines,
            Self::Xml => &xml::Xml,
            Self::Arrow => &arrow_ipc::ArrowIpc,
        }
    }
}

/// Writes and reads record batches of changes, see [`crate::change::ChangeBatch::to_record_batch`].
///
/// Every implementation passes [`crate::contract::codec`]: what is read equals what was written, value for value,
/// null for null, for every [`crate::schema::Kind`].
pub trait Codec: Send + Sync {
    /// The file extension, without a dot.
    fn extension(&self) -> &'static str;

    /// Begins a blob whose batches all have `schema`.
    fn encode(&self, schema: SchemaRef) -> Result<Box<dyn Encoder>>;

    /// Reads a whole blob, batch by batch. Batches need not be cut as they were written. `bytes` has been verified; an
    /// error is a defect or a stranger's blob, of kind [`crate::ErrorKind::Conflict`].
    fn decode(&self, bytes: Bytes) -> Result<Batches>;
}

/// Record batches as a blob gives them.
pub type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// A blob in the making. Uses processor time: the engine calls it through [`crate::world::World::compute`].
pub trait Encoder: Send {
    /// Adds `batch`, cut where it is larger than a reader should have to take at once. What the format would not keep is refused
    /// with [`crate::ErrorKind::Data`], before anything of `batch` is written.
    fn write(&mut self, batch: &RecordBatch) -> Result<()>;

    /// About how long the blob is so far, in bytes.
    fn size(&self) -> usize;

    /// Ends the blob and returns it.
    fn finish(self: Box<Self>) -> Result<Bytes>;
}

/// Encodes `batches`, all of one schema, as one blob.
pub(crate) fn encode_all(format: Format, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Bytes> {
    let mut encoder = format.codec().encode(Arc::clone(schema))?;
    batches.iter().try_for_each(|batch| encoder.write(batch))?;
    encoder.finish()
}

/// Bytes of changes in memory that a reader is given at once: what compresses well must not be more than it can take.
const READ_BYTES: usize = 4 << 20;

/// `batch` in pieces of at most [`READ_BYTES`], or of one change; with the bytes of each.
fn pieces(batch: &RecordBatch) -> Vec<(RecordBatch, usize)> {
    let sizes = batch.columns().iter().map(|array| slice_bytes(array.as_ref()));
    let (bytes, rows) = (sizes.sum::<usize>(), batch.num_rows());
    if bytes <= READ_BYTES || rows < 2 {
        return vec![(batch.clone(), bytes)];
    }
    let mut halves = pieces(&batch.slice(0, rows / 2));
    halves.extend(pieces(&batch.slice(rows / 2, rows - rows / 2)));
    halves
}

#[cfg(test)]
mod tests;
