//! Whether a file still holds what was read from it: hashes of its beginning and of the bytes before the place
//! where reading goes on.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
};

use serde::{Deserialize, Serialize};

/// How many bytes from the beginning of a file tell it apart.
const HEAD: usize = 1 << 10;
/// How many bytes before the offset are checked again.
const TAIL: usize = 4 << 10;

/// What identifies the part of a file that has been read without reading it again: hashes of its first 1 KiB and of
/// its last 4 KiB. An edit between them that does not move the end is not seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fingerprint {
    head: String,
    tail: String,
}

/// The bytes that a [`Fingerprint`] is taken of, gathered while a file is read: what was really read counts, not what
/// the file holds a moment later.
#[derive(Debug, Clone, Default)]
pub(super) struct Trace {
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Trace {
    /// Of the first `offset` bytes of `file`; `None` when it has fewer.
    pub(super) fn load(file: &mut File, offset: u64) -> io::Result<Option<Self>> {
        let head = read(file, 0, offset.min(HEAD as u64))?;
        let tail = read(file, offset.saturating_sub(TAIL as u64), offset.min(TAIL as u64))?;
        Ok(head.zip(tail).map(|(head, tail)| Self { head, tail }))
    }

    /// Adds the bytes read next.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let missing = HEAD - self.head.len().min(HEAD);
        self.head.extend_from_slice(&bytes[..bytes.len().min(missing)]);
        let last = &bytes[bytes.len().saturating_sub(TAIL)..];
        let surplus = (self.tail.len() + last.len()).saturating_sub(TAIL);
        self.tail.drain(..surplus);
        self.tail.extend_from_slice(last);
    }

    /// The hashes. 16 bytes each: enough to tell files apart, short in the cursor.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        let hash = |bytes: &[u8]| blake3::hash(bytes).to_hex()[..32].to_owned();
        Fingerprint { head: hash(&self.head), tail: hash(&self.tail) }
    }
}

fn read(file: &mut File, from: u64, len: u64) -> io::Result<Option<Vec<u8>>> {
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(len).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 == len).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn reading_in_pieces_leaves_the_trace_that_the_file_has(cuts in prop::collection::vec(0..3_000_usize, 0..8)) {
            let len = cuts.iter().sum::<usize>();
            let bytes = (0..len).map(|n| (n % 251) as u8).collect::<Vec<_>>();
            let mut trace = Trace::default();
            let mut rest = &bytes[..];
            for cut in cuts {
                let (piece, behind) = rest.split_at(cut);
                trace.push(piece);
                rest = behind;
            }
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            file.write_all(b"what came later").unwrap();
            let loaded = Trace::load(&mut file, len as u64).unwrap().unwrap();
            prop_assert_eq!(loaded.fingerprint(), trace.fingerprint());
        }
    }

    #[test]
    fn less_or_other_content_does_not_match() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[b'x'; 10_000]).unwrap();
        let before = Trace::load(&mut file, 10_000).unwrap().unwrap().fingerprint();
        assert!(Trace::load(&mut file, 10_001).unwrap().is_none());
        file.seek(SeekFrom::Start(9_000)).unwrap();
        file.write_all(b"y").unwrap();
        assert_ne!(Trace::load(&mut file, 10_000).unwrap().unwrap().fingerprint(), before);
    }
}
