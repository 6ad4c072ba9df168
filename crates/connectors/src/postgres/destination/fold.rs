//! Many changes of one table become at most one action for each key.
//!
//! The actions say how to come from the rows as they were before the first change to the rows as they are after the last,
//! column by column: a value that no change carries stays what it was in the row it began as, wherever that row has moved.

use std::collections::HashMap;

use tidemark_engine::{
    Result,
    change::{Cell, ChangeBatch, Op},
};

use crate::tables::{Key, Keys, View};

/// What is to become of the row under one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Whatever is there goes.
    Delete,
    /// Every field is given; what columns beside the fields hold stays.
    Set,
    /// A new row, in the place of whatever is there.
    Replace,
    /// The row that is there gets some of its columns anew.
    Update,
    /// The row that was under another key comes here, some of its columns anew.
    Move,
}

/// Changes of one table, folded.
pub(super) struct Folded<'a> {
    views: Vec<View<'a>>,
    entries: Vec<Entry>,
    whole: bool,
}

/// One key, and what is under it after the changes so far.
struct Entry {
    /// A change that names the key, to write it down from.
    named: Named,
    /// Whether nothing may have been under it before the first change: a row has moved here, and if there was another it has
    /// been displaced and not replaced.
    was_free: bool,
    /// Whether the row that was under it before the first change has gone from here.
    was_left: bool,
    /// Whether the first change says that its record has just come to be: nothing should be under it yet.
    was_born: bool,
    place: Place,
}

/// A change that has a key, before or after.
#[derive(Clone, Copy)]
struct Named {
    at: At,
    before: bool,
}

/// A change: a batch and a row of it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct At {
    batch: usize,
    row: usize,
}

enum Place {
    Gone,
    Row(Image),
}

/// A row as it has become.
struct Image {
    /// The entry of the key that it had before the first change, when some of its columns are still from then.
    base: Option<usize>,
    cells: Cells,
}

/// For each column the change that gave it last.
enum Cells {
    /// One change gave them all.
    All(At),
    /// `None` where the column is as the row began.
    Each(Vec<Option<At>>),
}

/// Folds changes in source order. `whole` says that the table has no columns beside the schema's fields, so that a row is nothing
/// but its fields. `None` when they cannot be told apart this way (a row displaces another, as with keys that
/// are swapped under a deferred constraint, or a row is changed that is not there): then each is to be applied by itself.
pub(super) fn fold<'a>(
    batches: impl IntoIterator<Item = &'a ChangeBatch>,
    whole: bool,
) -> Result<Option<Folded<'a>>> {
    let views = batches.into_iter().map(View::new).collect::<Vec<_>>();
    let mut entries = Entries { list: Vec::new(), by_key: HashMap::new(), whole };
    for (batch, view) in views.iter().enumerate() {
        for row in 0..view.rows() {
            if !entries.change(view, At { batch, row })? {
                return Ok(None);
            }
        }
    }
    Ok(Some(Folded { views, entries: entries.list, whole }))
}

struct Entries {
    list: Vec<Entry>,
    by_key: HashMap<Key, usize>,
    whole: bool,
}

impl Entries {
    /// Takes one more change; `false` when it cannot.
    fn change(&mut self, view: &View<'_>, at: At) -> Result<bool> {
        let op = view.op(at.row)?;
        if op == Op::Truncate {
            return Ok(false);
        }
        let Keys { new, old } = view.keys(at.row)?;
        Ok(match (op, old) {
            (Op::Update, _) if view.is_deletion(at.row) => {
                self.mark(view, at, new);
                true
            }
            (Op::Delete, _) => {
                self.put(new, at, Place::Gone);
                true
            }
            (Op::Update, Some(old)) => self.relocate(view, at, old, new),
            (Op::Update, None) if view.is_partial(at.row) || self.has_more_than_fields(&new) => {
                self.update(view, at, new)
            }
            _ => {
                let known = self.list.len();
                let index = self.put(new, at, Place::Row(Image { base: None, cells: Cells::All(at) }));
                self.list[index].was_born |= op == Op::Create && index == known;
                true
            }
        })
    }

    /// Whether the row under `key`, as the changes so far have left it, may hold columns beside the fields.
    /// One that is not known yet is taken to be there; if it is not, the merge finds out and gives way.
    fn has_more_than_fields(&self, key: &Key) -> bool {
        let place = self.by_key.get(key).map(|&index| &self.list[index].place);
        !self.whole && !matches!(place, Some(Place::Gone))
    }

    /// Says what is under `key` now, whatever was.
    fn put(&mut self, key: Key, at: At, place: Place) -> usize {
        let is_gone = matches!(place, Place::Gone);
        let index = match self.by_key.get(&key) {
            Some(&index) => {
                self.list[index].place = place;
                index
            }
            None => self.add(key, Named { at, before: false }, place),
        };
        self.list[index].was_left |= is_gone;
        index
    }

    fn add(&mut self, key: Key, named: Named, place: Place) -> usize {
        let index = self.list.len();
        self.by_key.insert(key, index);
        self.list.push(Entry { named, was_free: false, was_left: false, was_born: false, place });
        index
    }

