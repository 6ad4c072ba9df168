//! Rows that are read here, hashed one by one.

use std::{collections::HashMap, sync::Arc};

use super::{Hash, Key, Part, Row, RowHasher, Seen, Sums, Terms};

/// What rows are read for.
#[derive(Debug, Clone)]
pub(crate) enum Wanted {
    /// The sums of the children of a part.
    Sums(Part),
    /// The rows of those children that go on with one of these bytes.
    Rows(Part, Vec<u8>),
    /// What there is of some keys, each with its place in the answer; hashes of single columns only where the flag is set.
    Keys(HashMap<Key, usize>, bool),
}

/// What has been made of the rows so far.
#[derive(Debug)]
pub(crate) struct Gathering {
    terms: Arc<Terms>,
    wanted: Wanted,
    hasher: RowHasher,
    pub(crate) sums: Sums,
    pub(crate) rows: Vec<Row>,
    pub(crate) seen: Vec<Seen>,
}

impl Wanted {
    /// `keys`, to be looked at.
    pub(crate) fn keys(keys: &[Key], closely: bool) -> Self {
        Self::Keys(keys.iter().cloned().zip(0..).collect(), closely)
    }
}

impl Gathering {
    pub(crate) fn new(terms: Arc<Terms>, wanted: Wanted) -> Self {
        let seen = match &wanted {
            Wanted::Keys(keys, _) => vec![Seen::default(); keys.len()],
            Wanted::Sums(_) | Wanted::Rows(..) => Vec::new(),
        };
        Self { terms, wanted, hasher: RowHasher::default(), sums: Sums::new(), rows: Vec::new(), seen }
    }

    /// Adds a row: for each column of the terms what it holds, spelled; `None` for NULL.
    pub(crate) fn add(&mut self, cells: &[Option<&str>]) {
        if let Wanted::Keys(keys, closely) = &self.wanted {
            let Some(&place) = keys.get(&self.key(cells)) else { return };
            let closely = *closely;
            let (hash, seen) = (self.row_hash(cells), place);
            self.seen[seen].sum.add(&hash);
            if closely {
                let columns = cells.iter().map(|cell| self.hash(std::iter::once(*cell)));
                let columns = columns.collect();
                self.seen[place].columns = columns;
            }
            return;
        }
        let key = self.key_hash(cells);
        let (part, bytes) = match &self.wanted {
            Wanted::Sums(part) => (part, None),
            Wanted::Rows(part, bytes) => (part, Some(bytes)),
            Wanted::Keys(..) => return,
        };
        let next = key[part.prefix.len()];
        if !key.starts_with(&part.prefix) || bytes.is_some_and(|bytes| !bytes.contains(&next)) {
            return;
        }
        let fetches = bytes.is_some();
        let hash = self.row_hash(cells);
        match fetches {
            false => self.sums.entry(next).or_default().add(&hash),
            true => self.rows.push(Row { key: self.key(cells), hash }),
        }
    }

    fn key(&self, cells: &[Option<&str>]) -> Key {
        self.terms.key.iter().map(|&index| cells[index].map(str::to_owned)).collect()
    }

    fn key_hash(&mut self, cells: &[Option<&str>]) -> Hash {
        let terms = self.terms.clone();
        self.hash(terms.key.iter().map(|&index| cells[index]))
    }

    fn row_hash(&mut self, cells: &[Option<&str>]) -> Hash {
        self.hash(cells.iter().copied())
    }

    fn hash<'c>(&mut self, cells: impl Iterator<Item = Option<&'c str>>) -> Hash {
        cells.for_each(|cell| self.hasher.add(cell));
        self.hasher.finish()
    }
}
