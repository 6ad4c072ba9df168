//! What a log comes to, one change after another.

use std::collections::BTreeMap;

use tidemark_engine::{
    change::{Cell, ChangeBatch, Op, Value},
    read::Phase,
    write::Delivery,
};

/// Records as text: by key, by column. NULL and missing are both not there.
pub(super) type Image = BTreeMap<String, BTreeMap<String, String>>;

/// A destination in memory, which looks at every change.
#[derive(Debug, Default)]
pub(super) struct Fold {
    pub(super) image: Image,
    pub(super) changes: usize,
    is_sparse: bool,
    has_changes: bool,
}

impl Fold {
    /// Of everything in `staged`, by these columns.
    pub(super) fn of(staged: &[Delivery], key: &[&str]) -> Self {
        let mut fold = Self::default();
        fold.add(staged, key);
        fold
    }

    /// Of changes that may bring less than the whole record, or the same again.
    pub(super) fn of_sparse(staged: &[Delivery], key: &[&str]) -> Self {
        let mut fold = Self { is_sparse: true, ..Self::default() };
        fold.add(staged, key);
        fold
    }

    fn add(&mut self, staged: &[Delivery], key: &[&str]) {
        for delivery in staged {
            for row in 0..delivery.changes.rows() {
                self.change(&delivery.changes, row, delivery.phase, key);
            }
        }
    }

    fn change(&mut self, batch: &ChangeBatch, row: usize, phase: Phase, key: &[&str]) {
        self.changes += 1;
        let op = batch.op(row).unwrap();
        if op == Op::Truncate {
            self.image.clear();
            self.has_changes = false;
            return;
        }
        let told = told(batch, row);
        let of_key: Vec<String> = key.iter().map(|name| told[*name].clone().expect("a key")).collect();
        let of_key = of_key.join("|");
        let before = self.image.get(&of_key).cloned();
        match op {
            Op::Read | Op::Create => {
                assert_eq!(op == Op::Read, phase == Phase::InitialSync, "{of_key}");
                assert!(
                    op == Op::Create || !self.has_changes,
                    "records are read before anything has changed"
                );
                assert!(before.is_none() || self.is_sparse, "{of_key} is created twice");
                let values = told.into_iter().filter_map(|(name, cell)| Some((name, cell?)));
                self.image.insert(of_key, values.collect());
            }
            Op::Update => {
                let mut after = before.clone().unwrap_or_else(|| panic!("{of_key} is updated and not there"));
                for (name, cell) in told {
                    match cell {
                        Some(text) => _ = after.insert(name, text),
                        None => _ = after.remove(&name),
                    }
                }
                assert!(
                    Some(&after) != before.as_ref() || self.is_sparse,
                    "{of_key} is updated to what it was"
                );
                self.image.insert(of_key, after);
            }
            Op::Delete => {
                assert!(self.image.remove(&of_key).is_some(), "{of_key} is deleted and not there");
                assert!(told.keys().all(|name| key.contains(&name.as_str())), "a delete knows the key alone");
            }
            Op::Truncate => {}
        }
        self.has_changes |= phase == Phase::Changes;
    }
}

/// Records of which each is a change of its own, and how often each comes.
pub(super) fn records(staged: &[Delivery]) -> BTreeMap<BTreeMap<String, String>, usize> {
    let mut records = BTreeMap::new();
    for Delivery { changes, .. } in staged {
        for row in 0..changes.rows() {
            let told = told(changes, row).into_iter().filter_map(|(name, cell)| Some((name, cell?)));
            *records.entry(told.collect()).or_default() += 1;
        }
    }
    records
}

/// What a change says of each column; `None`: NULL.
fn told(batch: &ChangeBatch, row: usize) -> BTreeMap<String, Option<String>> {
    let mut told = BTreeMap::new();
    for (index, field) in batch.schema().fields().iter().enumerate() {
        let cell = match batch.column(index).cell(row) {
            Cell::Unchanged => continue,
            Cell::Null => None,
            // A column that has come to hold fractions tells 19 as 19.0.
            Cell::Value(Value::Float64(value)) => Some(value.to_string()),
            Cell::Value(value) => Some(value.to_string()),
            Cell::Exception(text) => Some(text.to_owned()),
        };
        told.insert(field.name.clone(), cell);
    }
    told
}
