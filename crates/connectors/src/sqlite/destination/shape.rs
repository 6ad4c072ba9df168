//! What a stream asks of its table: columns and a key, as its schema tells them or a shadow of the table has them.

use rusqlite::Connection;
use tidemark_engine::{Error, schema::StreamSchema, write::WriteMode};

use super::{
    START_ANEW,
    declared::{Declared, declared, find, key_columns},
    rebuild,
};
use crate::{
    metadata,
    sqlite::{
        failure::Result,
        identifier::{fold, quote},
        storage::Storage,
    },
};

/// SQLite's default limit: <https://sqlite.org/limits.html>.
const MAX_COLUMNS: usize = 2000;

const APPEND_COLUMNS: [(&str, &str); 4] = [
    (metadata::POSITION, "TEXT NOT NULL"),
    (metadata::OP, "TEXT NOT NULL"),
    (metadata::SOURCE_TIME, "TEXT"),
    (metadata::UNCHANGED, "TEXT"),
];

const HISTORY_COLUMNS: [(&str, &str); 3] = [
    (metadata::POSITION, "TEXT NOT NULL"),
    (metadata::VALID_FROM, "TEXT NOT NULL"),
    (metadata::VALID_TO, "TEXT"),
];

/// The metadata columns of `mode` and their declarations. That of `soft-delete` is a field of the changes themselves.
pub(super) fn metadata_of(mode: WriteMode) -> &'static [(&'static str, &'static str)] {
    match mode {
        WriteMode::Append => &APPEND_COLUMNS,
        WriteMode::History => &HISTORY_COLUMNS,
        WriteMode::Mirror | WriteMode::SoftDelete | WriteMode::Replace => &[],
    }
}

/// The name of the index that finds the valid version of each key in the history `table`.
pub(super) fn current_index(table: &str) -> String {
    format!("_tidemark_current_{table}")
}

/// What a table must have.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) mode: WriteMode,
    /// Its columns beside the metadata of the mode, in order.
    pub(super) columns: Vec<Wanted>,
    /// The columns that tell records apart.
    pub(super) key: Vec<String>,
}

/// A column that a table must have.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) storage: Storage,
    /// What is in it, for people.
    pub(super) kind: String,
}

/// What becomes of a table whose stream has another key now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnKey {
    Refuse,
    /// It is emptied and given the key; what it then holds is all brought anew.
    Change,
}

/// What the index of a history's valid versions says of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Index {
    /// A key has one valid version.
    Unique,
    /// It may have more for a while, by a key that is new.
    Lookup,
}

impl Shape {
    /// For changes of `schema`.
    pub(super) fn of_schema(mode: WriteMode, schema: &StreamSchema) -> Self {
        let columns = schema.fields().iter().map(|field| Wanted {
            name: field.name.clone(),
            storage: Storage::of(&field.kind),
            kind: field.kind.name().to_string(),
        });
        Self { mode, columns: columns.collect(), key: schema.key_names().to_vec() }
    }

    /// For what `table` holds, one that we made.
    pub(super) fn of_table(connection: &Connection, mode: WriteMode, table: &str) -> Result<Self> {
        let columns = declared(connection, table)?;
        let key = key_of(connection, mode, table, &columns)?.unwrap_or_default();
        let is_metadata = |name: &str| metadata_of(mode).iter().any(|(metadata, _)| *metadata == name);
        let fields = columns.into_iter().filter(|column| !is_metadata(&column.name));
        let columns = fields.map(|Declared { name, declared, .. }| Wanted {
            name,
            storage: Storage::from_declared(&declared).unwrap_or(Storage::Text),
            kind: declared.to_ascii_lowercase(),
        });
        Ok(Self { mode, columns: columns.collect(), key })
    }

    /// Refuses what SQLite cannot hold.
    pub(super) fn check_size(&self, table: &str) -> Result<()> {
        if self.columns.len() + APPEND_COLUMNS.len() <= MAX_COLUMNS {
            return Ok(());
        }
        let count = self.columns.len();
        Err(Error::data(format!("table `{table}` would have {count} columns, more than SQLite can hold"))
            .hint(format!("exclude some: a table holds {} of them", MAX_COLUMNS - APPEND_COLUMNS.len()))
            .into())
    }

    /// The columns that identify a row.
    pub(super) fn primary_key(&self) -> Vec<String> {
        match self.mode {
            WriteMode::Append | WriteMode::History => vec![metadata::POSITION.to_owned()],
            WriteMode::Mirror | WriteMode::SoftDelete | WriteMode::Replace => self.key.clone(),
        }
    }

    /// Makes `table`.
    pub(super) fn create(&self, connection: &Connection, table: &str) -> Result<()> {
        let mut columns = Vec::new();
        for (name, declared) in metadata_of(self.mode) {
            columns.push(((*name).to_owned(), (*declared).to_owned()));
        }
        for Wanted { name, storage, .. } in &self.columns {
            columns.push((name.clone(), storage.declared().to_owned()));
        }
        connection.execute_batch(&create_sql(table, &columns, &self.primary_key())?)?;
        self.index(connection, table, Index::Unique)
    }

    /// Makes the index of a history, where it is missing.
    pub(super) fn index(&self, connection: &Connection, table: &str, index: Index) -> Result<()> {
        if self.mode != WriteMode::History {
            return Ok(());
        }
        let key = self.key.iter().map(|name| quote(name)).collect::<Result<Vec<_>, _>>()?.join(", ");
        let unique = if index == Index::Unique { "UNIQUE" } else { "" };
        let (index, table) = (quote(&current_index(table))?, quote(table)?);
        connection.execute_batch(&format!(
            "CREATE {unique} INDEX IF NOT EXISTS {index} ON {table} ({key}) WHERE {} IS NULL",
            metadata::VALID_TO
        ))?;
        Ok(())
    }

