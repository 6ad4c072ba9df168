//! A commit's bytes: writing them once, and reading them back without trust.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::{Commit, Header, Transaction};
use crate::{
    Error, Result, Time,
    log::sealed::{Magic, Sealed},
};

const MAGIC: &Magic = b"TIDEMARK";
/// A frame of this size or more is compressed.
const COMPRESS_FROM: usize = 4 << 10;
/// No frame decompresses to more: a commit holds about 1 MiB of changes, and one change at the least.
const FRAME_LIMIT: usize = 1 << 30;
const TRANSACTION: usize = 16;

/// How a frame is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Compression {
    /// As it is.
    None,
    /// One zstd frame.
    Zstd,
}

impl Compression {
    /// Compresses `bytes` where that pays.
    pub(crate) fn compress(bytes: &[u8]) -> Result<(Self, Cow<'_, [u8]>)> {
        if bytes.len() < COMPRESS_FROM {
            return Ok((Self::None, bytes.into()));
        }
        let packed = zstd::bulk::compress(bytes, 1)
            .map_err(|error| Error::internal("cannot compress a frame").source(error))?;
        Ok((Self::Zstd, packed.into()))
    }

    /// The bytes that were compressed.
    pub(crate) fn decompress(self, bytes: Bytes) -> Result<Bytes> {
        match self {
            Self::None => Ok(bytes),
            Self::Zstd => {
                let size = zstd::zstd_safe::get_frame_content_size(&bytes).ok().flatten();
                let size =
                    size.and_then(|size| usize::try_from(size).ok()).filter(|size| *size <= FRAME_LIMIT);
                let size = size.ok_or_else(|| Error::conflict("a frame of the log has no sound size"))?;
                let plain = zstd::bulk::decompress(&bytes, size).map_err(|error| {
                    Error::conflict("a frame of the log does not decompress").source(error)
                })?;
                Ok(plain.into())
            }
        }
    }
}

/// The bytes of a commit in the making.
#[derive(Debug, Default)]
pub(crate) struct Body {
    sections: BytesMut,
}

impl Body {
    /// A body that begins with the section of `transactions`.
    pub(crate) fn new(transactions: &[Transaction]) -> Self {
        let mut sections = BytesMut::with_capacity(transactions.len() * TRANSACTION);
        for transaction in transactions {
            sections.extend_from_slice(&transaction.end.to_le_bytes());
            sections.extend_from_slice(&transaction.watermark.as_micros().to_le_bytes());
        }
        Self { sections }
    }

    /// Adds a section and returns its offset.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> u64 {
        let offset = self.sections.len() as u64;
        self.sections.extend_from_slice(bytes);
        offset
    }

    /// Freezes the body under `header`.
    pub(crate) fn seal(self, header: Header) -> Result<Commit> {
        let Sealed { bytes, sections, hash } = Sealed::new(MAGIC, &header, &self.sections, "a commit")?;
        Ok(Commit::new(header, hash, bytes, sections))
    }
}

impl Commit {
    /// Reads a commit back and verifies its hash. What a torn, rotten or foreign object fails with says so.
    pub(crate) fn parse(body: Bytes) -> Result<Self, &'static str> {
        let sealed = Sealed::open(MAGIC, body)?;
        let header = sealed.header()?;
        let Sealed { bytes, sections, hash } = sealed;
        Ok(Self::new(header, hash, bytes, sections))
    }

    /// The section of its transactions, as it is stored.
    pub(crate) fn transactions_section(&self) -> Result<Bytes> {
        let length = self.header().transactions.checked_mul(TRANSACTION as u64);
        length
            .and_then(|length| self.section(0, length))
            .ok_or_else(|| Error::conflict(format!("commit {} misses its transactions", self.sequence())))
    }

    /// Its source transactions, in order.
    pub fn transactions(&self) -> Result<Vec<Transaction>> {
        let section = self.transactions_section()?;
        let read = |bytes: &[u8]| {
            let (end, watermark) = bytes.split_first_chunk::<8>()?;
            let watermark = i64::from_le_bytes(*watermark.first_chunk::<8>()?);
            Some(Transaction { end: u64::from_le_bytes(*end), watermark: Time::from_micros(watermark) })
        };
        Ok(section.chunks_exact(TRANSACTION).filter_map(read).collect())
    }

    /// The transactions of the changes with ordinals from `first` up to `last`.
    pub(crate) fn transactions_of(&self, first: u64, last: u64) -> Result<Vec<Transaction>> {
        let unsound = || Error::conflict(format!("commit {} misses its transactions", self.sequence()));
        let section = self.transactions_section()?;
        let (entries, _) = section.as_chunks::<TRANSACTION>();
        let read = |entry: &[u8; TRANSACTION]| {
            let (end, watermark) = entry.split_at(8);
            let number =
                |bytes: &[u8]| bytes.first_chunk::<8>().map_or(0, |bytes| i64::from_le_bytes(*bytes));
            let end = number(end).cast_unsigned();
            Transaction { end, watermark: Time::from_micros(number(watermark)) }
        };
        let begin = entries.partition_point(|entry| read(entry).end <= first);
        let mut transactions = Vec::new();
        for entry in &entries[begin..] {
            let transaction = read(entry);
            transactions.push(transaction);
            if transaction.end > last {
                return Ok(transactions);
            }
        }
        Err(unsound())
    }
}
