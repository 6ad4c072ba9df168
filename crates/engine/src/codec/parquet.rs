//! Apache Parquet: zstd level 1, row groups of at most 65,536 changes or 4 MiB as they stand in memory, dictionaries where values
//! repeat.

use std::collections::HashSet;

use arrow_array::{Array, RecordBatch, cast::AsArray};
use arrow_schema::{DataType, SchemaRef};
use bytes::Bytes;
use parquet::{
    arrow::{
        ArrowWriter,
        arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder},
    },
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::properties::{EnabledStatistics, WriterProperties},
    schema::types::ColumnPath,
};

use super::{
    Batches, Codec, Encoder, READ_BYTES,
    foreign::{lacks_nothing, only_what_changes_have, unless_it_panics},
    pieces,
};
use crate::{Error, Result, change::decimals_fit};

/// Changes in a row group.
const GROUP_ROWS: usize = 65_536;
/// Changes in a batch as it is read back, at least: a row group that has no more is one batch, any other two.
const LEAST_ROWS: usize = 8_192;
/// Values of a column that are looked at, to see whether they repeat.
const SAMPLE: usize = 1_024;
/// Where there are fewer, nothing is to be learned from them.
const LEAST_SAMPLE: usize = 64;
/// Bytes of a value that is looked up in longer than it is written down.
const SHORT: usize = 8;

pub(super) struct Parquet;

impl Codec for Parquet {
    fn extension(&self) -> &'static str {
        "parquet"
    }

    fn encode(&self, schema: SchemaRef) -> Result<Box<dyn Encoder>> {
        only_what_changes_have(&schema)
            .map_err(|what| Error::internal("cannot encode changes as Parquet").source(what))?;
        Ok(Box::new(ParquetEncoder { schema, writer: None, group_bytes: 0 }))
    }

    fn decode(&self, bytes: Bytes) -> Result<Batches> {
        let load = || ArrowReaderMetadata::load(&bytes, ArrowReaderOptions::default());
        let metadata = unless_it_panics(load).ok_or_else(beyond_reading)?.map_err(cannot_read)?;
        only_what_changes_have(metadata.schema())
            .map_err(|what| Error::conflict(format!("cannot decode staged changes from Parquet: {what}")))?;
        let groups = 0..metadata.metadata().num_row_groups();
        let read = move |group| match read_group(&bytes, &metadata, group) {
            Ok(batches) => batches,
            Err(error) => Box::new(std::iter::once(Err(error))),
        };
        Ok(Box::new(groups.flat_map(read)))
    }
}

/// The batches of one row group, none of which spans two: as few as memory allows, for much is done once a batch.
fn read_group(bytes: &Bytes, metadata: &ArrowReaderMetadata, group: usize) -> Result<Batches> {
    let rows = usize::try_from(metadata.metadata().row_group(group).num_rows()).unwrap_or_default();
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes.clone(), metadata.clone())
        .with_row_groups(vec![group])
        .with_batch_size(rows.div_ceil(2).clamp(LEAST_ROWS, GROUP_ROWS));
    let reader = unless_it_panics(|| builder.build()).ok_or_else(beyond_reading)?.map_err(cannot_read)?;
    let mut reader = Some(reader);
    Ok(Box::new(std::iter::from_fn(move || {
        let Some(next) = unless_it_panics(|| reader.as_mut()?.next()) else {
            reader = None;
            return Some(Err(beyond_reading()));
        };
        let batch = next?.and_then(|batch| lacks_nothing(&batch).map(|()| batch));
        Some(batch.map_err(|error| cannot_read(error.into())))
    })))
}

struct ParquetEncoder {
    schema: SchemaRef,
    /// Begun with the first batch, which shows what the values are like.
    writer: Option<ArrowWriter<Vec<u8>>>,
    /// Changes in the open row group, as bytes in memory.
    group_bytes: usize,
}

impl ParquetEncoder {
    fn begin(&self, sample: &RecordBatch) -> Result<ArrowWriter<Vec<u8>>> {
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).map_err(cannot_write)?))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_statistics_enabled(EnabledStatistics::Chunk);
        for (field, column) in self.schema.fields().iter().zip(sample.columns()) {
            if !may_repeat(column) {
                let path = ColumnPath::new(vec![field.name().clone()]);
                properties = properties.set_column_dictionary_enabled(path, false);
            }
        }
        ArrowWriter::try_new(Vec::new(), self.schema.clone(), Some(properties.build())).map_err(cannot_write)
    }
}

impl Encoder for ParquetEncoder {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        for (field, column) in self.schema.fields().iter().zip(batch.columns()) {
            // As many bytes are written as the type's digits take, and what is more is lost.
            if !decimals_fit(column) {
                return Err(Error::data(format!("column `{}` has a decimal that is too long", field.name())));
            }
        }
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.begin(batch)?,
        };
        for (piece, bytes) in pieces(batch) {
            writer.write(&piece).map_err(cannot_write)?;
            self.group_bytes += bytes;
            if self.group_bytes >= READ_BYTES {
                writer.flush().map_err(cannot_write)?;
                self.group_bytes = 0;
            }
        }
        self.writer = Some(writer);
        Ok(())
    }

    fn size(&self) -> usize {
        self.writer.as_ref().map_or(0, |writer| writer.bytes_written() + writer.in_progress_size())
    }

    fn finish(mut self: Box<Self>) -> Result<Bytes> {
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.begin(&RecordBatch::new_empty(self.schema.clone()))?,
        };
        writer.into_inner().map(Bytes::from).map_err(cannot_write)
    }
}

/// Whether a dictionary of the column's values is worth the search for each of them: where half of some that are looked at have been
/// seen before. Keys, moments and hashes are told by this from states and names. A short value that is always the same, as the
/// operation is, compresses as well without.
fn may_repeat(column: &dyn Array) -> bool {
    let step = column.len().div_ceil(SAMPLE).max(1);
    let rows = (0..column.len()).step_by(step).filter(|row| column.is_valid(*row));
    let (mut seen, mut looked_at) = (HashSet::new(), 0);
    let data = column.to_data();
    for row in rows {
        let value = match column.data_type() {
            DataType::Utf8 => column.as_string::<i32>().value(row).as_bytes(),
            DataType::Binary => column.as_binary::<i32>().value(row),
            DataType::FixedSizeBinary(_) => column.as_fixed_size_binary().value(row),
            fixed => {
                let Some(width) = fixed.primitive_width() else { return true };
                &data.buffers()[0][(data.offset() + row) * width..][..width]
            }
        };
        looked_at += 1;
        seen.insert(value);
    }
    let is_short = |value: &&[u8]| value.len() <= SHORT;
    match seen.len() {
        _ if looked_at < LEAST_SAMPLE => true,
        1 => !seen.iter().all(is_short),
        distinct => distinct * 2 <= looked_at,
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
