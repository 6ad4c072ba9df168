//! Which entries of a part have been seen.

use std::collections::HashMap;

/// One bit for each entry of a part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Marks {
    words: Vec<u64>,
    set: u64,
}

/// The marks of all parts, by the names of their objects. A part without has none set.
pub(super) type Marked = HashMap<String, Marks>;

impl Marks {
    /// Marks the entry with this number.
    pub(super) fn set(&mut self, entry: usize) {
        let (word, bit) = (entry / 64, 1 << (entry % 64));
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        self.set += u64::from(self.words[word] & bit == 0);
        self.words[word] |= bit;
    }

    pub(super) fn is_set(&self, entry: usize) -> bool {
        self.words.get(entry / 64).is_some_and(|word| word >> (entry % 64) & 1 == 1)
    }

    /// How many are marked.
    pub(super) fn count(&self) -> u64 {
        self.set
    }
}
