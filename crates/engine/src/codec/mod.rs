//! How staged data is written: one codec a format, lossless for every type.

mod arrow_ipc;
mod columns;
mod parquet;

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub(crate) use columns::{conform, join};

use crate::Result;

/// The format of a segment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Apache Parquet, zstd level 1.
    #[default]
    Parquet,
    /// The Apache Arrow IPC stream format.
    Arrow,
}

impl Format {
    /// The codec of this format.
    pub fn codec(self) -> &'static dyn Codec {
        match self {
            Self::Parquet => &parquet::Parquet,
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
    /// Adds `batch`.
    fn write(&mut self, batch: &RecordBatch) -> Result<()>;

    /// About how long the blob is so far, in bytes.
    fn size(&self) -> usize;

    /// Ends the blob and returns it.
    fn finish(self: Box<Self>) -> Result<Bytes>;
}

/// Encodes `batches`, all of one schema, as one blob.
pub(crate) fn encode_all(format: Format, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Bytes> {
    let mut encoder = format.codec().encode(Arc::clone(schema))?;
    for batch in batches {
        encoder.write(batch)?;
    }
    encoder.finish()
}
