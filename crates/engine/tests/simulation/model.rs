//! What the source goes through, and so what destinations must show in the end.

use std::collections::BTreeMap;

use tidemark_engine::change::Op;

use crate::world::Seeded;

/// One change: what happened to which key, and a number that no other change has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) op: Op,
    pub(crate) key: i64,
    pub(crate) serial: i64,
}

pub(crate) type Transaction = Vec<Change>;

/// The source's history: transactions of two parts that are read side by side, each of one stream.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) parts: BTreeMap<&'static str, Vec<Transaction>>,
}

impl Model {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Seeded::new(seed);
        let mut serial = 0;
        let mut part = |transactions: u64| {
            let mut alive = BTreeMap::new();
            let mut transaction = |_| {
                // Most are small; some are so large that they go to segments.
                let size = if random.below(5) == 0 { 700 } else { 1 + random.below(4) };
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
                    Change { op, key, serial }
                };
                (0..size).map(|_| change()).collect()
            };
            (0..transactions).map(&mut transaction).collect::<Vec<_>>()
        };
        Self { parts: BTreeMap::from([("orders", part(12)), ("customers", part(8))]) }
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
            for Change { op, key, serial } in self.changes(part) {
                match op {
                    Op::Delete => expected.remove(&key),
                    _ => expected.insert(key, serial),
                };
            }
            assert_eq!(mirrored.get(*part), Some(&expected), "`{part}` does not look like the source");
        }
    }
}
