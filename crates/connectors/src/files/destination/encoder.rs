//! Changes as the rows of a file, in one of the formats.

mod csv;
mod jsonl;
mod parquet;

use tidemark_engine::{
    Digest, Error, LogId, Result,
    arrow_array::{Array, UInt64Array},
    change::ChangeBatch,
    schema::StreamSchema,
    write::Delivery,
};

use super::sealed::Sealed;
use crate::files::DestinationFormat;

/// A file being written in one format.
pub(super) enum Encoder {
    Parquet(Box<parquet::ParquetFile>),
    Jsonl(jsonl::JsonlFile),
    Csv(csv::CsvFile),
}

/// Some changes and what identifies them.
pub(super) struct Rows<'a> {
    pub(super) log: &'a LogId,
    pub(super) sequence: u64,
    pub(super) changes: &'a ChangeBatch,
    pub(super) ordinals: &'a UInt64Array,
}

impl<'a> Rows<'a> {
    pub(super) fn new(log: &'a LogId, delivery: &'a Delivery) -> Result<Self> {
        let Delivery { sequence, changes, .. } = delivery;
        let unnumbered = || Error::internal("a batch reached a destination before it was numbered");
        Ok(Self { log, sequence: *sequence, changes, ordinals: changes.ordinals().ok_or_else(unnumbered)? })
    }

    /// The identity of the change in `row`.
    fn id(&self, row: usize) -> tidemark_engine::ChangeId<'a> {
        tidemark_engine::ChangeId {
            log: self.log,
            sequence: self.sequence,
            ordinal: self.ordinals.value(row),
        }
    }

    /// When the source made the change in `row`.
    fn source_time(&self, row: usize) -> Option<tidemark_engine::Time> {
        let times = self.changes.columns().source_times.as_ref()?;
        times.is_valid(row).then(|| tidemark_engine::Time::from_micros(times.value(row)))
    }
}

impl Encoder {
    /// Begins `file` for changes under `schema`.
    pub(super) fn new(format: DestinationFormat, file: Sealed, schema: &StreamSchema) -> Result<Self> {
        Ok(match format {
            DestinationFormat::Parquet => Self::Parquet(Box::new(parquet::ParquetFile::new(file, schema)?)),
            DestinationFormat::Jsonl => Self::Jsonl(jsonl::JsonlFile::new(file)),
            DestinationFormat::Csv => Self::Csv(csv::CsvFile::new(file, schema)?),
        })
    }

    /// Adds `rows`.
    pub(super) fn write(&mut self, rows: &Rows<'_>) -> Result<()> {
        match self {
            Self::Parquet(file) => file.write(rows),
            Self::Jsonl(file) => file.write(rows),
            Self::Csv(file) => file.write(rows),
        }
    }

    /// About how large the file is by now.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Parquet(file) => file.bytes(),
            Self::Jsonl(file) => file.bytes(),
            Self::Csv(file) => file.bytes(),
        }
    }

    /// How much memory it holds.
    pub(super) fn memory(&self) -> usize {
        match self {
            Self::Parquet(file) => file.memory(),
            Self::Jsonl(_) | Self::Csv(_) => 0,
        }
    }

    /// Ends the file and makes it durable; its size and hash.
    pub(super) fn finish(self) -> Result<(u64, Digest)> {
        match self {
            Self::Parquet(file) => file.finish(),
            Self::Jsonl(file) => file.finish(),
            Self::Csv(file) => file.finish(),
        }
    }
}
