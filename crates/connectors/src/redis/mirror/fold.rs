//! What the changes of a unit come to, stream by stream: the last image of each record.
//!
//! A source may check its keys at the end of a transaction: a record may move to a key that another still has. The one that was
//! there first is set aside until its own change comes, which is in the same transaction.

use std::collections::{HashMap, HashSet};

use tidemark_engine::Result;

use super::{
    incoming::{Deed, Incoming},
    record::Record,
};

/// What the changes of one stream come to.
#[derive(Debug, Default)]
pub(super) struct Fold {
    records: HashMap<String, Standing>,
    /// Records whose keys others have taken, by those keys.
    aside: HashMap<String, Record>,
    /// Whether all that stood there before the unit goes.
    pub(super) empties: bool,
    /// The newest commit that changes were played with.
    pub(super) seen: u64,
}

/// What stands under a key.
#[derive(Debug)]
struct Standing {
    /// `None`: nothing.
    record: Option<Record>,
    /// Whether that is of this unit, and Redis has something else.
    is_news: bool,
}

impl Fold {
    /// The keys of which `changes` need to know what stands there, and this does not know it.
    pub(super) fn unknown(&self, changes: &Incoming<'_>) -> Result<HashSet<String>> {
        let mut unknown = HashSet::new();
        let mut empties = self.empties;
        for row in 0..changes.rows() {
            match changes.deed(row)? {
                Deed::Truncate => empties = true,
                _ if empties => {}
                Deed::Update(key) if changes.is_partial(row) => drop(unknown.insert(key)),
                Deed::Move(from, to) => {
                    unknown.insert(from);
                    unknown.insert(to);
                }
                Deed::Update(_) | Deed::Delete(_) | Deed::Put(_) => {}
            }
        }
        unknown.retain(|key| !self.records.contains_key(key));
        Ok(unknown)
    }

    /// Notes what stands under `key` before the unit.
    pub(super) fn learn(&mut self, key: String, record: Option<Record>) {
        self.records.insert(key, Standing { record, is_news: false });
    }

    /// Applies the change in `row`. Where changes are `replayed`, a record that one of them leaves as it is may be gone, because a
    /// later change removes it.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Data`] when it leaves columns as they are in a record that is not there.
    pub(super) fn apply(
        &mut self,
        changes: &Incoming<'_>,
        row: usize,
        replayed: bool,
    ) -> Result<Option<&Record>> {
        let key = match changes.deed(row)? {
            Deed::Truncate => {
                self.records.clear();
                self.aside.clear();
                self.empties = true;
                return Ok(None);
            }
            Deed::Delete(key) => {
                if self.aside.remove(&key).is_none() {
                    self.set(key, None);
                }
                return Ok(None);
            }
            Deed::Put(key) => {
                self.set(key.clone(), Some(changes.record(row, None)));
                key
            }
            Deed::Update(key) => {
                let base = self.records.get(&key).and_then(|it| it.record.as_ref());
                match self.updated(changes, row, base, replayed)? {
                    Some(record) => drop(self.set(key.clone(), Some(record))),
                    None => return Ok(None),
                }
                key
            }
            Deed::Move(from, to) => {
                let aside = self.aside.remove(&from);
                let was_aside = aside.is_some();
                let former = aside.or_else(|| self.records.get(&from).and_then(|it| it.record.clone()));
                // In a replay it may stand under its new key already.
                let there = self.records.get(&to).and_then(|it| it.record.as_ref()).filter(|_| replayed);
                let record = self.updated(changes, row, former.as_ref().or(there), replayed)?;
                if !was_aside {
                    self.set(from, None);
                }
                let Some(record) = record else { return Ok(None) };
                let displaced = self.set(to.clone(), Some(record));
                if let Some(displaced) = displaced.filter(|_| former.is_some()) {
                    self.aside.insert(to.clone(), displaced);
                }
                to
            }
        };
        Ok(self.records.get(&key).and_then(|it| it.record.as_ref()))
    }

    /// The record that the update in `row` makes of `base`; `None` where there is nothing to update in a replay.
    fn updated(
        &self,
        changes: &Incoming<'_>,
        row: usize,
        base: Option<&Record>,
        replayed: bool,
    ) -> Result<Option<Record>> {
        match (base, changes.is_partial(row)) {
            (None, true) if replayed => Ok(None),
            (None, true) => Err(changes.nothing_to_update()),
            (base, _) => Ok(Some(changes.record(row, base))),
        }
    }

    /// Puts `record` under `key`, and tells what was there.
    fn set(&mut self, key: String, record: Option<Record>) -> Option<Record> {
        self.records.insert(key, Standing { record, is_news: true })?.record
    }

    /// What is to stand under each key that the unit changes: in any order, for each is there once.
    pub(super) fn into_news(self) -> impl Iterator<Item = (String, Option<Record>)> {
        let news = self.records.into_iter().filter(|(_, standing)| standing.is_news);
        news.map(|(key, standing)| (key, standing.record))
    }
}
