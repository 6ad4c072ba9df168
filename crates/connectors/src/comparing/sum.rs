//! Hashes of rows, and what they add up to.

use std::collections::BTreeMap;

/// 128 bits of a hash. By chance two rows that differ have the same one as good as never.
pub type Hash = [u8; 16];

/// What a row's key columns hold, spelled; `None` for NULL.
pub type Key = Vec<Option<String>>;

/// How many rows there are, and what their hashes add up to: the same for the same rows in whatever order they come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many.
    pub rows: u64,
    /// The sums of the first and the second half of the hashes, modulo 2^64.
    pub halves: [u64; 2],
}

/// The sums of a part's children, by the next byte of their keys' hashes. Where there is no row there is no sum.
pub type Sums = BTreeMap<u8, Sum>;

/// A row, as it is fetched to be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its key.
    pub key: Key,
    /// The hash of all that is compared.
    pub hash: Hash,
}

/// What is seen of the rows of one key: one row as a rule, more where the key does not tell rows apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The rows together.
    pub sum: Sum,
    /// The hash of each column, of one of the rows; empty unless asked for.
    pub columns: Vec<Hash>,
}

impl Sum {
    /// Counts a row.
    pub fn add(&mut self, hash: &Hash) {
        let half = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        let (first, second) = hash.split_at(8);
        *self += Self { rows: 1, halves: [half(first), half(second)] };
    }
}

impl std::ops::AddAssign for Sum {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        for (half, other) in self.halves.iter_mut().zip(other.halves) {
            *half = half.wrapping_add(other);
        }
    }
}

/// Hashes a row of which the cells come one after another.
#[derive(Debug, Default)]
pub(crate) struct RowHasher(Vec<u8>);

impl RowHasher {
    /// Adds a cell as it is spelled; `None` for NULL.
    pub(crate) fn add(&mut self, cell: Option<&str>) {
        // The length stands in front, so that cells cannot run into one another.
        match cell {
            None => self.0.push(0),
            Some(text) => {
                self.0.push(1);
                self.0.extend_from_slice(&(text.len() as u64).to_le_bytes());
                self.0.extend_from_slice(text.as_bytes());
            }
        }
    }

    /// The hash of what has been added; begins anew.
    pub(crate) fn finish(&mut self) -> Hash {
        let whole: [u8; 32] = blake3::hash(&self.0).into();
        self.0.clear();
        let mut hash = Hash::default();
        hash.copy_from_slice(&whole[..16]);
        hash
    }
}

/// The bytes that `digits` write.
pub(crate) fn hexadecimal(digits: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    bytes.collect::<Option<_>>().filter(|_| rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(cells: &[Option<&str>]) -> Hash {
        let mut hasher = RowHasher::default();
        cells.iter().for_each(|cell| hasher.add(*cell));
        hasher.finish()
    }

    #[test]
    fn cells_do_not_run_into_one_another() {
        assert_ne!(hash(&[Some("ab"), Some("c")]), hash(&[Some("a"), Some("bc")]));
        assert_ne!(hash(&[None]), hash(&[Some("")]));
        assert_ne!(hash(&[None, Some("")]), hash(&[Some(""), None]));
        assert_eq!(hash(&[Some("ab"), None]), hash(&[Some("ab"), None]));
    }

    #[test]
    fn sums_do_not_mind_the_order_and_do_mind_how_often() {
        let hashes = ["a", "b", "c"].map(|text| hash(&[Some(text)]));
        let sum = |hashes: &[&Hash]| {
            let mut sum = Sum::default();
            hashes.iter().for_each(|hash| sum.add(hash));
            sum
        };
        let [a, b, c] = &hashes;
        assert_eq!(sum(&[a, b, c]), sum(&[c, a, b]));
        assert_ne!(sum(&[a, a]), sum(&[b, b]));
        assert_ne!(sum(&[a, a, b]), sum(&[a, b]));
        assert_ne!(sum(&[a, a]), sum(&[]));
    }
}
