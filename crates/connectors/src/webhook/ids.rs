//! The ids of the messages that were taken last, by which one that is sent again is known.

use std::collections::{HashSet, VecDeque};

/// So many ids may stand in the cursor, which every commit repeats, before they are set aside with the older ones.
const AT_HAND: usize = 512;

/// A message's id: the first 8 bytes of its BLAKE3 hash. That a message has the id of another among a hundred thousand is as likely as
/// one in 10¹⁴.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Id([u8; 8]);

impl Id {
    /// What `text` is known by.
    pub(super) fn of(text: &[u8]) -> Self {
        let mut id = [0; 8];
        id.copy_from_slice(&blake3::hash(text).as_bytes()[..8]);
        Self(id)
    }
}

/// The latest ids of a stream, up to a number: those at hand, and the older ones that were set aside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RecentIds {
    /// In the order in which they came.
    order: VecDeque<Id>,
    known: HashSet<Id>,
    /// How many of them, the latest, are at hand.
    at_hand: usize,
}

impl RecentIds {
    /// Those that were set `aside`, and then those `at_hand`; `None` when one is cut off.
    pub(super) fn read(aside: &[u8], at_hand: &[u8]) -> Option<Self> {
        let ((older, []), (latest, [])) = (aside.as_chunks::<8>(), at_hand.as_chunks::<8>()) else {
            return None;
        };
        let order: VecDeque<Id> = older.iter().chain(latest).copied().map(Id).collect();
        let known = order.iter().copied().collect();
        Some(Self { order, known, at_hand: latest.len() })
    }

    pub(super) fn contains(&self, id: Id) -> bool {
        self.known.contains(&id)
    }

    /// Adds an id, and forgets the oldest ones beyond `most`.
    pub(super) fn add(&mut self, id: Id, most: usize) {
        if self.known.insert(id) {
            self.order.push_back(id);
            self.at_hand += 1;
        }
        while self.order.len() > most {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
        self.at_hand = self.at_hand.min(self.order.len());
    }

    /// Whether those at hand should be set aside.
    pub(super) fn are_many(&self) -> bool {
        self.at_hand >= AT_HAND
    }

    /// All of them as bytes.
    pub(super) fn all(&self) -> Vec<u8> {
        self.order.iter().flat_map(|id| id.0).collect()
    }

    /// Those at hand as bytes.
    pub(super) fn at_hand(&self) -> Vec<u8> {
        self.order.iter().skip(self.order.len() - self.at_hand).flat_map(|id| id.0).collect()
    }

    /// Notes that all of them have been set aside.
    pub(super) fn set_aside(&mut self) {
        self.at_hand = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> Id {
        Id::of(&number.to_le_bytes())
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let mut ids = RecentIds::default();
        for number in [1, 2, 2, 3, 4] {
            ids.add(id(number), 3);
        }
        assert_eq!([1, 2, 3, 4].map(|number| ids.contains(id(number))), [false, true, true, true]);
        assert_eq!((ids.at_hand().len(), ids.all().len()), (24, 24));
    }

    #[test]
    fn what_is_set_aside_and_what_is_at_hand_are_together_what_there_was() {
        let (mut ids, mut aside) = (RecentIds::default(), Vec::new());
        for number in 0..3 * AT_HAND {
            ids.add(id(number), 2 * AT_HAND);
            if ids.are_many() {
                aside = ids.all();
                ids.set_aside();
            }
            if number % 100 == 0 {
                let read = RecentIds::read(&aside, &ids.at_hand()).unwrap();
                // Of what was set aside, some may have been forgotten since.
                assert!(
                    (0..=number).all(|known| !ids.contains(id(known)) || read.contains(id(known))),
                    "{number}"
                );
            }
        }
        assert_eq!(RecentIds::read(&aside, &ids.at_hand()).unwrap(), ids);
        assert!(!ids.contains(id(AT_HAND - 1)) && ids.contains(id(AT_HAND)));
        assert_eq!(RecentIds::read(&[0; 7], &[]), None);
    }
}
