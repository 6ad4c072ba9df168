//! What a table holds becomes what its shadow holds.

use rusqlite::Connection;
use tidemark_engine::{Time, schema::StreamName};

use super::{
    adopt,
    declared::{declared, find},
    ledger, rebuild,
    shape::{Index, OnKey, Shape},
    table::{Ready, Terms},
};
use crate::{
    metadata::{DELETED_AT, POSITION, VALID_FROM, VALID_TO},
    sqlite::{
        failure::Result,
        identifier::{fold, quote},
    },
};

/// A table `t` and its shadow `s`, which has none but columns that the table has, stored alike.
pub(super) struct Exchange<'a> {
    connection: &'a Connection,
    shape: Shape,
    /// The table's name.
    name: String,
    /// Both as SQL.
    table: String,
    shadow: String,
    /// All columns of the shadow as SQL.
    columns: Vec<String>,
    /// Whether we made the table.
    made: bool,
    /// The newest commits that the two have seen.
    pub(super) applied: Option<u64>,
    pub(super) shadow_applied: Option<u64>,
}

/// What becomes of the records of a table whose stream has none.
#[derive(Debug, Clone, Copy)]
pub(super) enum Vacancy {
    Empty,
    /// They stay, and say that they were deleted.
    Deleted(Time),
    /// Their versions end.
    Ended(Time),
}

/// Has `table`, given as SQL, hold no record.
pub(super) fn vacate(connection: &Connection, table: &str, vacancy: Vacancy) -> Result<()> {
    match vacancy {
        Vacancy::Empty => connection.execute(&format!("DELETE FROM {table}"), [])?,
        Vacancy::Deleted(time) => connection.execute(
            &format!("UPDATE {table} SET {DELETED_AT} = ?1 WHERE {DELETED_AT} IS NULL"),
            [time.to_string()],
        )?,
        // Of times of ours the texts sort as the times do.
        Vacancy::Ended(time) => connection.execute(
            &format!("UPDATE {table} SET {VALID_TO} = max(?1, {VALID_FROM}) WHERE {VALID_TO} IS NULL"),
            [time.to_string()],
        )?,
    };
    Ok(())
}

impl<'a> Exchange<'a> {
    /// Makes the table of `stream` ready to hold what `shadow` does: it is made, grown, widened, or emptied and given another key.
    pub(super) fn prepare(terms: Terms<'a>, stream: &StreamName, shadow: &str) -> Result<Self> {
        let Terms { connection, writing, log, identity } = terms;
        let shape = Shape::of_table(connection, writing.mode, shadow)?;
        let name = identity.table(writing, stream);
        let Ready { storages, applied, made } = terms.ready(stream, &name, &shape, OnKey::Change)?;
        // What is compared and copied must be stored alike.
        let mut columns = declared(connection, shadow)?;
        let of_table = declared(connection, &name)?;
        let types = || of_table.iter().map(|column| (column.name.as_str(), column.declared.as_str()));
        let mut differs = false;
        for (wanted, storage) in shape.columns.iter().zip(storages) {
            let own = columns.iter_mut().find(|column| fold(&column.name) == fold(&wanted.name));
            let altering =
                find(types(), &wanted.name).filter(|declared| adopt::alters_floats(declared, storage));
            let Some(own) = own.filter(|_| wanted.storage != storage || altering.is_some()) else { continue };
            // Where SQLite alters values as it stores them, it must alter both.
            altering.unwrap_or_else(|| storage.declared()).clone_into(&mut own.declared);
            differs = true;
        }
        if differs {
            rebuild::rebuild(connection, shadow, &columns)?;
        }
        let columns = columns.iter().map(|column| quote(&column.name)).collect::<Result<Vec<_>, _>>()?;
        let shadow_applied = ledger::owner(connection, shadow, log)?.and_then(|owner| owner.applied);
        let (table, shadow) = (quote(&name)?, quote(shadow)?);
        Ok(Self { connection, shape, name, table, shadow, columns, made, applied, shadow_applied })
    }

    /// Adds the records that the table lacks.
    pub(super) fn add_missing(&self) -> Result<()> {
        self.insert_missing(&self.same(&self.shape.primary_key())?)
    }

    /// Has the table hold exactly what the shadow holds.
    pub(super) fn become_shadow(&self) -> Result<()> {
        let key = self.shape.primary_key();
        if key.is_empty() {
            self.execute(&format!("DELETE FROM {}", self.table))?;
            let columns = self.columns.join(", ");
            return self.execute(&format!(
                "INSERT INTO {} ({columns}) SELECT {columns} FROM {}",
                self.table, self.shadow
            ));
        }
        let same = self.same(&key)?;
        // Between one version and the next it would stand in the way.
        if self.made {
            self.shape.drop_index(self.connection, &self.name)?;
        }
        self.execute(&format!(
            "DELETE FROM {} AS t WHERE NOT EXISTS (SELECT 1 FROM {} AS s WHERE {same})",
            self.table, self.shadow
        ))?;
        self.update_differing(&same)?;
        self.insert_missing(&same)?;
        self.index()
    }

