//! Cutting text into records, a piece at a time.

use tidemark_engine::Result;

use super::Rows;

/// Records handed on at once.
pub(crate) const BATCH_ROWS: usize = 8_192;

/// Cuts bytes into the records of a format.
pub(crate) trait Cutter {
    /// The records.
    type Rows: Rows;

    /// The complete records at the beginning of `input`, up to `max_rows`. `input` begins with a record, on `line`.
    fn cut(&mut self, input: &[u8], line: u64, max_rows: usize, file: &str) -> Result<Cut<Self::Rows>>;
}

/// Records and how much of the input they took.
#[derive(Debug)]
pub(crate) struct Cut<R> {
    pub(crate) rows: R,
    /// Bytes, up to the end of a record.
    pub(crate) consumed: usize,
    /// Line ends in them.
    pub(crate) lines: u64,
}

/// How many line ends there are.
pub(crate) fn count_lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}
