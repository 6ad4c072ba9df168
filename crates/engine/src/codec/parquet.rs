//! Apache Parquet: zstd level 1, row groups of at most 65,536 changes or 4 MiB as they stand in memory.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use bytes::Bytes;
use parquet::{
    arrow::{
        ArrowWriter,
        arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder},
    },
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::properties::{EnabledStatistics, WriterProperties},
};

use super::{Batches, Codec, Encoder, READ_BYTES, foreign::unless_it_panics, pieces};
use crate::{Error, Result};

/// Changes in a row group.
const GROUP_ROWS: usize = 65_536;
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
        Ok(Box::new(ParquetEncoder { writer, group_bytes: 0 }))
    }

    fn decode(&self, bytes: Bytes) -> Result<Batches> {
        let load = || ArrowReaderMetadata::load(&bytes, ArrowReaderOptions::default());
        let metadata = unless_it_panics(load).ok_or_else(beyond_reading)?.map_err(cannot_read)?;
        let groups = 0..metadata.metadata().num_row_groups();
        let read = move |group| match read_group(&bytes, &metadata, group) {
            Ok(batches) => batches,
            Err(error) => Box::new(std::iter::once(Err(error))),
        };
        Ok(Box::new(groups.flat_map(read)))
    }
}

/// The batches of one row group: none spans two, so none is larger than one.
fn read_group(bytes: &Bytes, metadata: &ArrowReaderMetadata, group: usize) -> Result<Batches> {
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes.clone(), metadata.clone())
        .with_row_groups(vec![group])
        .with_batch_size(BATCH_ROWS);
    let reader = unless_it_panics(|| builder.build()).ok_or_else(beyond_reading)?.map_err(cannot_read)?;
    let mut reader = Some(reader);
    Ok(Box::new(std::iter::from_fn(move || {
        let Some(next) = unless_it_panics(|| reader.as_mut()?.next()) else {
            reader = None;
            return Some(Err(beyond_reading()));
        };
        Some(next?.map_err(|error| cannot_read(error.into())))
    })))
}

struct ParquetEncoder {
    writer: ArrowWriter<Vec<u8>>,
    /// Changes in the open row group, as bytes in memory.
    group_bytes: usize,
}

impl Encoder for ParquetEncoder {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        for (piece, bytes) in pieces(batch) {
            self.writer.write(&piece).map_err(cannot_write)?;
            self.group_bytes += bytes;
            if self.group_bytes >= READ_BYTES {
                self.writer.flush().map_err(cannot_write)?;
                self.group_bytes = 0;
            }
        }
        Ok(())
    }

    fn size(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }

    fn finish(self: Box<Self>) -> Result<Bytes> {
        self.writer.into_inner().map(Bytes::from).map_err(cannot_write)
    }
}

fn cannot_write(error: ParquetError) -> Error {
    Error::internal("cannot encode changes as Parquet").source(error)
}

fn cannot_read(error: ParquetError) -> Error {
    Error::conflict("cannot decode staged changes from Parquet").source(error)
}

/// The error of a blob that the library does not even refuse.
fn beyond_reading() -> Error {
    Error::conflict("cannot decode staged changes from Parquet: it is not what any program wrote")
}
