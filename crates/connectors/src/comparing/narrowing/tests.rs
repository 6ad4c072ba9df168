//! Every planted difference is found, and nothing else.

use std::collections::BTreeMap;

use async_trait::async_trait;
use proptest::prelude::*;

use super::*;
use crate::comparing::{Hash, RowHasher, Seen};

/// A table of whole numbers in memory.
#[derive(Debug, Clone, Default)]
struct Memory {
    rows: BTreeMap<i64, String>,
    /// How often it was read.
    calls: usize,
}

fn hash(text: &str) -> Hash {
    let mut hasher = RowHasher::default();
    hasher.add(Some(text));
    hasher.finish()
}

impl Memory {
    fn of(rows: &BTreeMap<i64, String>) -> Self {
        Self { rows: rows.clone(), calls: 0 }
    }

    fn part(&self, part: &Part) -> impl Iterator<Item = (i64, Hash, Hash)> {
        let bound = |text: &Option<String>| text.as_ref().map(|text| text.parse::<i64>().unwrap());
        let (from, until) = (bound(&part.from), bound(&part.until));
        self.rows
            .iter()
            .filter(move |(key, _)| from.is_none_or(|from| **key >= from))
            .filter(move |(key, _)| until.is_none_or(|until| **key < until))
            .map(|(key, value)| (*key, hash(&key.to_string()), hash(&format!("{key} {value}"))))
            .filter(|(_, key, _)| key.starts_with(&part.prefix))
    }
}

#[async_trait]
impl Side for Memory {
    async fn sums(&mut self, part: &Part) -> Result<Sums> {
        self.calls += 1;
        let mut sums = Sums::new();
        for (_, key, row) in self.part(part) {
            sums.entry(key[part.prefix.len()]).or_default().add(&row);
        }
        Ok(sums)
    }

    async fn rows(&mut self, part: &Part, bytes: &[u8]) -> Result<Vec<Row>> {
        self.calls += 1;
        let rows = self.part(part).filter(|(_, key, _)| bytes.contains(&key[part.prefix.len()]));
        Ok(rows.map(|(key, _, hash)| Row { key: vec![Some(key.to_string())], hash }).collect())
    }

    async fn look(&mut self, _keys: &[Key], _closely: bool) -> Result<Vec<Seen>> {
        unreachable!("narrowing looks at parts alone")
    }
}

/// Nothing is waited for in memory.
fn wait_for<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// The keys that are found to differ, the rows that were compared and those that were fetched.
fn narrowed(a: &mut Memory, b: &mut Memory, bounds: &[i64], limits: Limits) -> (Vec<i64>, u64, u64) {
    let parts = Part::ranges(bounds.iter().map(ToString::to_string).collect());
    let mut narrowing = Narrowing::new(parts, limits);
    let mut found = Vec::new();
    loop {
        let keys = wait_for(narrowing.next(a, b)).unwrap();
        if keys.is_empty() {
            break;
        }
        found.extend(keys.iter().map(|key| key[0].as_ref().unwrap().parse::<i64>().unwrap()));
    }
    assert!(narrowing.is_done());
    found.sort_unstable();
    (found, narrowing.rows, narrowing.fetched)
}

proptest! {
    #[test]
    fn every_difference_is_found_and_nothing_else(
        rows in prop::collection::btree_map(-2_000i64..2_000, "[a-c]{0,2}", 0..600),
        other in prop::collection::btree_map(-2_000i64..2_000, prop::option::of("[a-c]{0,2}"), 0..40),
        bounds in prop::collection::btree_set(-2_000i64..2_000, 0..6),
        small in 0u64..50,
        fetch in 0u64..200,
    ) {
        let mut changed = rows.clone();
        for (key, value) in other {
            match value {
                Some(value) => drop(changed.insert(key, value)),
                None => drop(changed.remove(&key)),
            }
        }
        let keys = rows.keys().chain(changed.keys()).copied().collect::<std::collections::BTreeSet<_>>();
        let expected: Vec<_> = keys.into_iter().filter(|key| rows.get(key) != changed.get(key)).collect();
        let bounds: Vec<_> = bounds.into_iter().collect();
        let limits = Limits { small, fetch };
        let (found, compared, _) = narrowed(&mut Memory::of(&rows), &mut Memory::of(&changed), &bounds, limits);
        prop_assert_eq!(found, expected);
        prop_assert_eq!(compared, rows.len() as u64);
    }
}

#[test]
fn few_rows_are_fetched_for_few_differences() {
    let rows: BTreeMap<_, _> = (0..200_000).map(|key| (key, "a".to_owned())).collect();
    let mut changed = rows.clone();
    changed.insert(77_777, "b".to_owned());
    changed.remove(&5);
    let limits = Limits { small: 500, ..Limits::default() };
    let (mut a, mut b) = (Memory::of(&rows), Memory::of(&changed));
    let (found, compared, fetched) = narrowed(&mut a, &mut b, &[100_000], limits);
    assert_eq!((found, compared), (vec![5, 77_777], 200_000));
    // Two children of 400 rows, from both sides.
    assert!(fetched < 2_000, "{fetched}");
    assert!(a.calls <= 4, "{}", a.calls);
}

#[test]
fn equal_tables_are_read_once() {
    let rows: BTreeMap<_, _> = (0..1_000).map(|key| (key, "a".to_owned())).collect();
    let (mut a, mut b) = (Memory::of(&rows), Memory::of(&rows));
    assert_eq!(narrowed(&mut a, &mut b, &[], Limits::default()), (vec![], 1_000, 0));
    assert_eq!((a.calls, b.calls), (1, 1));
}
