//! `history`: every change makes a version of its record, valid until the next one.

use rusqlite::{CachedStatement, Connection, types::ValueRef};
use tidemark_engine::{
    ChangeId, Error, LogId, Time, arrow_array::UInt64Array, change::Op, read::Phase, write::Delivery,
};

use super::{
    bind::bind,
    departed::{Departed, Displaced},
    incoming::Incoming,
    table::Table,
};
use crate::{
    metadata::{POSITION, VALID_FROM, VALID_TO},
    sqlite::failure::Result,
};

/// Applies every change of `delivery`, none of which the table has seen. `at` is the row that is being written.
pub(super) fn apply(
    connection: &Connection,
    table: &Table,
    log: &LogId,
    delivery: &Delivery,
    departed: &mut Departed,
    at: &mut Option<usize>,
) -> Result<()> {
    let changes = &delivery.changes;
    let unnumbered = || Error::internal("a batch reached a destination before it was numbered");
    let ordinals = changes.ordinals().ok_or_else(unnumbered)?;
    let rows = Incoming::new(connection, table, changes, false);
    let mut history = History { rows, log, delivery, ordinals, departed };
    for row in 0..changes.rows() {
        *at = Some(row);
        history.apply(row)?;
    }
    Ok(())
}

/// The time that `stored` tells, one of ours.
pub(super) fn time(stored: ValueRef<'_>) -> Result<Time> {
    let unreadable = || {
        Error::conflict("a history has a version with a time that Tidemark did not write")
            .hint("restore the table from a backup")
    };
    let time = stored.as_str().ok().and_then(Time::parse).ok_or_else(unreadable)?;
    Ok(time)
}

/// A batch on its way into a history.
struct History<'a> {
    rows: Incoming<'a>,
    log: &'a LogId,
    delivery: &'a Delivery,
    ordinals: &'a UInt64Array,
    departed: &'a mut Departed,
}

/// The valid version of a record.
struct Current {
    position: String,
    valid_from: Time,
}

