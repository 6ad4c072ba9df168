//! Unpacking within bounds.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;

/// Times that data may be larger than it travelled: text seldom reaches 100, and nothing that was made to fill a memory stays
/// below 400.
const RATIO: u64 = 400;
/// Below it nobody minds.
const LITTLE: u64 = 1 << 20;

/// Why a body cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    TooLong,
    Bomb,
    Unknown,
    Damaged,
}

/// A body as it arrives.
pub(super) enum Unpacked {
    Plain(Bounded),
    Gzip(Box<MultiGzDecoder<Bounded>>),
}

impl Unpacked {
    /// A body that arrives packed as `packing` and may have `most` bytes.
    pub(super) fn new(packing: Option<&[u8]>, most: u64) -> Result<Self, Trouble> {
        let bounded = Bounded { bytes: Vec::new(), most, arrived: 0, trouble: None };
        match packing {
            None | Some(b"" | b"identity") => Ok(Self::Plain(bounded)),
            Some(b"gzip" | b"x-gzip") => Ok(Self::Gzip(Box::new(MultiGzDecoder::new(bounded)))),
            Some(_) => Err(Trouble::Unknown),
        }
    }

    fn bounded(&mut self) -> &mut Bounded {
        match self {
            Self::Plain(bounded) => bounded,
            Self::Gzip(decoder) => decoder.get_mut(),
        }
    }

    /// Takes what has arrived.
    pub(super) fn push(&mut self, chunk: &[u8]) -> Result<(), Trouble> {
        let bounded = self.bounded();
        bounded.arrived += chunk.len() as u64;
        if bounded.arrived > bounded.most {
            return Err(Trouble::TooLong);
        }
        let written = match self {
            Self::Plain(bounded) => bounded.write_all(chunk),
            Self::Gzip(decoder) => decoder.write_all(chunk),
        };
        written.map_err(|_| self.bounded().trouble.unwrap_or(Trouble::Damaged))
    }

    /// The whole, when nothing else arrives.
    pub(super) fn finish(self) -> Result<Bytes, Trouble> {
        match self {
            Self::Plain(bounded) => Ok(bounded.bytes.into()),
            // What is announced as packed and is nothing at all was not packed.
            Self::Gzip(decoder) if decoder.get_ref().arrived == 0 => Ok(Bytes::new()),
            Self::Gzip(mut decoder) => {
                let finished = decoder.try_finish();
                let trouble = decoder.get_ref().trouble.unwrap_or(Trouble::Damaged);
                finished.map_err(|_| trouble)?;
                Ok(std::mem::take(&mut decoder.get_mut().bytes).into())
            }
        }
    }
}

/// Bytes that do not become too many.
pub(super) struct Bounded {
    bytes: Vec<u8>,
    most: u64,
    arrived: u64,
    trouble: Option<Trouble>,
}

impl Write for Bounded {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        let length = (self.bytes.len() + part.len()) as u64;
        if length > LITTLE && length / RATIO > self.arrived {
            self.trouble = Some(Trouble::Bomb);
        } else if length > self.most {
            self.trouble = Some(Trouble::TooLong);
        }
        if self.trouble.is_some() {
            return Err(io::Error::other("too much"));
        }
        self.bytes.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn pack(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn unpack(packed: &[u8], most: u64, step: usize) -> Result<Bytes, Trouble> {
        let mut unpacked = Unpacked::new(Some(b"gzip"), most)?;
        packed.chunks(step).try_for_each(|chunk| unpacked.push(chunk))?;
        unpacked.finish()
    }

    #[test]
    fn packed_bodies_read_in_any_parts_and_no_part_of_them_does() {
        let content: Vec<u8> = (0..100_000u32).flat_map(|n| n.to_string().into_bytes()).collect();
        let packed = pack(&content);
        for step in [1, 7, 4096, usize::MAX] {
            assert_eq!(unpack(&packed, 1 << 20, step).unwrap(), content);
        }
        for cut in [1, 10, packed.len() / 2, packed.len() - 1] {
            assert_eq!(unpack(&packed[..cut], 1 << 20, 4096), Err(Trouble::Damaged), "{cut}");
        }
        let twice = [packed.clone(), packed.clone()].concat();
        assert_eq!(unpack(&twice, 2 << 20, 4096).unwrap().len(), 2 * content.len());
        assert_eq!(unpack(&packed, 1000, 4096), Err(Trouble::TooLong));
        assert_eq!(unpack(&[], 1000, 1).unwrap(), "");
        assert_eq!(unpack(b"plain text after all", 1000, 4096), Err(Trouble::Damaged));
    }

    #[test]
    fn a_bomb_is_let_go_before_it_is_large() {
        let bomb = pack(&vec![0; 50 << 20]);
        assert_eq!(unpack(&bomb, 1 << 30, 4096), Err(Trouble::Bomb));
    }
}
