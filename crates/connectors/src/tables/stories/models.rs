//! What tables hold when a story has been told: simple models in memory.

use std::collections::BTreeMap;

use tidemark_engine::{Time, change::Op, read::Phase, write::WriteMode};

use super::{
    changes::{Change, Said, text},
    source::Staged,
};

pub(crate) type Row = Vec<Option<String>>;

/// What a table holds, row by row.
pub(crate) trait Model: Default {
    const MODE: WriteMode;
    fn apply(&mut self, staged: &Staged);
    fn rows(&self) -> Vec<Row>;
    fn columns() -> &'static str;
}

/// What of a row the change says, over what it was. What a change does not name stays only where `keeps`.
fn image(values: &[Said], before: Option<&Row>) -> Row {
    let cell = |index: usize| match values.get(index) {
        Some(Said::Text(text)) => Some(text.clone()),
        Some(Said::Null) => None,
        Some(Said::Unchanged) | None => before.and_then(|before| before[index].clone()),
    };
    (0..4).map(cell).collect()
}

fn key(change: &Change) -> i64 {
    match &change.values[0] {
        Said::Text(text) => text.parse().unwrap(),
        other => panic!("{other:?} is no key"),
    }
}

fn is_move(change: &Change) -> bool {
    change.op == Op::Update && change.old_key.is_some_and(|old| change.values[0] != text(old))
}

/// The last image of every record, of deleted ones too where it `KEEPS` them.
#[derive(Default)]
pub(crate) struct Images<const KEEPS: bool> {
    rows: BTreeMap<i64, (Row, Option<Time>)>,
}

impl<const KEEPS: bool> Model for Images<KEEPS> {
    const MODE: WriteMode = if KEEPS { WriteMode::SoftDelete } else { WriteMode::Mirror };

    fn columns() -> &'static str {
        if KEEPS { "_tidemark_deleted_at" } else { "NULL" }
    }

    fn apply(&mut self, staged: &Staged) {
        // Rows that another has displaced, until the end of the transaction.
        let mut displaced: Vec<(i64, Row)> = Vec::new();
        for change in &staged.changes {
            if change.op == Op::Truncate {
                match staged.phase {
                    Phase::InitialSync => self.rows.clear(),
                    Phase::Changes => {
                        self.rows.values_mut().for_each(|(_, at)| *at = at.or(Some(staged.time)));
                    }
                }
                displaced.clear();
                continue;
            }
            if !KEEPS {
                self.rows.retain(|_, (_, at)| at.is_none());
            }
            let key = key(change);
            let waiting = |key: i64| displaced.iter().position(|(at, _)| *at == key);
            match change.op {
                Op::Delete => match waiting(key) {
                    Some(index) => drop(displaced.remove(index)),
                    None => {
                        if let Some((row, at @ None)) = self.rows.get_mut(&key) {
                            (*row, *at) = (image(&change.values, Some(row)), Some(staged.time));
                        }
                    }
                },
                Op::Update if is_move(change) => {
                    let old = change.old_key.unwrap();
                    let before = match waiting(old) {
                        Some(index) => displaced.remove(index).1,
                        None => self.rows.remove(&old).unwrap().0,
                    };
                    if let Some((row, None)) = self.rows.remove(&key) {
                        displaced.push((key, row));
                    }
                    self.rows.insert(key, (image(&change.values, Some(&before)), None));
                }
                _ => {
                    // What is not among the stream's columns any more is nobody's.
                    let before = self.rows.get(&key).map(|(row, _)| row.clone());
                    self.rows.insert(key, (image(&change.values, before.as_ref()), None));
                }
            }
        }
        assert!(displaced.is_empty(), "the source checks its keys at the end of a transaction");
    }

    fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = self
            .rows
            .values()
            .filter(|(_, at)| KEEPS || at.is_none())
            .map(|(row, at)| [vec![at.map(|at| at.to_string())], row.clone()].concat())
            .collect();
        rows.sort();
        rows
    }
}

