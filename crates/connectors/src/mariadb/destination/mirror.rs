//! `mirror`: the table looks like the source.
//!
//! A batch of changes is followed in memory, in source order, so whatever order of values the source's own constraints allowed is allowed
//! here. Where a change depends on what is there, the table is asked once which of the batch's keys it has. What came of each key is
//! loaded into a work table, and a handful of statements bring the table up to it. A source that checks its keys at the end of a
//! transaction may swap two of them: 1 becomes 2, then 2 becomes 1. In between two rows have the key 2, and the one that was there first
//! is parked until the change comes that moves or deletes it.
//!
//! `soft-delete` is the same with changes that say when a record was deleted: a deletion is then an update of a row that stays.

use std::collections::{HashMap, VecDeque};

use tidemark_engine::{
    Error,
    change::{Cell, Op},
};

use super::{
    START_ANEW,
    image::{At, Image},
    keys::{Batch, key_columns},
    lines::Lines,
    scratch::{Part, Scratch, load},
    table::Table,
    writer::Writer,
};
use crate::mariadb::{failure::Result, identifier::quote};

/// What came of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mirrored {
    Yes,
    /// Nothing was written: a row waits for a change that is to come.
    Parked,
}

/// What the table has under a key before the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Was {
    /// It was not asked, and nothing depends on it.
    Unknown,
    Absent,
    There,
    /// A row that says it was deleted.
    Deleted,
}

/// What is under a key after the changes so far.
#[derive(Debug, Clone)]
enum Place {
    /// What was.
    Kept,
    Gone,
    Row(Row),
}

#[derive(Debug, Clone)]
struct Row {
    /// Its base is the number of the key that it had in the table.
    image: Image<usize>,
    is_deleted: bool,
}

/// A batch as it is followed.
struct Following<'b, 'a> {
    table: &'b Table,
    batch: &'b Batch<'a>,
    was: Vec<Was>,
    places: Vec<Place>,
    /// Whether the row that was under a key has left it.
    left: Vec<bool>,
    parked: HashMap<usize, VecDeque<Row>>,
}

/// Brings `table` up to `batch`, which holds no truncate. `is_replayed` tells of each delivery whether the table has seen it before and
/// may hold rows as they became later. Where more is to come, and rows are parked in the end, nothing is written.
pub(super) async fn apply(
    writer: &mut Writer,
    scratch: &mut Scratch,
    table: &Table,
    batch: &Batch<'_>,
    is_replayed: &[bool],
    more_to_come: bool,
) -> Result<Mirrored> {
    let was = match depends(batch)? {
        true => ask(writer, scratch, table, batch).await?,
        false => vec![Was::Unknown; batch.len()],
    };
    let (places, left) = (vec![Place::Kept; batch.len()], vec![false; batch.len()]);
    let mut following = Following { table, batch, was, places, left, parked: HashMap::new() };
    for &(at, keys) in &batch.keys {
        let Some((new, old)) = keys else { continue };
        following.follow(at, new, old, is_replayed[at.batch]).map_err(|error| batch.blame(at, error))?;
    }
    if more_to_come && following.parked.values().any(|rows| !rows.is_empty()) {
        return Ok(Mirrored::Parked);
    }
    following.write(writer, scratch).await?;
    Ok(Mirrored::Yes)
}