    /// Whether the index is as it should be.
    pub(super) fn has_index(&self, connection: &Connection, table: &str) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM pragma_index_list(?1) WHERE name = ?2 AND \"unique\" = 1)";
        Ok(connection.query_row(sql, [table, &current_index(table)], |row| row.get(0))?)
    }

    /// Removes the index of a history.
    pub(super) fn drop_index(&self, connection: &Connection, table: &str) -> Result<()> {
        if self.mode == WriteMode::History {
            let index = quote(&current_index(table))?;
            connection.execute_batch(&format!("DROP INDEX IF EXISTS {index}"))?;
        }
        Ok(())
    }

    /// Adds and widens columns of `table`, which we made, until it can hold what is wanted.
    pub(super) fn fit(&self, connection: &Connection, table: &str, on_key: OnKey) -> Result<()> {
        let mut columns = declared(connection, table)?;
        if columns.is_empty() {
            return Err(Error::conflict(format!("table `{table}` has been removed")).hint(START_ANEW).into());
        }
        let had = key_of(connection, self.mode, table, &columns)?;
        let same =
            |had: &[String]| had.iter().map(|name| fold(name)).eq(self.key.iter().map(|name| fold(name)));
        let is_new = self.mode != WriteMode::Append && had.as_ref().is_some_and(|had| !same(had));
        if is_new && on_key == OnKey::Refuse {
            let had = had.unwrap_or_default();
            return Err(another_key(table, &had, &self.key).into());
        }
        let mut rewritten = false;
        for Wanted { name, storage, .. } in &self.columns {
            match columns.iter_mut().find(|column| fold(&column.name) == fold(name)) {
                Some(column) => {
                    // A type that is not ours is somebody's alteration; text holds everything.
                    let stored = Storage::from_declared(&column.declared).unwrap_or(Storage::Text);
                    let wide = stored.widen(*storage).declared();
                    if wide != column.declared {
                        column.declared = wide.to_owned();
                        rewritten = true;
                    }
                }
                None => {
                    let (sql, declared) = (quote(name)?, storage.declared());
                    let quoted = quote(table)?;
                    connection.execute_batch(&format!("ALTER TABLE {quoted} ADD COLUMN {sql} {declared}"))?;
                    columns.push(Declared::new(name, declared));
                }
            }
        }
        if columns.len() > MAX_COLUMNS {
            let message = format!("table `{table}` would have more than {MAX_COLUMNS} columns");
            return Err(Error::data(message).into());
        }
        if is_new {
            self.drop_index(connection, table)?;
            self.index(connection, table, Index::Lookup)?;
            // The versions of a history are told apart by their position, whatever the key.
            if self.mode != WriteMode::History {
                connection.execute(&format!("DELETE FROM {}", quote(table)?), [])?;
                self.set_key(&mut columns);
                rewritten = true;
            }
        }
        if rewritten { rebuild::rebuild(connection, table, &columns) } else { Ok(()) }
    }

    fn set_key(&self, columns: &mut [Declared]) {
        for column in columns {
            let place = self.key.iter().position(|name| fold(name) == fold(&column.name));
            column.key = place.map_or(0, |place| place as i64 + 1);
        }
    }
}

/// The columns that tell records of `table` apart; `None` where that cannot be told any more.
fn key_of(
    connection: &Connection,
    mode: WriteMode,
    table: &str,
    columns: &[Declared],
) -> Result<Option<Vec<String>>> {
    if mode != WriteMode::History {
        return Ok(Some(key_columns(columns)));
    }
    let mut statement = connection.prepare("SELECT name FROM pragma_index_info(?1) ORDER BY seqno")?;
    let names = statement.query_map([current_index(table)], |row| row.get(0))?;
    let names = names.collect::<Result<Vec<String>, _>>()?;
    Ok((!names.is_empty()).then_some(names))
}

fn another_key(table: &str, had: &[String], asked: &[String]) -> Error {
    let told = |key: &[String]| match key {
        [] => "no key".to_owned(),
        key => format!("the key `{}`", key.join("`, `")),
    };
    let message = format!("table `{table}` has {}, but its stream now asks for {}", told(had), told(asked));
    // As it was always said where both have one.
    let message = message.replace("asks for the key ", "asks for ");
    Error::conflict(message).hint(START_ANEW)
}

/// The statement that makes a table of `columns`, each with its declaration.
pub(super) fn create_sql(name: &str, columns: &[(String, String)], key: &[String]) -> Result<String> {
    let mut parts = Vec::with_capacity(columns.len() + 1);
    for (column, declared) in columns {
        parts.push(format!("{} {declared}", quote(column)?));
    }
    if key.is_empty() {
        return Ok(format!("CREATE TABLE {} ({})", quote(name)?, parts.join(", ")));
    }
    let quoted = key.iter().map(|name| quote(name)).collect::<Result<Vec<_>, _>>()?;
    parts.push(format!("PRIMARY KEY ({})", quoted.join(", ")));
    // A single INTEGER key is the row id itself. Any other would cost a second tree beside the rows; without a row id the
    // key's tree holds the rows.
    let single = match key {
        [key] => find(columns.iter().map(|(name, declared)| (name.as_str(), declared.as_str())), key),
        _ => None,
    };
    let suffix = if single == Some(Storage::Integer.declared()) { "" } else { " WITHOUT ROWID" };
    Ok(format!("CREATE TABLE {} ({}){suffix}", quote(name)?, parts.join(", ")))
}
