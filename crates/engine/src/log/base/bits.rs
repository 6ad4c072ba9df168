//! A set of changes, by their number.

/// One bit a change. What was never set is not in it.
#[derive(Debug, Default)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    pub(super) fn contains(&self, index: u64) -> bool {
        let (word, bit) = place(index);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Adds `index`; tells whether it was not there.
    pub(super) fn insert(&mut self, index: u64) -> bool {
        let (word, bit) = place(index);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        let is_new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        is_new
    }

    pub(super) fn remove(&mut self, index: u64) {
        let (word, bit) = place(index);
        if let Some(word) = self.0.get_mut(word) {
            *word &= !bit;
        }
    }
}

/// The word of an index, and its bit there.
fn place(index: u64) -> (usize, u64) {
    ((index / 64) as usize, 1 << (index % 64))
}
