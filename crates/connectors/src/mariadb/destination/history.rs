//! `history`: every change makes a version of its record, valid until the next one.
//!
//! A batch is followed in memory, in source order, from the versions that are valid under its keys, which the table is asked for. What
//! ends and what begins is loaded into a work table, and two statements write it down. A version that leaves columns as they are
//! takes them from the version before, inside the server.

use std::collections::{HashMap, VecDeque};

use tidemark_engine::{
    ChangeId, Error, LogId, Time,
    change::{Cell, Op, Value},
    schema::Kind,
    write::Delivery,
};

use super::{
    START_ANEW,
    image::{At, Image},
    keys::{Batch, key_columns},
    lines::Lines,
    mirror::overlaid,
    scratch::{Part, Scratch, load},
    table::Table,
    writer::Writer,
};
use crate::{
    mariadb::{failure::Result, storage::Storage},
    metadata::{POSITION, VALID_FROM, VALID_TO},
    tables::Key,
};

/// Versions that ended within this unit because another record came under their key: the change that moves or deletes their own is still
/// to come. In the order in which they were displaced.
#[derive(Debug, Clone, Default)]
pub(super) struct Displaced(HashMap<Key, VecDeque<Ended>>);

impl Displaced {
    /// Forgets all: nothing can ask for them any more.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// A version that has ended.
#[derive(Debug, Clone)]
struct Ended {
    position: String,
    valid_to: Time,
    /// What it holds; its base is the position of a version in the table.
    image: Image<String>,
}

/// The valid version of a record.
#[derive(Debug, Clone)]
struct Current {
    position: String,
    valid_from: Time,
    image: Image<String>,
    /// Its place among the new ones; `None` where the table has it.
    new: Option<usize>,
}

/// A version to be added.
struct New {
    at: At,
    position: String,
    valid_from: Time,
    valid_to: Option<Time>,
    image: Image<String>,
}

/// A batch as it is followed.
struct Following<'b, 'a> {
    table: &'b Table,
    log: &'b LogId,
    batch: &'b Batch<'a>,
    keys: Vec<&'b Key>,
    current: Vec<Option<Current>>,
    /// When the last version under a key ended.
    last: Vec<Option<Time>>,
    new: Vec<New>,
    ended: Vec<(String, Time)>,
    displaced: &'b mut Displaced,
}

/// Adds the versions that `batch` makes, none of whose changes the table has seen, and none a truncate.
pub(super) async fn apply(
    writer: &mut Writer,
    scratch: &mut Scratch,
    table: &Table,
    log: &LogId,
    batch: &Batch<'_>,
    displaced: &mut Displaced,
) -> Result<()> {
    let (current, last) = ask(writer, scratch, table, batch).await?;
    let mut keys = batch.numbers.iter().collect::<Vec<_>>();
    keys.sort_unstable_by_key(|(_, number)| **number);
    let keys = keys.into_iter().map(|(key, _)| key).collect();
    let (new, ended) = (Vec::new(), Vec::new());
    let mut following = Following { table, log, batch, keys, current, last, new, ended, displaced };
    for &(at, keys) in &batch.keys {
        let Some((new, old)) = keys else { continue };
        following.follow(at, new, old).map_err(|error| batch.blame(at, error))?;
    }
    following.write(writer, scratch).await?;
    // From here on the table has them all.
    let width = batch.width();
    for ended in displaced.0.values_mut().flatten() {
        ended.image = Image::of_base(ended.position.clone(), width);
    }
    Ok(())
}

/// The valid versions under the batch's keys, and when the last of the others ended.
async fn ask(
    writer: &mut Writer,
    scratch: &mut Scratch,
    table: &Table,
    batch: &Batch<'_>,
) -> Result<(Vec<Option<Current>>, Vec<Option<Time>>)> {
    let keys = scratch.empty(writer, table, Part::Keys).await?;
    load(writer, table, &keys, &key_columns(table), batch.lines(table)?).await?;
    let (name, is_key, micros) =
        (&table.sql, table.key_is("k", 'k'), "TIMESTAMPDIFF(MICROSECOND, '1970-01-01'");
    let mut current = vec![None; batch.len()];
    let sql = format!(
        "SELECT k.id, t.{POSITION}, {micros}, t.{VALID_FROM}) FROM {keys} AS k STRAIGHT_JOIN {name} AS t
         ON {is_key} AND t.{VALID_TO} IS NULL FOR UPDATE"
    );
    for (key, position, from) in writer.rows::<(usize, String, i64)>(&sql, ()).await? {
        let image = Image::of_base(position.clone(), batch.width());
        current[key] = Some(Current { position, valid_from: Time::from_micros(from), image, new: None });
    }
    let mut last = vec![None; batch.len()];
    let sql = format!(
        "SELECT k.id, {micros}, MAX(t.{VALID_TO})) FROM {keys} AS k STRAIGHT_JOIN {name} AS t
         ON {is_key} AND t.{VALID_TO} IS NOT NULL GROUP BY k.id"
    );
    for (key, to) in writer.rows::<(usize, i64)>(&sql, ()).await? {
        last[key] = Some(Time::from_micros(to));
    }
    Ok((current, last))
}

impl Following<'_, '_> {
    fn follow(&mut self, at: At, new: usize, old: Option<usize>) -> Result<(), Error> {
        match (self.batch.view(at).op(at.row)?, old) {
            (Op::Delete, _) => self.delete(at, new),
            (Op::Update, Some(old)) => self.relocate(at, old, new),
            (op, _) => self.put(at, new, op),
        }
    }

