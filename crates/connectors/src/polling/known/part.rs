//! A part: sorted entries in one object. An entry is a key and the hash of its record, or that the key is gone.
//!
//! ```text
//! format       1 byte
//! entries      each: how many bytes its key shares with the one before (varint),
//!              twice the length of the rest of its key, and one more when it is gone (varint),
//!              the rest of its key, and 8 bytes of hash, little endian, unless it is gone
//! restarts     4 bytes each, little endian: where every sixteenth entry begins, whose key shares nothing
//! entries      4 bytes, little endian: how many there are
//! ```

use bytes::Bytes;

use super::{fingerprints::RowHash, marks::Marks};

const FORMAT: u8 = 1;
/// Entries from a restart to the next.
const INTERVAL: usize = 16;
const WORD: usize = size_of::<u32>();

/// The content of a part is not what a part is. It was verified, so another version wrote it, or we are wrong.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unreadable;

/// Makes a part of entries that come by key, no key twice.
#[derive(Debug, Default)]
pub(super) struct PartWriter {
    bytes: Vec<u8>,
    restarts: Vec<u32>,
    first: Vec<u8>,
    last: Vec<u8>,
    entries: u32,
    gone: u64,
    marks: Marks,
}

/// A part that was made.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) content: Bytes,
    pub(super) first: Vec<u8>,
    pub(super) last: Vec<u8>,
    pub(super) entries: u64,
    pub(super) gone: u64,
    pub(super) marks: Marks,
}

impl PartWriter {
    pub(super) fn add(&mut self, key: &[u8], row: Option<RowHash>, is_marked: bool) {
        if self.entries == 0 {
            self.bytes.push(FORMAT);
            self.first = key.to_vec();
        }
        let is_restart = self.entries.is_multiple_of(INTERVAL as u32);
        let shared = if is_restart { 0 } else { shared(&self.last, key) };
        if is_restart {
            self.restarts.push(self.bytes.len() as u32);
        }
        let rest = &key[shared..];
        put_varint(&mut self.bytes, shared);
        put_varint(&mut self.bytes, rest.len() << 1 | usize::from(row.is_none()));
        self.bytes.extend_from_slice(rest);
        match row {
            Some(RowHash(hash)) => self.bytes.extend_from_slice(&hash.to_le_bytes()),
            None => self.gone += 1,
        }
        if is_marked {
            self.marks.set(self.entries as usize);
        }
        self.last.truncate(shared);
        self.last.extend_from_slice(rest);
        self.entries += 1;
    }

    /// Bytes so far.
    pub(super) fn size(&self) -> usize {
        self.bytes.len() + self.restarts.len() * WORD
    }

    /// What was made; `None` when nothing was added. What is added from now on is of the next part.
    pub(super) fn finish(&mut self) -> Option<Written> {
        let Self { mut bytes, restarts, first, last, entries, gone, marks } = std::mem::take(self);
        restarts.iter().for_each(|restart| bytes.extend_from_slice(&restart.to_le_bytes()));
        bytes.extend_from_slice(&entries.to_le_bytes());
        (entries > 0).then(|| Written {
            content: bytes.into(),
            first,
            last,
            entries: entries.into(),
            gone,
            marks,
        })
    }
}

/// A part that was read.
#[derive(Debug, Clone)]
pub(super) struct Part {
    bytes: Bytes,
    /// Where its restarts begin.
    restarts: usize,
    entries: usize,
}

impl Part {
    pub(super) fn open(bytes: Bytes) -> Result<Self, Unreadable> {
        Self::read(bytes).ok_or(Unreadable)
    }

    fn read(bytes: Bytes) -> Option<Self> {
        let (rest, entries) = bytes.split_last_chunk::<WORD>()?;
        let entries = u32::from_le_bytes(*entries) as usize;
        let restarts = rest.len().checked_sub(entries.div_ceil(INTERVAL) * WORD)?;
        (rest.first() == Some(&FORMAT) && restarts > 0).then_some(Self { bytes, restarts, entries })
    }

    /// Bytes of memory that it takes.
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    fn restart(&self, number: usize) -> Option<usize> {
        let word = self.bytes.get(self.restarts + number * WORD..)?.first_chunk::<WORD>()?;
        Some(u32::from_le_bytes(*word) as usize).filter(|at| *at < self.restarts)
    }

    /// The key of the entry at a restart.
    fn key_at(&self, restart: usize) -> Option<&[u8]> {
        let entry = Entry::read(&self.bytes[..self.restarts], self.restart(restart)?)?;
        Some(entry.rest)
    }
}

struct Entry<'a> {
    shared: usize,
    rest: &'a [u8],
    row: Option<RowHash>,
    /// Where the next one begins.
    end: usize,
}

impl<'a> Entry<'a> {
    #[inline]
    fn read(bytes: &'a [u8], mut at: usize) -> Option<Self> {
        let shared = varint(bytes, &mut at)?;
        let length = varint(bytes, &mut at)?;
        let rest = bytes.get(at..at.checked_add(length >> 1)?)?;
        at += rest.len();
        let row = match length & 1 {
            0 => {
                let hash = bytes.get(at..)?.first_chunk::<8>()?;
                at += hash.len();
                Some(RowHash(u64::from_le_bytes(*hash)))
            }
            _ => None,
        };
        Some(Self { shared, rest, row, end: at })
    }
}

