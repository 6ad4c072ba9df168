//! Lines in a zstd frame, and behind it what only Tidemark reads.
//!
//! The frame has a checksum. A *skippable* frame (RFC 8878, section 3.1.2) follows, which every zstd program passes over: there stand
//! the columns and the number of changes. So the lines are plain changes to everybody, and a blob still says what it holds, and whether
//! it is all there.
//!
//! ```text
//! zstd frame | 0x184D2A54 | length, 4 bytes | columns and rows as JSON | length of the JSON, 4 bytes | "TIDEMARK"
//! ```

use std::io::{BufRead, BufReader, Read, Write};

use bytes::{Buf, Bytes};
use serde::{Deserialize, Serialize};
use zstd::stream::{read::Decoder, write::Encoder};

use super::{Column, Unsound};

/// No line is longer: one change, of a source whose largest value takes 1 GiB.
const LONGEST_LINE: usize = 1 << 30;
/// What a reader is prepared to keep for looking back, as a power of two: 8 MiB. Level 1 asks for 512 KiB.
const LARGEST_WINDOW: u32 = 23;
const LEVEL: i32 = 1;
const SKIPPABLE: u32 = 0x184D_2A54;
const MAGIC: &[u8; 8] = b"TIDEMARK";
const VERSION: u32 = 1;

/// What stands behind the lines.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trailer {
    version: u32,
    pub(super) rows: u64,
    pub(super) columns: Vec<Column>,
}

impl Trailer {
    pub(super) fn new(rows: u64, columns: Vec<Column>) -> Self {
        Self { version: VERSION, rows, columns }
    }

    fn append_to(&self, blob: &mut Vec<u8>) -> Result<(), Unsound> {
        let json = serde_json::to_vec(self).map_err(|_| "its columns have no JSON")?;
        let length = u32::try_from(json.len()).ok().filter(|length| *length < u32::MAX - 12);
        let length = length.ok_or("its columns take more than 4 GiB")?;
        blob.extend_from_slice(&SKIPPABLE.to_le_bytes());
        blob.extend_from_slice(&(length + 12).to_le_bytes());
        blob.extend_from_slice(&json);
        blob.extend_from_slice(&length.to_le_bytes());
        blob.extend_from_slice(MAGIC);
        Ok(())
    }

    /// The trailer of `blob`, and what stands before it.
    pub(super) fn split(blob: Bytes) -> Result<(Bytes, Self), Unsound> {
        let (rest, length) = blob
            .strip_suffix(MAGIC)
            .and_then(|rest| rest.split_last_chunk::<4>())
            .ok_or("it does not end like a blob of Tidemark")?;
        let length = u32::from_le_bytes(*length);
        let begin = rest.len().checked_sub(length as usize).ok_or("its end is cut off")?;
        let (lines, json) = rest.split_at(begin);
        let head = [SKIPPABLE.to_le_bytes(), length.wrapping_add(12).to_le_bytes()].concat();
        let lines = lines.strip_suffix(head.as_slice()).ok_or("its end is cut off")?;
        let trailer: Self = serde_json::from_slice(json).map_err(|_| "its columns cannot be read")?;
        if trailer.version != VERSION {
            return Err("a newer Tidemark has written it: upgrade this one".into());
        }
        let lines = lines.len();
        Ok((blob.slice(..lines), trailer))
    }
}

/// Lines on their way into a blob.
pub(super) struct Writer(Encoder<'static, Vec<u8>>);

impl Writer {
    pub(super) fn new() -> std::io::Result<Self> {
        let mut encoder = Encoder::new(Vec::new(), LEVEL)?;
        encoder.include_checksum(true)?;
        Ok(Self(encoder))
    }

    /// Adds bytes as they are.
    pub(super) fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes)
    }

    /// Whether a line may be as long as `line`.
    pub(super) fn takes(line: &[u8]) -> bool {
        line.len() <= LONGEST_LINE
    }

    /// The length of what has been compressed so far.
    pub(super) fn size(&self) -> usize {
        self.0.get_ref().len()
    }

    pub(super) fn finish(self, trailer: &Trailer) -> Result<Bytes, Unsound> {
        let mut blob = self.0.finish().map_err(|_| "it does not compress")?;
        trailer.append_to(&mut blob)?;
        Ok(blob.into())
    }
}

/// The lines of a blob, one at a time: what has been read is let go, whatever it unpacks to.
pub(super) struct Lines {
    reader: BufReader<Decoder<'static, bytes::buf::Reader<Bytes>>>,
    line: Vec<u8>,
    longest: usize,
}

impl Lines {
    pub(super) fn new(frame: Bytes) -> std::io::Result<Self> {
        Self::no_longer_than(LONGEST_LINE, frame)
    }

    pub(super) fn no_longer_than(longest: usize, frame: Bytes) -> std::io::Result<Self> {
        let mut decoder = Decoder::with_buffer(frame.reader())?;
        decoder.window_log_max(LARGEST_WINDOW)?;
        Ok(Self { reader: BufReader::with_capacity(128 << 10, decoder), line: Vec::new(), longest })
    }

    /// The next line, with what ends it; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<&str>, Unsound> {
        self.line.clear();
        let mut limited = (&mut self.reader).take(self.longest as u64 + 1);
        limited.read_until(b'\n', &mut self.line).map_err(|_| "it does not decompress")?;
        if self.line.is_empty() {
            return Ok(None);
        }
        if self.line.last() != Some(&b'\n') {
            let is_too_long = self.line.len() > self.longest;
            return Err(
                if is_too_long { "a line is longer than any change" } else { "a line is cut off" }.into()
            );
        }
        let line = std::str::from_utf8(&self.line).map_err(|_| "a line is not UTF-8")?;
        Ok(Some(line))
    }
}
