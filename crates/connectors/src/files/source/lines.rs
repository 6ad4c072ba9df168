//! Reading a file that grows, a few records at a time, in bounded memory.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::PathBuf,
};

use tidemark_engine::{Error, Result};

use super::{fingerprint::Trace, folder::unreadable};
use crate::records::{BATCH_ROWS, Cutter, Rows};

#[cfg(test)]
mod tests;

/// How much is read at once; more only where a single record is longer.
const CHUNK: usize = 1 << 20;
/// A longer record is refused: most likely a quote is not closed, and memory is bounded.
const MAX_RECORD: usize = 64 << 20;

/// Reads the records of a growing file from an offset to a limit.
#[derive(Debug)]
pub(super) struct LineReader<C> {
    file: File,
    path: String,
    location: PathBuf,
    pub(super) cutter: C,
    pub(super) trace: Trace,
    /// Bytes of complete records read so far, from the beginning of the file.
    pub(super) offset: u64,
    /// Lines in them.
    pub(super) lines: u64,
    /// Where to stop, for now.
    limit: u64,
    /// What has been read from `offset` on.
    buffer: Vec<u8>,
    /// How much to have in the buffer before it is cut.
    want: usize,
}

impl<C: Cutter> LineReader<C> {
    /// Goes on at `offset`, behind `lines` lines and what left the `trace`.
    pub(super) fn new(
        file: File,
        path: String,
        location: PathBuf,
        cutter: C,
        (offset, lines, trace): (u64, u64, Trace),
        limit: u64,
    ) -> Self {
        Self { file, path, location, cutter, trace, offset, lines, limit, buffer: Vec::new(), want: CHUNK }
    }

    /// The next records; `None` when no complete one is left before the limit.
    pub(super) fn next(&mut self) -> Result<Option<C::Rows>> {
        loop {
            self.fill()?;
            let cut = self.cutter.cut(&self.buffer, self.lines + 1, BATCH_ROWS, &self.path)?;
            if cut.consumed > 0 {
                self.consume(cut.consumed, cut.lines);
                self.want = CHUNK;
            }
            if cut.rows.len() > 0 {
                return Ok(Some(cut.rows));
            }
            if cut.consumed == 0 {
                if self.buffer.len() < self.want {
                    return Ok(None);
                }
                if self.want >= MAX_RECORD {
                    let line = self.lines + 1;
                    return Err(Error::data(format!(
                        "the record on line {line} of `{}` is beyond 64 MiB",
                        self.path
                    ))
                    .hint("look for a quote that is not closed, or a missing line end"));
                }
                self.want *= 2;
            }
        }
    }

    /// The file's path below the folder.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Whether the limit has been reached with nothing left over.
    pub(super) fn is_at_end(&self) -> bool {
        self.offset >= self.limit
    }

    /// The record behind the last line end, taken as if one followed; `None` when it is not complete.
    pub(super) fn last(&mut self) -> Option<C::Rows> {
        let mut record = self.buffer.clone();
        record.push(b'\n');
        let cut = self.cutter.cut(&record, self.lines + 1, BATCH_ROWS, &self.path).ok()?;
        if cut.consumed < record.len() {
            return None;
        }
        // The line that it ends still counts as begun.
        self.consume(self.buffer.len(), cut.lines - 1);
        Some(cut.rows)
    }

    /// Reads on until there is enough to cut, or nothing more before the limit.
    fn fill(&mut self) -> Result<()> {
        if self.buffer.len() >= self.want {
            return Ok(());
        }
        let from = self.offset + self.buffer.len() as u64;
        let len = (self.limit.saturating_sub(from)).min((self.want - self.buffer.len()) as u64);
        if len == 0 {
            return Ok(());
        }
        let unreadable = |error| unreadable(&self.location, error);
        self.file.seek(SeekFrom::Start(from)).map_err(unreadable)?;
        let read = (&mut self.file).take(len).read_to_end(&mut self.buffer).map_err(unreadable)?;
        if (read as u64) < len {
            // Cut short while we read: the next sweep sees what became of it.
            self.limit = from + read as u64;
        }
        Ok(())
    }

    fn consume(&mut self, bytes: usize, lines: u64) {
        self.trace.push(&self.buffer[..bytes]);
        self.buffer.drain(..bytes);
        self.offset += bytes as u64;
        self.lines += lines;
    }
}
