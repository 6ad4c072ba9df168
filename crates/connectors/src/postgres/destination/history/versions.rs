//! Many changes of one table become versions that follow upon one another.
//!
//! Of each key it says what the batch needs to find in the table: the version that is valid, which the first change of the key
//! closes, or none. A version begins no earlier than the one it follows upon: within the batch that is reckoned here, and when
//! the one in the table began the table alone knows.

use std::collections::HashMap;

use tidemark_engine::{
    Result, Time,
    change::{Cell, Op},
    write::Delivery,
};

use crate::tables::{Key, Keys, View};

/// Versions to be made of a batch.
pub(super) struct Versions<'a> {
    views: Vec<View<'a>>,
    entries: Vec<Entry>,
    list: Vec<Version>,
}

/// A key, and what it has to find in the table.
struct Entry {
    named: Named,
    wants: Wants,
}

/// What is valid under a key in the table when the batch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wants {
    /// Nothing: a record moves there.
    Nothing,
    /// If there is a version, it ends at this time.
    Perhaps(Time),
    /// There is a version, which ends at this time, and of which something goes on.
    Version(Time),
}

/// A change that has a key, before or after.
#[derive(Clone, Copy)]
struct Named {
    at: At,
    before: bool,
}

/// A change: a delivery and a row of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At {
    pub(super) delivery: usize,
    pub(super) row: usize,
}

/// What a change makes of a record.
pub(super) struct Version {
    /// The change.
    pub(super) at: At,
    /// When it begins, and when it ends: neither before the version under `base` began.
    pub(super) since: Time,
    pub(super) until: Option<Time>,
    /// The key whose version in the table it goes back to.
    pub(super) base: Option<usize>,
    cells: Cells,
}

/// For each column the change that gave it last.
#[derive(Clone)]
enum Cells {
    /// One change gave them all.
    All(At),
    /// `None` where the column is as in the version under `base`.
    Each(Vec<Option<At>>),
}

/// What a new version follows upon.
struct Former {
    until: Time,
    base: Option<usize>,
    /// `None`: those of the version under `base`.
    cells: Option<Cells>,
}

/// Makes versions of changes in source order. `None` when they cannot be told apart this way (a record displaces another, or
/// one is changed that is not there): then each is to be written by itself.
pub(super) fn versions(deliveries: &[Delivery]) -> Result<Option<Versions<'_>>> {
    let views = deliveries.iter().map(|delivery| View::new(&delivery.changes)).collect::<Vec<_>>();
    let mut batch = Batch { valid: HashMap::new(), entries: Vec::new(), list: Vec::new() };
    for (number, (view, delivery)) in views.iter().zip(deliveries).enumerate() {
        for row in 0..view.rows() {
            if !batch.change(view, At { delivery: number, row }, delivery.watermark(row)?)? {
                return Ok(None);
            }
        }
    }
    let Batch { entries, list, .. } = batch;
    Ok(Some(Versions { views, entries, list }))
}

struct Batch {
    /// The version that is valid under each key after the changes so far.
    valid: HashMap<Key, Option<usize>>,
    entries: Vec<Entry>,
    list: Vec<Version>,
}

impl Batch {
    /// Takes one more change; `false` when it cannot.
    fn change(&mut self, view: &View<'_>, at: At, time: Time) -> Result<bool> {
        let op = view.op(at.row)?;
        if op == Op::Truncate {
            return Ok(false);
        }
        let Keys { new, old } = view.keys(at.row)?;
        let is_partial = op == Op::Update && view.is_partial(at.row);
        let (left, before) = old.map_or((new.clone(), false), |old| (old, true));
        let needs_former = is_partial || before;
        let wants = if needs_former { Wants::Version(time) } else { Wants::Perhaps(time) };
        let former = self.close(left, Named { at, before }, wants, time);
        if op == Op::Delete {
            return Ok(true);
        }
        if former.is_none() && needs_former {
            return Ok(false);
        }
        if before {
            match self.valid.get(&new) {
                Some(Some(_)) => return Ok(false),
                Some(None) => {}
                None => {
                    self.entries.push(Entry { named: Named { at, before: false }, wants: Wants::Nothing })
                }
            }
        }
        let cells = match former.as_ref().map(|former| &former.cells) {
            Some(cells) if is_partial => Cells::overlaid(cells.as_ref(), view, at),
            _ => Cells::All(at),
        };
        let (since, base) = former.map_or((time, None), |former| (former.until, former.base));
        self.valid.insert(new, Some(self.list.len()));
        self.list.push(Version { at, since, until: None, base, cells });
        Ok(true)
    }

    /// Ends what is valid under `key`; `None` when that is known to be nothing.
    fn close(&mut self, key: Key, named: Named, wants: Wants, time: Time) -> Option<Former> {
        match self.valid.insert(key, None) {
            Some(None) => None,
            Some(Some(index)) => {
                let version = &mut self.list[index];
                let until = time.max(version.since);
                version.until = Some(until);
                Some(Former { until, base: version.base, cells: Some(version.cells.clone()) })
            }
            None => {
                self.entries.push(Entry { named, wants });
                Some(Former { until: time, base: Some(self.entries.len() - 1), cells: None })
            }
        }
    }
}

impl Cells {
    /// `former`, with what the change carries.
    fn overlaid(former: Option<&Self>, view: &View<'_>, at: At) -> Self {
        let former = |field: usize| match former {
            None => None,
            Some(Self::All(all)) => Some(*all),
            Some(Self::Each(each)) => each[field],
        };
        let cell = |field| if view.carries(field, at.row) { Some(at) } else { former(field) };
        Self::Each((0..view.width()).map(cell).collect())
    }
}

impl<'a> Versions<'a> {
    /// What each key has to find in the table.
    pub(super) fn wants(&self) -> impl Iterator<Item = Wants> {
        self.entries.iter().map(|entry| entry.wants)
    }

    /// A part of key number `entry`.
    pub(super) fn key_cell(&self, entry: usize, field: usize) -> Cell<'a> {
        let Named { at: At { delivery, row }, before } = self.entries[entry].named;
        let view = &self.views[delivery];
        if before { view.old_cell(field, row) } else { view.cell(field, row) }
    }

    /// The versions, in source order.
    pub(super) fn list(&self) -> &[Version] {
        &self.list
    }

    /// What `version` holds of `field`; `None` where that is what the version under its base holds.
    pub(super) fn cell(&self, version: &Version, field: usize) -> Option<Cell<'a>> {
        let At { delivery, row } = match &version.cells {
            Cells::All(at) => *at,
            Cells::Each(each) => each[field]?,
        };
        Some(self.views[delivery].cell(field, row))
    }
}
