//! From checksums of whole ranges down to the rows that differ.

use std::collections::{BTreeMap, VecDeque};

use tidemark_engine::Result;

use super::{Key, Part, Row, Side, Sum, Sums};

/// How much is done at once.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A part with more rows is cut again before its rows are fetched.
    pub small: u64,
    /// Rows that are fetched at once, from each side.
    pub fetch: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { small: 4_096, fetch: 65_536 }
    }
}

/// Bytes of a key's hash that parts may be cut by.
const DEEPEST: usize = 14;

/// A comparison under way.
#[derive(Debug)]
pub struct Narrowing {
    limits: Limits,
    /// What is still to be compared.
    parts: VecDeque<Part>,
    /// Children whose rows are to be fetched.
    fetches: VecDeque<(Part, Vec<u8>)>,
    /// Rows compared so far, as the first side counts them.
    pub rows: u64,
    /// Ranges compared so far.
    pub ranges: u64,
    /// Rows fetched, from both sides together.
    pub fetched: u64,
}

impl Narrowing {
    /// Of `parts`, in order.
    pub fn new(parts: Vec<Part>, limits: Limits) -> Self {
        Self { limits, parts: parts.into(), fetches: VecDeque::new(), rows: 0, ranges: 0, fetched: 0 }
    }

    /// Whether everything has been compared.
    pub fn is_done(&self) -> bool {
        self.parts.is_empty() && self.fetches.is_empty()
    }

    /// Goes on until there are keys whose rows were not the same on both sides when they were fetched, or everything has been
    /// compared.
    pub async fn next(&mut self, first: &mut dyn Side, second: &mut dyn Side) -> Result<Vec<Key>> {
        loop {
            if let Some((part, bytes)) = self.fetches.pop_front() {
                let (expected, found) =
                    futures::try_join!(first.rows(&part, &bytes), second.rows(&part, &bytes))?;
                self.fetched += (expected.len() + found.len()) as u64;
                let differing = differing(expected, found);
                if !differing.is_empty() {
                    return Ok(differing);
                }
                continue;
            }
            let Some(part) = self.parts.pop_front() else { return Ok(Vec::new()) };
            let (expected, found) = futures::try_join!(first.sums(&part), second.sums(&part))?;
            if part.prefix.is_empty() {
                self.rows += expected.values().map(|sum| sum.rows).sum::<u64>();
                self.ranges += 1;
            }
            self.cut(part, &expected, &found);
        }
    }

    /// Notes which children of `part` differ: large ones are cut again, small ones fetched together.
    fn cut(&mut self, part: Part, expected: &Sums, found: &Sums) {
        let sum = |sums: &Sums, byte: u8| sums.get(&byte).copied().unwrap_or_default();
        let (mut together, mut rows) = (Vec::new(), 0);
        for byte in 0..=u8::MAX {
            let (a, b): (Sum, Sum) = (sum(expected, byte), sum(found, byte));
            if a == b {
                continue;
            }
            let most = a.rows.max(b.rows);
            if most > self.limits.small && part.prefix.len() < DEEPEST {
                self.parts.push_front(part.child(byte));
                continue;
            }
            if rows + most > self.limits.fetch && !together.is_empty() {
                self.fetches.push_back((part.clone(), std::mem::take(&mut together)));
                rows = 0;
            }
            together.push(byte);
            rows += most;
        }
        if !together.is_empty() {
            self.fetches.push_back((part, together));
        }
    }
}

/// The keys whose rows are not the same, in order.
fn differing(expected: Vec<Row>, found: Vec<Row>) -> Vec<Key> {
    let mut rows: BTreeMap<Key, [Sum; 2]> = BTreeMap::new();
    for (side, row) in expected.into_iter().map(|row| (0, row)).chain(found.into_iter().map(|row| (1, row))) {
        rows.entry(row.key).or_default()[side].add(&row.hash);
    }
    rows.into_iter().filter(|(_, [expected, found])| expected != found).map(|(key, _)| key).collect()
}

#[cfg(test)]
mod tests;
