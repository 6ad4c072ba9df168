//! Changes as the rows of a file, in one of the formats.

mod csv;
mod jsonl;
mod parquet;
mod xml;

#[cfg(test)]
mod tests;

use tidemark_engine::{
    Digest, Error, LogId, Result,
    arrow_array::{Array, UInt64Array},
    change::ChangeBatch,
    schema::StreamSchema,
};

use super::sealed::Sealed;
use crate::files::DestinationFormat;

/// A file being written in one format.
pub(super) enum Encoder {
    Parquet(Box<parquet::ParquetFile>),
    Jsonl(jsonl::JsonlFile),
    Csv(csv::CsvFile),
    Xml(xml::XmlFile),
}

/// Some changes and what identifies them.
pub(super) struct Rows<'a> {
    pub(super) log: &'a LogId,
    pub(super) sequence: u64,
    pub(super) changes: &'a ChangeBatch,
    pub(super) ordinals: &'a UInt64Array,
}

impl<'a> Rows<'a> {
    /// The changes of commit `sequence`.
    pub(super) fn new(log: &'a LogId, sequence: u64, changes: &'a ChangeBatch) -> Result<Self> {
        let unnumbered = || Error::internal("a batch reached a destination before it was numbered");
        Ok(Self { log, sequence, changes, ordinals: changes.ordinals().ok_or_else(unnumbered)? })
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
            DestinationFormat::Xml => Self::Xml(xml::XmlFile::new(file, schema)?),
        })
    }

    /// Adds `rows`.
    pub(super) fn write(&mut self, rows: &Rows<'_>) -> Result<()> {
        match self {
            Self::Parquet(file) => file.write(rows),
            Self::Jsonl(file) => file.write(rows),
            Self::Csv(file) => file.write(rows),
            Self::Xml(file) => file.write(rows),
        }
    }

    /// About how large the file is by now.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Parquet(file) => file.bytes(),
            Self::Jsonl(file) => file.bytes(),
            Self::Csv(file) => file.bytes(),
            Self::Xml(file) => file.bytes(),
        }
    }

    /// How much memory it holds.
    pub(super) fn memory(&self) -> usize {
        match self {
            Self::Parquet(file) => file.memory(),
            Self::Jsonl(_) | Self::Csv(_) | Self::Xml(_) => 0,
        }
    }

    /// Gives back what memory it can before its end.
    pub(super) fn relieve(&mut self) -> Result<()> {
        match self {
            Self::Parquet(file) => file.end_group(),
            Self::Jsonl(_) | Self::Csv(_) | Self::Xml(_) => Ok(()),
        }
    }

    /// Ends the file; its size and hash.
    pub(super) fn finish(self) -> Result<(u64, Digest)> {
        match self {
            Self::Parquet(file) => file.finish(),
            Self::Jsonl(file) => file.finish(),
            Self::Csv(file) => file.finish(),
            Self::Xml(file) => file.finish(),
        }
    }
}
