//! Apache Parquet: zstd level 1, row groups of at most 65,536 changes or 4 MiB.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use bytes::Bytes;
use parquet::{
    arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder},
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::properties::{EnabledStatistics, WriterProperties},
};

use super::{Batches, Codec, Encoder};
use crate::{Error, Result};

/// Changes in a row group.
const GROUP_ROWS: usize = 65_536;
/// Bytes in memory that close a row group early.
const GROUP_BYTES: usize = 4 << 20;
/// Changes in a batch as it is read back.
const BATCH_ROWS: usize = 8_192;

pub(super) struct Parquet;

impl Codec for Parquet {
    fn extension(&self) -> &'static str {
        "parquet"
    }

    fn encode(&self, schema: SchemaRef) -> Result<Box<dyn Encoder>> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).map_err(cannot_write)?))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .build();
        let writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties)).map_err(cannot_write)?;
        Ok(Box::new(ParquetEncoder(writer)))
    }

    fn decode(&self, bytes: Bytes) -> Result<Batches> {
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
            .map_err(cannot_read)?
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(cannot_read)?;
        Ok(Box::new(reader.map(|batch| batch.map_err(|error| cannot_read(error.into())))))
    }
}

struct ParquetEncoder(ArrowWriter<Vec<u8>>);

impl Encoder for ParquetEncoder {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.0.write(batch).map_err(cannot_write)?;
        if self.0.in_progress_size() >= GROUP_BYTES {
            self.0.flush().map_err(cannot_write)?;
        }
        Ok(())
    }

    fn size(&self) -> usize {
        self.0.bytes_written() + self.0.in_progress_size()
    }

    fn finish(self: Box<Self>) -> Result<Bytes> {
        self.0.into_inner().map(Bytes::from).map_err(cannot_write)
    }
}

fn cannot_write(error: ParquetError) -> Error {
    Error::internal("cannot encode changes as Parquet").source(error)
}

fn cannot_read(error: ParquetError) -> Error {
    Error::conflict("cannot decode staged changes from Parquet").source(error)
}
