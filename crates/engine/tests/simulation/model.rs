//! What the source goes through, and so what destinations must show in the end.

use std::collections::BTreeMap;

use tidemark_engine::change::Op;

use crate::{table::Table, world::Seeded};

/// One change: what happened to which key, and a number that no other change has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) op: Op,
    pub(crate) key: i64,
    /// The key before, where it changed.
    pub(crate) old_key: Option<i64>,
    pub(crate) serial: i64,
}

pub(crate) type Transaction = Vec<Change>;

/// The source's history: transactions of two parts that are read side by side, each of one stream.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) parts: BTreeMap<&'static str, Vec<Transaction>>,
    /// A table that is read in chunks while it changes.
    pub(crate) accounts: Table,
}

impl Model {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Seeded::new(seed);
        let mut serial = 0;
        let mut part = |transactions: u64| {
            let mut alive = BTreeMap::new();
            let mut transaction = |_| {
                // Most are small; some are so large that they go to segments.
                let size = if random.below(5) == 0 { 250 } else { 1 + random.below(4) };
                let mut change = || {
                    serial += 1;
                    let key = i64::try_from(random.below(50)).expect("it is small");
                    let op = match alive.remove(&key) {
                        None => Op::Create,
                        Some(()) if random.below(3) == 0 => Op::Delete,
                        Some(()) => Op::Update,
                    };
                    if op != Op::Delete {
                        alive.insert(key, ());
                    }
                    Change { op, key, old_key: None, serial }
                };
                (0..size).map(|_| change()).collect()
            };
            (0..transactions).map(&mut transaction).collect::<Vec<_>>()
        };
        let parts = BTreeMap::from([("orders", part(12)), ("customers", part(8))]);
        Self { parts, accounts: Table::new(&mut random) }
    }

    fn changes(&self, part: &str) -> impl Iterator<Item = Change> {
        self.parts[part].iter().flatten().copied()
    }

    /// Every change once, each part in its order.
    pub(crate) fn check_appended(&self, appended: &BTreeMap<String, Vec<Change>>) {
        for part in self.parts.keys() {
            let expected: Vec<_> = self.changes(part).collect();
            let found = appended.get(*part).cloned().unwrap_or_default();
            assert_eq!(found.len(), expected.len(), "changes of `{part}` are lost or doubled");
            assert_eq!(found, expected, "changes of `{part}` are out of order");
        }
    }

    /// What the source looks like after its last transaction.
    pub(crate) fn check_mirrored(&self, mirrored: &BTreeMap<String, BTreeMap<i64, i64>>) {
        for part in self.parts.keys() {
            let mut expected = BTreeMap::new();
            for Change { op, key, serial, .. } in self.changes(part) {
                match op {
                    Op::Delete => expected.remove(&key),
                    _ => expected.insert(key, serial),
                };
            }
            assert_eq!(mirrored.get(*part), Some(&expected), "`{part}` does not look like the source");
        }
    }

    /// What has been appended so far is the beginning of what there is, whole transactions. Returns how many of each part.
    pub(crate) fn check_begun(
        &self,
        appended: &BTreeMap<String, Vec<Change>>,
    ) -> BTreeMap<&'static str, usize> {
        let begun = |part: &'static str| {
            let found = appended.get(part).map_or(&[][..], Vec::as_slice);
            let all: Vec<_> = self.changes(part).collect();
            assert!(all.starts_with(found), "changes of `{part}` are lost, doubled or out of order");
            (part, self.number_of(part, found.len()))
        };
        self.parts.keys().copied().map(begun).collect()
    }

    /// What has been appended from some moment on is the end of what there is, whole transactions. Returns how many were before it.
    pub(crate) fn check_rest(
        &self,
        appended: &BTreeMap<String, Vec<Change>>,
    ) -> BTreeMap<&'static str, usize> {
        let rest = |part: &'static str| {
            let found = appended.get(part).map_or(&[][..], Vec::as_slice);
            let all: Vec<_> = self.changes(part).collect();
            assert!(all.ends_with(found), "changes of `{part}` are lost, doubled or out of order");
            (part, self.number_of(part, all.len() - found.len()))
        };
        self.parts.keys().copied().map(rest).collect()
    }

    /// How many transactions of `part` have so many changes.
    fn number_of(&self, part: &str, changes: usize) -> usize {
        let ends = self.parts[part].iter().scan(0, |end, transaction| {
            *end += transaction.len();
            Some(*end)
        });
        let number = std::iter::once(0).chain(ends).position(|end| end == changes);
        number.expect("a transaction is there as a whole")
    }

    /// What has been mirrored is what the source looked like after a transaction. Returns which these may be, of each part.
    pub(crate) fn check_state(
        &self,
        mirrored: &BTreeMap<String, BTreeMap<i64, i64>>,
    ) -> BTreeMap<&'static str, Vec<usize>> {
        let state = |part: &'static str| {
            let found = mirrored.get(part).cloned().unwrap_or_default();
            let mut state = BTreeMap::new();
            let mut numbers = Vec::from_iter(found.is_empty().then_some(0));
            for (number, transaction) in self.parts[part].iter().enumerate() {
                for Change { op, key, serial, .. } in transaction {
                    match op {
                        Op::Delete => state.remove(key),
                        _ => state.insert(*key, *serial),
                    };
                }
                numbers.extend((state == found).then_some(number + 1));
            }
            assert!(!numbers.is_empty(), "`{part}` never looked like this: {found:?}");
            (part, numbers)
        };
        self.parts.keys().copied().map(state).collect()
    }

    /// What came since the last initial sync began is the table, and every change of it fits upon the one before.
    pub(crate) fn check_appended_accounts(&self, appended: &BTreeMap<String, Vec<Change>>) {
        let appended = appended.get("accounts").map_or(&[][..], Vec::as_slice);
        let begin =
            appended.iter().rposition(|change| change.op == Op::Truncate).map_or(0, |begin| begin + 1);
        let mut found = BTreeMap::new();
        for Change { op, key, old_key, serial } in &appended[begin..] {
            let there = found.remove(&old_key.unwrap_or(*key));
            assert_eq!(there.is_some(), matches!(op, Op::Update | Op::Delete), "a {op:?} that does not fit");
            if *op != Op::Delete {
                assert_eq!(found.insert(*key, *serial), None, "a key is free before a record takes it");
            }
        }
        assert_eq!(&found, self.accounts.at(self.accounts.last()), "`accounts` is not the table");
    }

    pub(crate) fn check_mirrored_accounts(&self, mirrored: &BTreeMap<String, BTreeMap<i64, i64>>) {
        let expected = self.accounts.at(self.accounts.last());
        let found = mirrored.get("accounts").cloned().unwrap_or_default();
        assert_eq!(&found, expected, "`accounts` does not look like the source");
    }
}