    /// The next version of a record that keeps its key.
    fn put(&mut self, at: At, key: usize, op: Op) -> Result<(), Error> {
        let current = self.current[key].clone();
        // What a created record is missing is NULL.
        let keeps = op == Op::Update && self.batch.view(at).is_partial(at.row);
        let image = match &current {
            Some(current) if keeps => self.overlaid(current.image.clone(), at),
            None if keeps => return Err(self.nothing_to_update()),
            _ => Image::of_change(None, at),
        };
        let began = current.as_ref().map(|current| current.valid_from).or(self.last[key]);
        let made = self.time(at)?;
        let time = began.map_or(made, |began| made.max(began));
        self.end(key, time);
        self.begin(at, key, time, image)
    }

    fn delete(&mut self, at: At, key: usize) -> Result<(), Error> {
        if self.release(key).is_some() {
            return Ok(());
        }
        let Some(current) = &self.current[key] else { return Ok(()) };
        let time = self.time(at)?.max(current.valid_from);
        self.end(key, time);
        Ok(())
    }

    /// The next version of a record, under another key than the one before.
    fn relocate(&mut self, at: At, from: usize, to: usize) -> Result<(), Error> {
        let displaced = self.release(from);
        let was_displaced = displaced.is_some();
        let valid = self.current[from].as_ref().filter(|_| !was_displaced);
        let (since, before) = match (displaced, valid) {
            (Some(Ended { valid_to, image, .. }), _) => (valid_to, image),
            (None, Some(current)) => (current.valid_from, current.image.clone()),
            (None, None) => return self.put(at, to, Op::Update),
        };
        let occupant = self.current[to].clone();
        let times =
            [Some(self.time(at)?), occupant.as_ref().map(|it| it.valid_from), self.last[to], Some(since)];
        let time = times.into_iter().flatten().max().unwrap_or(since);
        self.end(to, time);
        if let Some(Current { position, image, .. }) = occupant {
            let waiting = self.displaced.0.entry(self.keys[to].clone()).or_default();
            waiting.push_back(Ended { position, valid_to: time, image });
        }
        if !was_displaced {
            self.end(from, time);
        }
        let image = match self.batch.view(at).is_partial(at.row) {
            true => self.overlaid(before, at),
            false => Image::of_change(None, at),
        };
        self.begin(at, to, time, image)
    }

    fn overlaid(&self, mut image: Image<String>, at: At) -> Image<String> {
        image.overlay(self.batch.view(at), at);
        image
    }

    /// The version that was displaced longest ago under `key`, which waits no more.
    fn release(&mut self, key: usize) -> Option<Ended> {
        self.displaced.0.get_mut(self.keys[key])?.pop_front()
    }

    /// Ends what is valid under `key`.
    fn end(&mut self, key: usize, time: Time) {
        let Some(Current { position, new, .. }) = self.current[key].take() else { return };
        self.last[key] = self.last[key].max(Some(time));
        match new {
            Some(new) => self.new[new].valid_to = Some(time),
            None => self.ended.push((position, time)),
        }
    }