/// Whether what changes do depends on what is there.
fn depends(batch: &Batch<'_>) -> Result<bool> {
    for &(at, keys) in &batch.keys {
        let view = batch.view(at);
        let is_update = view.op(at.row)? == Op::Update;
        let moves = keys.is_some_and(|(_, old)| old.is_some());
        if is_update && (moves || view.is_partial(at.row) || view.is_deletion(at.row)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Which of the batch's keys the table has. Those rows stay as they are until the transaction ends.
async fn ask(
    writer: &mut Writer,
    scratch: &mut Scratch,
    table: &Table,
    batch: &Batch<'_>,
) -> Result<Vec<Was>> {
    let keys = scratch.empty(writer, table, Part::Keys).await?;
    load(writer, table, &keys, &key_columns(table), batch.lines(table)?).await?;
    let is_deleted = table
        .deleted_at()
        .map_or("0".to_owned(), |index| format!("t.{} IS NOT NULL", table.fields[index].sql));
    let sql = format!(
        "SELECT k.id, {is_deleted} FROM {keys} AS k STRAIGHT_JOIN {} AS t ON {} FOR UPDATE",
        table.sql,
        table.key_is("k", 'k')
    );
    let mut was = vec![Was::Absent; batch.len()];
    for (key, is_deleted) in writer.rows::<(usize, bool)>(&sql, ()).await? {
        was[key] = if is_deleted { Was::Deleted } else { Was::There };
    }
    Ok(was)
}

impl Following<'_, '_> {
    fn follow(&mut self, at: At, new: usize, old: Option<usize>, is_replayed: bool) -> Result<(), Error> {
        let view = self.batch.view(at);
        let op = view.op(at.row)?;
        if op == Op::Delete || (op == Op::Update && view.is_deletion(at.row)) {
            if self.unpark(new).is_none() {
                if op == Op::Delete { self.leave(new) } else { self.mark_deleted(at, new) }
            }
            return Ok(());
        }
        if op != Op::Update {
            self.set(at, new);
            return Ok(());
        }
        if let Some(old) = old
            && self.relocate(at, old, new, is_replayed)
        {
            return Ok(());
        }
        self.update(at, new, is_replayed)
    }

    /// Nothing is under `key` any more.
    fn leave(&mut self, key: usize) {
        self.places[key] = Place::Gone;
        self.left[key] = true;
    }

    /// The row under `key`, as it has become.
    fn current(&self, key: usize) -> Option<Row> {
        match &self.places[key] {
            Place::Gone => None,
            Place::Row(row) => Some(row.clone()),
            Place::Kept if self.was[key] == Was::Absent => None,
            Place::Kept => {
                let image = Image::of_base(key, self.batch.width());
                Some(Row { image, is_deleted: self.was[key] == Was::Deleted })
            }
        }
    }

    /// A record comes to be, or gets every value anew. What it is missing is NULL.
    fn set(&mut self, at: At, key: usize) {
        let base = match &self.places[key] {
            // Columns that are no fields stay.
            Place::Row(row) if !self.table.whole => row.image.base,
            // The row may yet move, and takes them along.
            Place::Kept if !self.table.whole && matches!(self.was[key], Was::There | Was::Deleted) => {
                Some(key)
            }
            _ => None,
        };
        self.places[key] = Place::Row(Row { image: Image::of_change(base, at), is_deleted: false });
    }

    /// Applies an update that keeps its key.
    fn update(&mut self, at: At, key: usize, is_replayed: bool) -> Result<(), Error> {
        let view = self.batch.view(at);
        if !view.is_partial(at.row) {
            self.set(at, key);
            return Ok(());
        }
        match self.current(key) {
            Some(mut row) => {
                row.image.overlay(view, at);
                row.is_deleted = self.says_deleted(&row);
                self.places[key] = Place::Row(row);
                Ok(())
            }
            // In a replay the row may be gone because a later change removes it.
            None if is_replayed => Ok(()),
            None => Err(self.nothing_to_update()),
        }
    }

    /// Says of a row that it was deleted, with what the deletion knows of it. A row that is not there, or was deleted before, is left
    /// alone.
    fn mark_deleted(&mut self, at: At, key: usize) {
        if let Some(mut row) = self.current(key).filter(|row| !row.is_deleted) {
            row.image.overlay(self.batch.view(at), at);
            row.is_deleted = true;
            self.places[key] = Place::Row(row);
        }
    }

    /// Moves a row from its old key to its new one, with what the update carries, and keeps the rest. A row that stands there already is
    /// parked. `false` when there is no row under the old key.
    fn relocate(&mut self, at: At, from: usize, to: usize, is_replayed: bool) -> bool {
        let parked = self.unpark(from);
        let was_parked = parked.is_some();
        let Some(mut row) = parked.or_else(|| self.current(from)) else { return false };
        row.image.overlay(self.batch.view(at), at);
        row.is_deleted = self.says_deleted(&row);
        if !was_parked {
            self.leave(from);
        }
        // In a replay what stands there is most likely the same row as it became later, and nothing will ask for it. Nor for one that
        // was deleted before.
        if let Some(occupant) = self.current(to).filter(|occupant| !is_replayed && !occupant.is_deleted) {
            self.parked.entry(to).or_default().push_back(occupant);
        }
        self.left[to] = true;
        self.places[to] = Place::Row(row);
        true
    }

    /// The row that has been parked the longest under `key`.
    fn unpark(&mut self, key: usize) -> Option<Row> {
        self.parked.get_mut(&key)?.pop_front()
    }

    /// Whether the row says that it was deleted.
    fn says_deleted(&self, row: &Row) -> bool {
        match self.table.deleted_at().filter(|&field| row.image.gives(field)) {
            Some(field) => matches!(row.image.cell(&self.batch.views, field), Cell::Value(_)),
            None => row.is_deleted,
        }
    }

    fn nothing_to_update(&self) -> Error {
        let Table { stream, name, .. } = self.table;
        Error::data(format!(
            "an update of stream `{stream}` leaves columns as they are in a row that table `{name}` does not have"
        ))
        .hint(START_ANEW)
    }

    /// What is to be done about `key`, with the row that comes there.
    fn action(&self, key: usize) -> Option<(Action, Option<&Image<usize>>)> {
        let Row { image, .. } = match &self.places[key] {
            Place::Kept => return None,
            Place::Gone => return Some((Action::Delete, None)),
            Place::Row(row) => row,
        };
        let action = match image.base {
            Some(base) if base == key => Action::Update,
            Some(_) if self.table.whole && image.is_given() => Action::Set,
            Some(_) => Action::Move,
            None if self.left[key] && !self.table.whole => Action::Replace,
            None => Action::Set,
        };
        Some((action, Some(image)))
    }

    async fn write(&self, writer: &mut Writer, scratch: &mut Scratch) -> Result<()> {
        let (table, batch) = (self.table, self.batch);
        let (mut lines, mut used) = (Lines::default(), Vec::new());
        for key in 0..batch.len() {
            let Some((action, image)) = self.action(key) else { continue };
            used.push(action);
            lines.add(&key.to_string());
            lines.add(action.letter());
            lines.add_some(image.map(|image| image.carried(batch.width())).as_deref());
            for (index, field) in table.fields.iter().enumerate() {
                let cell = match image {
                    // A row carries its own key, whatever its changes say of it.
                    _ if table.key.contains(&index) => batch.key_cell(key, index),
                    Some(image) => image.cell(&batch.views, index),
                    None => Cell::Null,
                };
                let added = lines.add_cell(field, &cell, &table.stream);
                added.map_err(|error| {
                    batch.blame(image.and_then(|it| it.source(index)).unwrap_or(batch.naming(key)), error)
                })?;
            }
            match image.and_then(|image| image.base).filter(|_| action == Action::Move) {
                Some(base) => batch.add_key(&mut lines, table, base)?,
                None => table.key.iter().for_each(|_| lines.add_null()),
            }
            lines.end_row();
        }
        if lines.rows() == 0 {
            return Ok(());
        }
        let work = scratch.empty(writer, table, Part::Work).await?;
        let fields = (0..table.fields.len()).map(|index| format!("c{index}"));
        let old_key = table.key.iter().map(|index| format!("o{index}"));
        let own = ["id", "action", "carried"].map(str::to_owned).into_iter();
        let columns = own.chain(fields).chain(old_key).collect::<Vec<_>>().join(", ");
        load(writer, table, &work, &columns, lines.finish()).await?;
        let moved = match used.contains(&Action::Move) {
            true => Some(scratch.empty(writer, table, Part::Moved).await?),
            false => None,
        };
        for sql in statements(table, &work, moved.as_deref(), &used)? {
            writer.run(&sql).await?;
        }
        Ok(())
    }
}

/// What is to become of the row under one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
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

impl Action {
    fn letter(self) -> &'static str {
        match self {
            Self::Delete => "d",
            Self::Set => "s",
            Self::Replace => "r",
            Self::Update => "u",
            Self::Move => "m",
        }
    }
}

/// The statements that do what `work` says, in order. They update and insert apart: to ON DUPLICATE KEY UPDATE every unique index counts,
/// and a row that agrees in another one would be overwritten.
fn statements(table: &Table, work: &str, moved: Option<&str>, used: &[Action]) -> Result<Vec<String>> {
    let (name, at_key) = (&table.sql, table.key_is("w", 'c'));
    let uses = |actions: &[Action]| actions.iter().any(|action| used.contains(action));
    let mut statements = Vec::new();
    let all = table.columns.iter().map(|column| quote(&column.name)).collect::<Result<Vec<_>, _>>()?;
    let field_of = |column: &str| table.fields.iter().position(|field| field.sql == column);
    if let Some(moved) = moved {
        let (columns, from) = (all.join(", "), table.key_is("w", 'o'));
        let values = all.iter().map(|column| format!("t.{column}")).collect::<Vec<_>>().join(", ");
        statements.push(format!(
            "INSERT INTO {moved} (_tidemark_id, {columns}) SELECT w.id, {values} FROM {work} AS w STRAIGHT_JOIN {name} AS t ON {from} WHERE w.action = 'm'"
        ));
    }
    if uses(&[Action::Delete, Action::Replace, Action::Move]) {
        statements.push(format!(
            "DELETE t FROM {work} AS w STRAIGHT_JOIN {name} AS t ON {at_key} WHERE w.action IN ('d', 'r', 'm')"
        ));
    }
    let others = || table.fields.iter().enumerate().filter(|(index, _)| !table.key.contains(index));
    let update = |sets: Vec<String>, letter: &str| {
        let sets = sets.join(", ");
        format!(
            "UPDATE {work} AS w STRAIGHT_JOIN {name} AS t ON {at_key} SET {sets} WHERE w.action = '{letter}'"
        )
    };
    if others().next().is_some() {
        if uses(&[Action::Update]) {
            let sets = others()
                .map(|(index, field)| format!("t.{} = {}", field.sql, overlaid(index, &field.sql, "t")));
            statements.push(update(sets.collect(), "u"));
        }
        if uses(&[Action::Set]) {
            let sets = others().map(|(index, field)| format!("t.{} = w.c{index}", field.sql));
            statements.push(update(sets.collect(), "s"));
        }
    }
    if let Some(moved) = moved {
        let values = all.iter().map(|column| match field_of(column) {
            Some(index) if table.key.contains(&index) => format!("w.c{index}"),
            Some(index) => overlaid(index, column, "m"),
            None => format!("m.{column}"),
        });
        let (columns, values) = (all.join(", "), values.collect::<Vec<_>>().join(", "));
        statements.push(format!(
            "INSERT INTO {name} ({columns}) SELECT {values} FROM {work} AS w STRAIGHT_JOIN {moved} AS m ON m._tidemark_id = w.id WHERE w.action = 'm'"
        ));
    }
    if uses(&[Action::Set, Action::Replace]) {
        let fields = table.field_list();
        let values =
            (0..table.fields.len()).map(|index| format!("w.c{index}")).collect::<Vec<_>>().join(", ");
        let first = table.key.first().map_or("", |&index| &table.fields[index].sql);
        statements.push(format!(
            "INSERT INTO {name} ({fields}) SELECT {values} FROM {work} AS w LEFT JOIN {name} AS t ON {at_key}
             WHERE w.action IN ('s', 'r') AND t.{first} IS NULL"
        ));
    }
    Ok(statements)
}

/// The value of field `index`: what the work table carries, else what `column` of `row` is.
pub(super) fn overlaid(index: usize, column: &str, row: &str) -> String {
    format!("IF(SUBSTRING(w.carried, {}, 1) = '1', w.c{index}, {row}.{column})", index + 1)
}