/// A way through a part, from its first entry to its last.
#[derive(Debug)]
pub(super) struct Scan {
    part: Part,
    /// Where the next entry begins, and its number.
    at: usize,
    next: usize,
    /// Of the entry that it stands on.
    key: Vec<u8>,
    row: Option<RowHash>,
    stands: bool,
}

impl Scan {
    /// Before the first entry.
    pub(super) fn new(part: Part) -> Self {
        Self { part, at: 1, next: 0, key: Vec::new(), row: None, stands: false }
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    /// The hash of its record; `None` when it is gone.
    pub(super) fn row(&self) -> Option<RowHash> {
        self.row
    }

    /// The number of the entry that it stands on.
    pub(super) fn number(&self) -> usize {
        self.next.saturating_sub(1)
    }

    /// Moves on by one; whether it stands on an entry then.
    #[inline]
    pub(super) fn advance(&mut self) -> Result<bool, Unreadable> {
        self.stands = self.next < self.part.entries;
        if self.stands {
            let entry = Entry::read(&self.part.bytes[..self.part.restarts], self.at).ok_or(Unreadable)?;
            if entry.shared > self.key.len() {
                return Err(Unreadable);
            }
            self.key.truncate(entry.shared);
            self.key.extend_from_slice(entry.rest);
            (self.row, self.at) = (entry.row, entry.end);
            self.next += 1;
        }
        Ok(self.stands)
    }

    /// Moves on to `key`; whether it is there. Keys are asked for in their order.
    #[inline]
    pub(super) fn seek(&mut self, key: &[u8]) -> Result<bool, Unreadable> {
        if !(self.stands && self.key.as_slice() >= key) {
            self.leap(key)?;
            while self.advance()? && self.key.as_slice() < key {}
        }
        Ok(self.stands && self.key == key)
    }

    /// Goes to the last restart that is ahead and not beyond `key`, if there is one.
    fn leap(&mut self, key: &[u8]) -> Result<(), Unreadable> {
        let count = self.part.entries.div_ceil(INTERVAL);
        let is_before = |restart| self.part.key_at(restart).map(|found| found <= key).ok_or(Unreadable);
        let (mut low, mut step) = (self.next.div_ceil(INTERVAL), 1);
        if low >= count || !is_before(low)? {
            return Ok(());
        }
        // It is not far in most cases: ever longer steps, then halves of the last one.
        while low + step < count && is_before(low + step)? {
            low += step;
            step *= 2;
        }
        let mut high = (low + step).min(count);
        while high - low > 1 {
            let middle = low.midpoint(high);
            if is_before(middle)? { low = middle } else { high = middle }
        }
        self.at = self.part.restart(low).ok_or(Unreadable)?;
        self.next = low * INTERVAL;
        self.stands = false;
        Ok(())
    }
}

fn shared(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

fn put_varint(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

#[inline]
fn varint(bytes: &[u8], at: &mut usize) -> Option<usize> {
    let (mut number, mut shift) = (0usize, 0);
    loop {
        let byte = *bytes.get(*at)?;
        *at += 1;
        number |= usize::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return Some(number);
        }
        shift += 7;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn written(entries: &BTreeMap<Vec<u8>, Option<u64>>) -> Written {
        let mut writer = PartWriter::default();
        entries.iter().for_each(|(key, row)| writer.add(key, row.map(RowHash), false));
        writer.finish().unwrap()
    }

    fn entries() -> impl Strategy<Value = BTreeMap<Vec<u8>, Option<u64>>> {
        let key = prop::collection::vec(0u8..4, 0..200);
        prop::collection::btree_map(key, prop::option::of(any::<u64>()), 1..200)
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(entries in entries()) {
            let written = written(&entries);
            prop_assert_eq!(written.entries, entries.len() as u64);
            prop_assert_eq!(Some(&written.first), entries.keys().next());
            prop_assert_eq!(Some(&written.last), entries.keys().last());
            let mut scan = Scan::new(Part::open(written.content).unwrap());
            for (number, (key, row)) in entries.iter().enumerate() {
                prop_assert!(scan.advance().unwrap());
                prop_assert_eq!((scan.key(), scan.row(), scan.number()), (&**key, row.map(RowHash), number));
            }
            prop_assert!(!scan.advance().unwrap());
        }

        #[test]
        fn what_is_sought_is_found(entries in entries(), others in entries(), every in 1usize..40) {
            let mut scan = Scan::new(Part::open(written(&entries).content).unwrap());
            let mut sought: Vec<&Vec<u8>> = entries.keys().step_by(every).chain(others.keys()).collect();
            sought.sort();
            for key in sought {
                let found = scan.seek(key).unwrap().then(|| scan.row().map(|row| row.0));
                prop_assert_eq!(found, entries.get(key).copied());
            }
        }

        #[test]
        fn no_content_makes_it_panic(entries in entries(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut content = written(&entries).content.to_vec();
            let at = at.index(content.len());
            content[at] = byte;
            let Ok(part) = Part::open(content.into()) else { return Ok(()) };
            let mut scan = Scan::new(part.clone());
            while let Ok(true) = scan.advance() {}
            let mut scan = Scan::new(part);
            entries.keys().all(|key| scan.seek(key).is_ok());
        }
    }
}
