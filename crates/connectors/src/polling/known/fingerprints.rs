//! Records, as far as they are compared: a key, and a hash of everything.

use twox_hash::XxHash3_64;

/// The hash of a record's content. Two that differ have the same one once in 2^64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowHash(pub(super) u64);

impl RowHash {
    /// The hash itself.
    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    /// The same of a record of which only a part was told: never that of a whole one.
    pub(crate) fn of_a_part(self) -> Self {
        Self(!self.0)
    }

    /// The hash of a record whose content is written as `bytes`, of which no two records have the same.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(XxHash3_64::oneshot(bytes))
    }
}

/// How a record stands to what is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Its key is not known.
    New,
    /// Its key is known with another content.
    Changed,
    /// It is known as it is.
    Same,
}

/// Keys and hashes of records, one after another in little memory.
///
/// Keys are bytes of the caller's choice. They are best written so that their order is the one in which the source tells its records: then
/// a comparison goes through what is known once, whatever there is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fingerprints {
    keys: Vec<u8>,
    /// Where each key ends.
    ends: Vec<usize>,
    rows: Vec<RowHash>,
}

impl Fingerprints {
    /// Adds a record.
    pub(crate) fn push(&mut self, key: &[u8], row: RowHash) {
        self.keys.extend_from_slice(key);
        self.ends.push(self.keys.len());
        self.rows.push(row);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Each, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], RowHash)> {
        (0..self.len()).map(|index| (self.key(index), self.row(index)))
    }

    pub(super) fn key(&self, index: usize) -> &[u8] {
        let begin = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.keys[begin..self.ends[index]]
    }

    pub(super) fn row(&self, index: usize) -> RowHash {
        self.rows[index]
    }
}

/// The same by key; of equal keys the first comes first.
#[derive(Debug)]
pub(super) struct Sorted {
    prints: Fingerprints,
    /// What stands where.
    order: Vec<usize>,
}

impl Sorted {
    pub(super) fn new(prints: Fingerprints) -> Self {
        let mut order: Vec<usize> = (0..prints.len()).collect();
        if !order.is_sorted_by_key(|index| prints.key(*index)) {
            order.sort_by(|a, b| prints.key(*a).cmp(prints.key(*b)));
        }
        Self { prints, order }
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    pub(super) fn key(&self, at: usize) -> &[u8] {
        self.prints.key(self.order[at])
    }

    /// Where what stands at `at` was before it was sorted, and its hash.
    pub(super) fn row(&self, at: usize) -> (usize, RowHash) {
        let index = self.order[at];
        (index, self.prints.row(index))
    }

    /// The first place from `from` on whose key is `is_beyond`, which all after it are too.
    pub(super) fn first(&self, from: usize, is_beyond: impl Fn(&[u8]) -> bool) -> usize {
        from + self.order[from..].partition_point(|index| !is_beyond(self.prints.key(*index)))
    }
}