impl History<'_> {
    fn apply(&mut self, row: usize) -> Result<()> {
        let op = self.rows.changes.op(row)?;
        if op == Op::Truncate {
            return self.truncate(row);
        }
        self.rows.check_key(row)?;
        match op {
            Op::Delete => self.delete(row),
            Op::Update if self.rows.moves(row) => self.move_record(row),
            _ => self.put(row, op),
        }
    }

    /// The next version of a record that keeps its key.
    fn put(&mut self, row: usize, op: Op) -> Result<()> {
        let current = self.current(row)?;
        // What a created record is missing is NULL.
        let keeps = op == Op::Update && !self.rows.is_whole(row);
        let base = match &current {
            Some(current) if keeps => Some(current.position.clone()),
            None if keeps => return Err(self.rows.nothing_to_update().into()),
            _ => None,
        };
        let began = match &current {
            Some(current) => Some(current.valid_from),
            None => self.departed.last_under_key(&self.rows, row)?,
        };
        let at = self.time(row)?.max(began.unwrap_or(Time::from_micros(i64::MIN)));
        if let Some(current) = &current {
            self.end(current, at)?;
        }
        self.begin(row, at, base.as_deref())
    }

    fn delete(&mut self, row: usize) -> Result<()> {
        let rows = &self.rows;
        let bind_key = |find: &mut CachedStatement<'_>| rows.bind_key(find, 1, row, &mut String::new());
        if let Some(displaced) = self.departed.displaced(rows, bind_key)? {
            return self.departed.release(rows.connection, &displaced);
        }
        let Some(current) = self.current(row)? else { return Ok(()) };
        let made = self.time(row)?;
        let at = made.max(current.valid_from);
        self.end(&current, at)?;
        if at > made { self.departed.note(&self.rows, &current.position, false) } else { Ok(()) }
    }

    /// The next version of a record, under another key than the one before.
    fn move_record(&mut self, row: usize) -> Result<()> {
        let Some(from) = self.under_old_key(row)? else { return self.put(row, Op::Update) };
        // Two keys may look different and be one to SQLite.
        let is_other =
            |occupant: &Current| !matches!(&from, From::Valid(it) if it.position == occupant.position);
        let occupant = self.current(row)?.filter(is_other);
        let made = self.time(row)?;
        let times = [
            Some(made),
            occupant.as_ref().map(|occupant| occupant.valid_from),
            self.departed.last_under_key(&self.rows, row)?,
            Some(match &from {
                From::Valid(current) => current.valid_from,
                From::Displaced(displaced) => displaced.valid_to,
            }),
        ];
        let at = times.into_iter().flatten().max().unwrap_or(made);
        if let Some(occupant) = &occupant {
            self.end(occupant, at)?;
            self.departed.note(&self.rows, &occupant.position, true)?;
        }
        let before = match &from {
            From::Valid(current) => {
                self.end(current, at)?;
                if at > made {
                    self.departed.note(&self.rows, &current.position, false)?;
                }
                &current.position
            }
            From::Displaced(displaced) => {
                self.departed.release(self.rows.connection, displaced)?;
                &displaced.position
            }
        };
        let keeps = !self.rows.is_whole(row);
        self.begin(row, at, keeps.then_some(before.as_str()))
    }

    /// Every version ends. Those of an initial sync that begins anew never were.
    fn truncate(&mut self, row: usize) -> Result<()> {
        let (connection, table) = (self.rows.connection, &self.rows.table.name);
        if self.delivery.phase == Phase::InitialSync {
            connection.execute(&format!("DELETE FROM {table}"), [])?;
            return self.departed.clear(connection);
        }
        let made = self.time(row)?;
        self.departed.all_end(&self.rows, made)?;
        // Of times of ours the texts sort as the times do.
        let sql = format!("UPDATE {table} SET {VALID_TO} = max(?1, {VALID_FROM}) WHERE {VALID_TO} IS NULL");
        connection.prepare_cached(&sql)?.execute([made.to_string()])?;
        Ok(())
    }

    /// When the change counts as made.
    fn time(&self, row: usize) -> Result<Time> {
        Ok(self.delivery.watermark(row)?)
    }

    /// The valid version under the key of `row`.
    fn current(&self, row: usize) -> Result<Option<Current>> {
        self.find(|find| self.rows.bind_key(find, 1, row, &mut String::new()))
    }

    /// The version that the update in `row`, which changes the key, follows.
    fn under_old_key(&self, row: usize) -> Result<Option<From>> {
        let rows = &self.rows;
        let bind_key = |find: &mut CachedStatement<'_>| rows.bind_old_key(find, 1, row, &mut String::new());
        if let Some(displaced) = self.departed.displaced(rows, bind_key)? {
            return Ok(Some(From::Displaced(displaced)));
        }
        Ok(self.find(bind_key)?.map(From::Valid))
    }

    fn find(&self, bind_key: impl FnOnce(&mut CachedStatement<'_>) -> Result<()>) -> Result<Option<Current>> {
        let Incoming { connection, table, .. } = &self.rows;
        let sql = format!(
            "SELECT {POSITION}, {VALID_FROM} FROM {} WHERE {} AND {VALID_TO} IS NULL",
            table.name,
            self.rows.key_is(1)
        );
        let mut find = connection.prepare_cached(&sql)?;
        bind_key(&mut find)?;
        let mut found = find.raw_query();
        let Some(row) = found.next()? else { return Ok(None) };
        Ok(Some(Current { position: row.get(0)?, valid_from: time(row.get_ref(1)?)? }))
    }

    fn end(&self, current: &Current, at: Time) -> Result<()> {
        let table = &self.rows.table.name;
        let sql = format!("UPDATE {table} SET {VALID_TO} = ?1 WHERE {POSITION} = ?2");
        self.rows.connection.prepare_cached(&sql)?.execute((at.to_string(), &current.position))?;
        Ok(())
    }

    /// Adds the version that `row` makes, valid from `at`. What it leaves as it is comes from the version at `base`.
    fn begin(&self, row: usize, at: Time, base: Option<&str>) -> Result<()> {
        let Incoming { connection, table, fields, .. } = &self.rows;
        let names = table.fields.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>();
        let carried = match base {
            Some(_) => self.rows.carried(row),
            None => (0..fields.len()).collect(),
        };
        let mut values = names.clone().into_iter().map(str::to_owned).collect::<Vec<_>>();
        for (&index, at) in carried.iter().zip(4..) {
            values[index] = format!("?{at}");
        }
        let (names, values) = (names.join(", "), values.join(", "));
        let source = match base {
            Some(_) => format!("FROM {} WHERE {POSITION} = ?3", table.name),
            None => "WHERE ?3 IS NULL".to_owned(),
        };
        let sql = format!(
            "INSERT INTO {} ({POSITION}, {VALID_FROM}, {names}) SELECT ?1, ?2, {values} {source}",
            table.name
        );
        let mut insert: CachedStatement<'_> = connection.prepare_cached(&sql)?;
        let (sequence, ordinal) = (self.delivery.sequence, self.ordinals.value(row));
        let position = ChangeId { log: self.log, sequence, ordinal }.to_string();
        bind(&mut insert, 1, ValueRef::Text(position.as_bytes()))?;
        bind(&mut insert, 2, ValueRef::Text(at.to_string().as_bytes()))?;
        bind(&mut insert, 3, base.map_or(ValueRef::Null, |base| ValueRef::Text(base.as_bytes())))?;
        self.rows.bind_from(&mut insert, 4, &carried, row, &mut String::new())?;
        insert.raw_execute()?;
        Ok(())
    }
}

/// The version that a record has under the key it leaves.
enum From {
    Valid(Current),
    Displaced(Displaced),
}