    /// An update in place that leaves columns as they are.
    fn update(&mut self, view: &View<'_>, at: At, key: Key) -> bool {
        let index = match self.by_key.get(&key) {
            Some(&index) => index,
            None => {
                let index = self.add(key, Named { at, before: false }, Place::Gone);
                self.list[index].place = Place::Row(Image::of_base(index, view));
                index
            }
        };
        match &mut self.list[index].place {
            Place::Gone => false,
            Place::Row(image) => {
                image.overlay(view, at, self.whole);
                true
            }
        }
    }

    /// A row stays, as deleted; where there is none, nothing happens.
    fn mark(&mut self, view: &View<'_>, at: At, key: Key) {
        let is_known_to_be_gone =
            self.by_key.get(&key).is_some_and(|&index| matches!(self.list[index].place, Place::Gone));
        if !is_known_to_be_gone {
            self.update(view, at, key);
        }
    }

    /// A row moves from one key to another.
    fn relocate(&mut self, view: &View<'_>, at: At, from: Key, to: Key) -> bool {
        let from = match self.by_key.get(&from) {
            Some(&index) => index,
            None => {
                let index = self.add(from, Named { at, before: true }, Place::Gone);
                self.list[index].place = Place::Row(Image::of_base(index, view));
                index
            }
        };
        let Place::Row(mut image) = std::mem::replace(&mut self.list[from].place, Place::Gone) else {
            return false;
        };
        // Columns beside the fields stay when a row is made in the place of another, and they would have to move too.
        if image.base.is_none() && !self.whole && !self.list[from].was_left {
            return false;
        }
        self.list[from].was_left = true;
        if view.is_partial(at.row) || !self.whole {
            image.overlay(view, at, self.whole);
        } else {
            image = Image { base: None, cells: Cells::All(at) };
        }
        match self.by_key.get(&to) {
            Some(&index) if matches!(self.list[index].place, Place::Row(_)) => return false,
            Some(&index) => self.list[index].place = Place::Row(image),
            None => {
                let index = self.add(to, Named { at, before: false }, Place::Row(image));
                self.list[index].was_free = true;
            }
        }
        true
    }
}

impl Image {
    /// The row under the key of entry `base`, as it was.
    fn of_base(base: usize, view: &View<'_>) -> Self {
        Self { base: Some(base), cells: Cells::Each(vec![None; view.width()]) }
    }

    /// Gives the columns that the change carries. When all are given, and `whole`, nothing is left of the row it was.
    fn overlay(&mut self, view: &View<'_>, at: At, whole: bool) {
        if let Cells::All(all) = self.cells {
            self.cells = Cells::Each(vec![Some(all); view.width()]);
        }
        let Cells::Each(cells) = &mut self.cells else { return };
        for (field, cell) in cells.iter_mut().enumerate() {
            if view.carries(field, at.row) {
                *cell = Some(at);
            }
        }
        if whole && cells.iter().all(Option::is_some) {
            self.base = None;
        }
    }
}

impl<'a> Folded<'a> {
    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn action(&self, entry: usize) -> Action {
        let Entry { place, was_left, .. } = &self.entries[entry];
        match place {
            Place::Gone => Action::Delete,
            Place::Row(Image { base: None, .. }) if *was_left && !self.whole => Action::Replace,
            Place::Row(Image { base: None, .. }) => Action::Set,
            Place::Row(Image { base: Some(base), .. }) if *base == entry => Action::Update,
            Place::Row(_) => Action::Move,
        }
    }

    /// Whether a new record comes under this key, under which nothing should be yet.
    pub(super) fn is_new(&self, entry: usize) -> bool {
        self.entries[entry].was_born && self.action(entry) == Action::Set
    }

    /// Whether nothing may be under this key yet.
    pub(super) fn was_free(&self, entry: usize) -> bool {
        self.entries[entry].was_free
    }

    /// What column `field` of the row under this key becomes: [`Cell::Unchanged`] where it stays. Of a key without a row
    /// only the key itself is told.
    pub(super) fn cell(&self, entry: usize, field: usize) -> Cell<'a> {
        let Entry { named, place, .. } = &self.entries[entry];
        let at = match place {
            Place::Gone => return self.key_cell(*named, field),
            Place::Row(Image { cells: Cells::All(at), .. }) => Some(*at),
            Place::Row(Image { cells: Cells::Each(cells), .. }) => cells[field],
        };
        at.map_or(Cell::Unchanged, |At { batch, row }| self.views[batch].cell(field, row))
    }

    /// A part of the key that the row under this key had before, when it moves.
    pub(super) fn base_cell(&self, entry: usize, field: usize) -> Cell<'a> {
        match &self.entries[entry].place {
            Place::Row(Image { base: Some(base), .. }) if *base != entry => {
                self.key_cell(self.entries[*base].named, field)
            }
            _ => Cell::Null,
        }
    }

    fn key_cell(&self, Named { at: At { batch, row }, before }: Named, field: usize) -> Cell<'a> {
        let view = &self.views[batch];
        if before { view.old_cell(field, row) } else { view.cell(field, row) }
    }
}
