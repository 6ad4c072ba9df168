//! Versions of a history that ended within this unit, for changes that still ask for them.
//!
//! A source that checks its keys at the end of a transaction may swap two of them: 1 becomes 2, then 2 becomes 1. With the
//! first change the version under 2 has ended, and the second one asks for it: it is *displaced*. And where a version ended
//! later than the change says that ended it, because it began later, the next one under its key must not begin before.

use rusqlite::{CachedStatement, Connection};
use tidemark_engine::Time;

use super::{incoming::Incoming, rebuild, table::Table};
use crate::{metadata, sqlite::failure::Result};

const ID: &str = "_tidemark_departed";
const DISPLACED: &str = "_tidemark_displaced";

/// Versions of one table that ended.
#[derive(Debug)]
pub(super) struct Departed {
    /// The temporary table's name as SQL.
    name: String,
    /// The columns of the key it was made with, once it was: names as SQL and the types that the table declares.
    made: Option<Vec<(String, String)>>,
}

/// A version that waits for the change that moves or deletes its record.
pub(super) struct Displaced {
    id: i64,
    pub(super) position: String,
    pub(super) valid_to: Time,
}

impl Departed {
    /// Those of the table numbered `number`.
    pub(super) fn new(number: usize) -> Self {
        Self { name: format!("temp._tidemark_departed_{number}"), made: None }
    }

    /// Forgets all: at the end of a unit nothing can ask for them any more.
    pub(super) fn clear(&mut self, connection: &Connection) -> Result<()> {
        if self.made.is_some() {
            connection.execute_batch(&format!("DROP TABLE {}", self.name))?;
        }
        self.made = None;
        Ok(())
    }

    /// Has what is noted follow `table`, which has grown or widened.
    pub(super) fn follow(&mut self, connection: &Connection, table: &Table) -> Result<()> {
        if let Some(before) = &mut self.made {
            let key = before.iter().map(|(name, _)| (name.clone(), table.declared(name).to_owned()));
            let key = key.collect::<Vec<_>>();
            rebuild::refit(connection, (&self.name, ID), &table.name, before, &key)?;
            *before = key;
        }
        Ok(())
    }

    /// Notes that all valid versions end, at `time` or when they began where that is later.
    pub(super) fn all_end(&mut self, rows: &Incoming<'_>, time: Time) -> Result<()> {
        let (connection, table, time) = (rows.connection, &rows.table.name, time.to_string());
        let (at, from, to) = (metadata::POSITION, metadata::VALID_FROM, metadata::VALID_TO);
        // Of times of ours the texts sort as the times do.
        let later = format!("FROM {table} WHERE {to} IS NULL AND {from} > ?1");
        if connection.query_row(&format!("SELECT EXISTS (SELECT 1 {later})"), [&time], |row| row.get(0))? {
            self.make(connection, rows.table, rows.key())?;
            let (name, key) = (&self.name, key_of(rows));
            let sql = format!(
                "INSERT INTO {name} ({key}, {at}, {to}, {DISPLACED}) SELECT {key}, {at}, {from}, 0 {later}"
            );
            connection.execute(&sql, [&time])?;
        }
        if self.made.is_some() {
            connection.execute(&format!("UPDATE {} SET {DISPLACED} = 0", self.name), [])?;
        }
        Ok(())
    }

    /// Notes that the version at `position` has ended.
    pub(super) fn note(&mut self, rows: &Incoming<'_>, position: &str, displaced: bool) -> Result<()> {
        self.make(rows.connection, rows.table, rows.key())?;
        let key = key_of(rows);
        let (at, to) = (metadata::POSITION, metadata::VALID_TO);
        let sql = format!(
            "INSERT INTO {} ({key}, {at}, {to}, {DISPLACED}) SELECT {key}, {at}, {to}, ?2 FROM {} WHERE {at} = ?1",
            self.name, rows.table.name
        );
        rows.connection.prepare_cached(&sql)?.execute((position, displaced))?;
        Ok(())
    }

    /// The version that was displaced longest ago under a key, which `bind` binds from parameter 1 on.
    pub(super) fn displaced(
        &self,
        rows: &Incoming<'_>,
        bind: impl FnOnce(&mut CachedStatement<'_>) -> Result<()>,
    ) -> Result<Option<Displaced>> {
        if self.made.is_none() {
            return Ok(None);
        }
        let sql = format!(
            "SELECT {ID}, {}, {} FROM {} WHERE {} AND {DISPLACED} ORDER BY {ID} LIMIT 1",
            metadata::POSITION,
            metadata::VALID_TO,
            self.name,
            rows.key_is(1)
        );
        let mut find = rows.connection.prepare_cached(&sql)?;
        bind(&mut find)?;
        let mut found = find.raw_query();
        let Some(row) = found.next()? else { return Ok(None) };
        let valid_to = super::history::time(row.get_ref(2)?)?;
        Ok(Some(Displaced { id: row.get(0)?, position: row.get(1)?, valid_to }))
    }

    /// Notes that the change has come which `displaced` waited for.
    pub(super) fn release(&self, connection: &Connection, displaced: &Displaced) -> Result<()> {
        let sql = format!("UPDATE {} SET {DISPLACED} = 0 WHERE {ID} = ?1", self.name);
        connection.prepare_cached(&sql)?.execute([displaced.id])?;
        Ok(())
    }

    /// When the last version under the key of `row` ended, as far as it is noted.
    pub(super) fn last_under_key(&self, rows: &Incoming<'_>, row: usize) -> Result<Option<Time>> {
        if self.made.is_none() {
            return Ok(None);
        }
        let (to, key_is) = (metadata::VALID_TO, rows.key_is(1));
        let sql = format!("SELECT {to} FROM {} WHERE {key_is} ORDER BY {ID} DESC LIMIT 1", self.name);
        let mut find = rows.connection.prepare_cached(&sql)?;
        rows.bind_key(&mut find, 1, row, &mut String::new())?;
        let mut found = find.raw_query();
        let last = found.next()?.map(|row| super::history::time(row.get_ref(0)?)).transpose()?;
        Ok(last)
    }

    /// Makes the temporary table. The columns of the key have no types, so values keep their form.
    fn make(&mut self, connection: &Connection, table: &Table, key: &[usize]) -> Result<()> {
        if self.made.is_some() {
            return Ok(());
        }
        let names = key.iter().map(|&index| table.fields[index].0.clone()).collect::<Vec<_>>();
        let (name, columns) = (&self.name, names.join(", "));
        let (at, to) = (metadata::POSITION, metadata::VALID_TO);
        let index = name.replace("_departed_", "_departed_key_");
        let bare = name.trim_start_matches("temp.");
        connection.execute_batch(&format!(
            "CREATE TABLE {name} ({ID} INTEGER PRIMARY KEY, {columns}, {at} TEXT, {to} TEXT, {DISPLACED} INTEGER);
             CREATE INDEX {index} ON {bare} ({columns})"
        ))?;
        let declared = |name: String| (table.declared(&name).to_owned(), name);
        self.made = Some(names.into_iter().map(declared).map(|(declared, name)| (name, declared)).collect());
        Ok(())
    }
}

/// The columns of the key as SQL.
fn key_of(rows: &Incoming<'_>) -> String {
    let names = rows.key().iter().map(|&index| rows.table.fields[index].0.as_str());
    names.collect::<Vec<_>>().join(", ")
}