    fn begin(&mut self, at: At, key: usize, valid_from: Time, image: Image<String>) -> Result<(), Error> {
        let Delivery { sequence, changes, .. } = &self.batch.deliveries[at.batch];
        let unnumbered = || Error::internal("a batch reached a destination before it was numbered");
        let ordinal = changes.ordinals().ok_or_else(unnumbered)?.value(at.row);
        let position = ChangeId { log: self.log, sequence: *sequence, ordinal }.to_string();
        let new = Some(self.new.len());
        self.current[key] =
            Some(Current { position: position.clone(), valid_from, image: image.clone(), new });
        self.new.push(New { at, position, valid_from, valid_to: None, image });
        Ok(())
    }

    /// When the change counts as made.
    fn time(&self, at: At) -> Result<Time, Error> {
        self.batch.deliveries[at.batch].watermark(at.row)
    }

    fn nothing_to_update(&self) -> Error {
        let Table { stream, name, .. } = self.table;
        Error::data(format!(
            "an update of stream `{stream}` leaves columns as they are in a record of which table `{name}` has no valid version"
        ))
        .hint(START_ANEW)
    }

    async fn write(&self, writer: &mut Writer, scratch: &mut Scratch) -> Result<()> {
        let table = self.table;
        if self.new.is_empty() && self.ended.is_empty() {
            return Ok(());
        }
        let work = scratch.empty(writer, table, Part::Versions).await?;
        let own =
            ["id", "action", "carried", "position", "valid_from", "valid_to", "base"].map(str::to_owned);
        let fields = (0..table.fields.len()).map(|index| format!("c{index}"));
        let columns = own.into_iter().chain(fields).collect::<Vec<_>>().join(", ");
        load(writer, table, &work, &columns, self.lines()?).await?;
        let name = &table.sql;
        if !self.ended.is_empty() {
            let sql = format!(
                "UPDATE {work} AS w STRAIGHT_JOIN {name} AS t ON t.{POSITION} = w.position
                 SET t.{VALID_TO} = w.valid_to WHERE w.action = 'e'"
            );
            writer.run(&sql).await?;
        }
        if !self.new.is_empty() {
            let values =
                table.fields.iter().enumerate().map(|(index, field)| overlaid(index, &field.sql, "b"));
            let (fields, values) = (table.field_list(), values.collect::<Vec<_>>().join(", "));
            let sql = format!(
                "INSERT INTO {name} ({POSITION}, {VALID_FROM}, {VALID_TO}, {fields})
                 SELECT w.position, w.valid_from, w.valid_to, {values} FROM {work} AS w
                 LEFT JOIN {name} AS b ON b.{POSITION} = w.base WHERE w.action = 'n'"
            );
            writer.run(&sql).await?;
        }
        Ok(())
    }

    fn lines(&self) -> Result<bytes::Bytes, Error> {
        let (table, batch) = (self.table, self.batch);
        let mut lines = Lines::default();
        for (position, valid_to) in &self.ended {
            lines.add(&lines.rows().to_string());
            lines.add("e");
            lines.add_null();
            lines.add(position);
            lines.add_null();
            lines.add(&moment(*valid_to)?);
            lines.add_null();
            table.fields.iter().for_each(|_| lines.add_null());
            lines.end_row();
        }
        for New { at, position, valid_from, valid_to, image } in &self.new {
            lines.add(&lines.rows().to_string());
            lines.add("n");
            lines.add(&image.carried(batch.width()));
            lines.add(position);
            lines.add(&moment(*valid_from)?);
            lines.add_some(valid_to.map(moment).transpose()?.as_deref());
            lines.add_some(image.base.as_deref());
            for (index, field) in table.fields.iter().enumerate() {
                let added = lines.add_cell(field, &image.cell(&batch.views, index), &table.stream);
                added.map_err(|error| batch.blame(image.source(index).unwrap_or(*at), error))?;
            }
            lines.end_row();
        }
        Ok(lines.finish())
    }
}

/// `time` as a column of ours holds it.
pub(super) fn moment(time: Time) -> Result<String, Error> {
    let mut text = Vec::new();
    let cell = Cell::Value(Value::TimestampTz(time.as_micros()));
    let beyond =
        || Error::data("a change was made at a time beyond the years 1 to 9999, which MariaDB cannot hold");
    let is_held = Storage::Timestamp.write(&cell, &Kind::TimestampTz, &mut text);
    String::from_utf8(text).ok().filter(|_| is_held).ok_or_else(beyond)
}