    /// Has the table hold what the shadow holds, and what it lacks as deleted at `time`.
    pub(super) fn become_shadow_marking(&self, time: Time) -> Result<()> {
        let same = self.same(&self.shape.key)?;
        let sql = format!(
            "UPDATE {} AS t SET {DELETED_AT} = ?1
             WHERE t.{DELETED_AT} IS NULL AND NOT EXISTS (SELECT 1 FROM {} AS s WHERE {same})",
            self.table, self.shadow
        );
        self.connection.execute(&sql, [time.to_string()])?;
        self.update_differing(&same)?;
        self.insert_missing(&same)
    }

    /// Has the history in the table go on with the versions that are valid in the shadow: what the shadow lacks has ended by
    /// `time`, what differs ends when the shadow's version begins, and what is equal goes on.
    pub(super) fn continue_with_shadow(&self, time: Time) -> Result<()> {
        let Self { table, shadow, .. } = self;
        let same = self.same(&self.shape.key)?;
        let both = format!("t.{VALID_TO} IS NULL AND s.{VALID_TO} IS NULL");
        // One change makes one version: where the two disagree about it, the newer reading is right.
        let one = format!("{both} AND s.{POSITION} = t.{POSITION}");
        let fields = self.shape.columns.iter().map(|column| quote(&column.name));
        let fields = fields.collect::<Result<Vec<_>, _>>()?;
        let (set, differs) = (set(&fields), differs(&fields));
        self.execute(&format!("UPDATE {table} AS t SET {set} FROM {shadow} AS s WHERE {one} AND {differs}"))?;
        let sql = format!(
            "UPDATE {table} AS t SET {VALID_TO} = max(?1, t.{VALID_FROM})
             WHERE t.{VALID_TO} IS NULL
               AND NOT EXISTS (SELECT 1 FROM {shadow} AS s WHERE s.{VALID_TO} IS NULL AND {same})"
        );
        self.connection.execute(&sql, [time.to_string()])?;
        // No version begins before the one it follows.
        self.execute(&format!(
            "UPDATE {shadow} AS s SET {VALID_FROM} = max(s.{VALID_FROM}, t.{VALID_FROM})
             FROM {table} AS t WHERE {both} AND {same}"
        ))?;
        let is_known = format!("EXISTS (SELECT 1 FROM {table} AS o WHERE o.{POSITION} = s.{POSITION})");
        self.execute(&format!(
            "UPDATE {table} AS t SET {VALID_TO} = s.{VALID_FROM} FROM {shadow} AS s
             WHERE {both} AND {same} AND NOT {is_known} AND {differs}"
        ))?;
        let columns = self.columns.join(", ");
        self.execute(&format!(
            "INSERT INTO {table} ({columns}) SELECT {columns} FROM {shadow} AS s
             WHERE s.{VALID_TO} IS NULL AND NOT {is_known}
               AND NOT EXISTS (SELECT 1 FROM {table} AS t WHERE t.{VALID_TO} IS NULL AND {same})"
        ))?;
        self.index()
    }

    /// Has the table's index, which may have been another for a while, say that a key has one valid version.
    fn index(&self) -> Result<()> {
        if !self.made || self.shape.has_index(self.connection, &self.name)? {
            return Ok(());
        }
        self.shape.drop_index(self.connection, &self.name)?;
        self.shape.index(self.connection, &self.name, Index::Unique)
    }

    /// The condition that rows of the two have the same `key`. The shadow's side comes first, for its columns compare bytes.
    fn same(&self, key: &[String]) -> Result<String> {
        let key = key.iter().map(|name| quote(name)).collect::<Result<Vec<_>, _>>()?;
        let parts = key.iter().map(|name| format!("s.{name} = t.{name}"));
        Ok(parts.collect::<Vec<_>>().join(" AND "))
    }

    fn update_differing(&self, same: &str) -> Result<()> {
        let (set, differs) = (set(&self.columns), differs(&self.columns));
        self.execute(&format!(
            "UPDATE {} AS t SET {set} FROM {} AS s WHERE {same} AND {differs}",
            self.table, self.shadow
        ))
    }

    fn insert_missing(&self, same: &str) -> Result<()> {
        let columns = self.columns.join(", ");
        self.execute(&format!(
            "INSERT INTO {table} ({columns}) SELECT {columns} FROM {shadow} AS s
             WHERE NOT EXISTS (SELECT 1 FROM {table} AS t WHERE {same})",
            table = self.table,
            shadow = self.shadow
        ))
    }

    fn execute(&self, sql: &str) -> Result<()> {
        self.connection.execute(sql, [])?;
        Ok(())
    }
}

/// The assignments that give a table's row the values of its shadow's.
fn set(columns: &[String]) -> String {
    columns.iter().map(|name| format!("{name} = s.{name}")).collect::<Vec<_>>().join(", ")
}

/// The condition that values differ in anything at all: to SQLite 1 is 1.0.
fn differs(columns: &[String]) -> String {
    match columns {
        [name] => format!("(s.{name} IS NOT t.{name} OR typeof(s.{name}) <> typeof(t.{name}))"),
        // Expressions may be only so deep.
        _ => {
            let (left, right) = columns.split_at(columns.len() / 2);
            format!("({} OR {})", differs(left), differs(right))
        }
    }
}