struct Version {
    position: String,
    from: Time,
    to: Option<Time>,
    row: Row,
}

/// Every version of every record.
#[derive(Default)]
pub(crate) struct Versions {
    all: Vec<Version>,
    /// The valid version of each key.
    valid: BTreeMap<i64, usize>,
    /// When the last version of each key ended.
    ended: BTreeMap<i64, Time>,
}

impl Versions {
    fn end(&mut self, key: i64, at: Time) -> Option<usize> {
        let version = self.valid.remove(&key)?;
        self.all[version].to = Some(at);
        self.ended.insert(key, at);
        Some(version)
    }

    /// The earliest time at which a version under `key` may begin.
    fn earliest(&self, key: i64, time: Time) -> Time {
        let valid = self.valid.get(&key).map(|&version| self.all[version].from);
        [Some(time), valid, self.ended.get(&key).copied()].into_iter().flatten().max().unwrap()
    }

    fn begin(&mut self, key: i64, position: String, from: Time, row: Row) {
        self.valid.insert(key, self.all.len());
        self.all.push(Version { position, from, to: None, row });
    }
}

impl Model for Versions {
    const MODE: WriteMode = WriteMode::History;

    fn columns() -> &'static str {
        "_tidemark_position, _tidemark_valid_from, _tidemark_valid_to"
    }

    fn apply(&mut self, staged: &Staged) {
        let mut displaced: Vec<(i64, usize)> = Vec::new();
        for (change, ordinal) in staged.changes.iter().zip(staged.first..) {
            let position = format!("testlog00000-{:012}-{ordinal:09}", staged.sequence);
            if change.op == Op::Truncate {
                if staged.phase == Phase::InitialSync {
                    *self = Self::default();
                }
                let all = self.valid.keys().copied().collect::<Vec<_>>();
                for key in all {
                    let at = self.earliest(key, staged.time);
                    self.end(key, at);
                }
                displaced.clear();
                continue;
            }
            let key = key(change);
            let waiting = |key: i64| displaced.iter().position(|(at, _)| *at == key);
            // What the stream has no column for any more is not part of the version.
            let width = change.values.len();
            let kept = |values: &[Said], before: Option<&Row>| {
                let row = image(values, before).into_iter().enumerate();
                row.map(|(index, cell)| cell.filter(|_| index < width)).collect::<Row>()
            };
            match change.op {
                Op::Delete => match waiting(key) {
                    Some(index) => drop(displaced.remove(index)),
                    None => {
                        let at = self.earliest(key, staged.time);
                        self.end(key, at);
                    }
                },
                Op::Update if is_move(change) => {
                    let old = change.old_key.unwrap();
                    let (before, from) = match waiting(old) {
                        Some(index) => {
                            let version = displaced.remove(index).1;
                            (version, self.all[version].to.unwrap())
                        }
                        None => {
                            let version = self.valid[&old];
                            (version, self.all[version].from)
                        }
                    };
                    let at = self.earliest(key, staged.time).max(from);
                    if let Some(version) = self.end(key, at) {
                        displaced.push((key, version));
                    }
                    if self.all[before].to.is_none() {
                        self.end(old, at);
                    }
                    let row = kept(&change.values, Some(&self.all[before].row));
                    self.begin(key, position, at, row);
                }
                _ => {
                    let at = self.earliest(key, staged.time);
                    let before = self.end(key, at);
                    let before = before.filter(|_| change.op == Op::Update);
                    let row = kept(&change.values, before.map(|version| &self.all[version].row));
                    self.begin(key, position, at, row);
                }
            }
        }
    }

    fn rows(&self) -> Vec<Row> {
        let rows = self.all.iter().map(|version| {
            let Version { position, from, to, row } = version;
            let head = vec![Some(position.clone()), Some(from.to_string()), to.map(|to| to.to_string())];
            [head, row.clone()].concat()
        });
        let mut rows: Vec<Row> = rows.collect();
        rows.sort();
        rows
    }
}
