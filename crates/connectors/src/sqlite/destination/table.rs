//! The table of one stream: made on first sight, grown and widened as the stream's schema does, never narrowed.

use rusqlite::{Connection, OptionalExtension};
use tidemark_engine::{
    Digest, Error, LogId,
    schema::{StreamName, StreamSchema},
    write::WriteMode,
};

use super::{START_ANEW, adopt, ledger, rebuild};
use crate::{
    config::Writing,
    metadata,
    sqlite::{
        failure::Result,
        identifier::{check_columns, check_table, fold, quote},
        storage::Storage,
    },
};

/// SQLite's default limit: <https://sqlite.org/limits.html>.
const MAX_COLUMNS: usize = 2000;

/// The metadata columns of `append`, as they are declared.
const APPEND_COLUMNS: [(&str, &str); 4] = [
    (metadata::POSITION, "TEXT NOT NULL"),
    (metadata::OP, "TEXT NOT NULL"),
    (metadata::SOURCE_TIME, "TEXT"),
    (metadata::UNCHANGED, "TEXT"),
];

/// A table that is ready for the changes of one schema.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) stream: StreamName,
    /// Its name as SQL.
    pub(super) name: String,
    /// The newest commit of the log it had seen when this unit began.
    pub(super) applied: Option<u64>,
    /// The newest commit of this unit it has seen.
    pub(super) seen: u64,
    /// The schema it is ready for.
    pub(super) schema: Digest,
    /// For each field of the schema, its column's name as SQL and how the column stores it.
    pub(super) fields: Vec<(String, Storage)>,
    /// All columns, those of others included: the name as SQL and the declared type.
    pub(super) columns: Vec<(String, String)>,
}

/// A column as the database declares it.
#[derive(Debug, Clone)]
pub(super) struct Declared {
    pub(super) name: String,
    pub(super) declared: String,
    /// Its place in the primary key, from 1; 0 when it is not part of it.
    pub(super) key: i64,
}

impl Table {
    /// Makes the table of `schema` ready for it.
    pub(super) fn prepare(
        connection: &Connection,
        writing: &Writing,
        log: &LogId,
        schema: &StreamSchema,
    ) -> Result<Self> {
        let (stream, name) = (schema.stream(), writing.table.of(schema.stream()));
        check_table(&name)?;
        check_mode(writing, schema)?;
        let names = schema.fields().iter().map(|field| field.name.as_str());
        check_columns(&name, names)?;
        if schema.fields().len() + APPEND_COLUMNS.len() > MAX_COLUMNS {
            let count = schema.fields().len();
            return Err(Error::data(format!(
                "stream `{stream}` has {count} columns, more than SQLite can hold"
            ))
            .hint(format!("exclude some: a table holds {} of them", MAX_COLUMNS - APPEND_COLUMNS.len()))
            .into());
        }
        let owner = match ledger::owner(connection, &name, log)? {
            Some(owner) => Some(owner),
            // Another table would begin in the middle of the log.
            None if let Some(kept) = ledger::table_of(connection, &writing.destination, stream)? => {
                let destination = &writing.destination;
                return Err(Error::config(format!(
                    "stream `{stream}` of destination `{destination}` is kept in table `{kept}`, not in `{name}`"
                ))
                .hint(format!("set `table` so that it names `{kept}` again, or give the destination a new name"))
                .into());
            }
            None if adopt::claim(connection, writing, &name)? => {
                ledger::register(connection, &name, stream, &writing.destination, false)?;
                ledger::owner(connection, &name, log)?
            }
            None => None,
        };
        let applied = owner.as_ref().and_then(|owner| owner.applied);
        match owner {
            None => {
                create(connection, writing.mode, &name, schema)?;
                ledger::register(connection, &name, stream, &writing.destination, true)?;
            }
            Some(owner) if owner.stream != stream.as_str() || owner.destination != writing.destination => {
                let ledger::Owned { stream: other, destination, .. } = owner;
                return Err(Error::config(format!(
                    "table `{name}` of stream `{stream}` is written to by stream `{other}` of destination `{destination}`"
                ))
                .hint("give each its own table with `table`; SQLite does not tell upper case from lower case")
                .into());
            }
            Some(owner) if owner.made => adapt(connection, writing.mode, &name, schema)?,
            Some(_) => {
                let fields = adopt::check(connection, writing.mode, &name, schema)?;
                return Self::new(connection, &name, schema, fields, applied);
            }
        }
        let columns = declared(connection, &name)?;
        let fields =
            schema.fields().iter().map(|field| stored(&columns, &field.name)).collect::<Option<Vec<_>>>();
        let fields =
            fields.ok_or_else(|| Error::internal(format!("table `{name}` lacks a column it was given")))?;
        Self::new(connection, &name, schema, fields, applied)
    }

    fn new(
        connection: &Connection,
        name: &str,
        schema: &StreamSchema,
        storages: Vec<Storage>,
        applied: Option<u64>,
    ) -> Result<Self> {
        let columns = declared(connection, name)?.into_iter();
        let columns =
            columns.map(|column| Ok((quote(&column.name)?, column.declared))).collect::<Result<_>>()?;
        let fields = schema.fields().iter().zip(storages);
        Ok(Self {
            stream: schema.stream().clone(),
            name: quote(name)?,
            applied,
            seen: 0,
            schema: schema.digest(),
            fields: fields
                .map(|(field, storage)| Ok((quote(&field.name)?, storage)))
                .collect::<Result<_>>()?,
            columns,
        })
    }

    /// The names of all columns as SQL.
    pub(super) fn column_list(&self) -> String {
        self.columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

fn stored(columns: &[Declared], name: &str) -> Option<Storage> {
    let column = columns.iter().find(|column| fold(&column.name) == fold(name))?;
    Storage::from_declared(&column.declared)
}

fn check_mode(writing: &Writing, schema: &StreamSchema) -> Result<()> {
    if writing.mode == WriteMode::Mirror && schema.key().is_empty() {
        let stream = schema.stream();
        return Err(Error::config(format!("stream `{stream}` has no key, so it cannot be mirrored"))
            .hint(format!(
                "name its key with `streams: {{{stream}: {{key: [...]}}}}`, or use `write: append`"
            ))
            .into());
    }
    Ok(())
}

/// The columns that identify a row, in order.
pub(super) fn key_of(mode: WriteMode, schema: &StreamSchema) -> Vec<String> {
    match mode {
        WriteMode::Append => vec![metadata::POSITION.to_owned()],
        _ => schema.key_names().to_vec(),
    }
}

/// The metadata columns of `mode` and their declarations.
pub(super) fn metadata_of(mode: WriteMode) -> &'static [(&'static str, &'static str)] {
    match mode {
        WriteMode::Append => &APPEND_COLUMNS,
        _ => &[],
    }
}

fn create(connection: &Connection, mode: WriteMode, name: &str, schema: &StreamSchema) -> Result<()> {
    let metadata =
        metadata_of(mode).iter().map(|(name, declared)| ((*name).to_owned(), (*declared).to_owned()));
    let fields = schema.fields().iter();
    let fields = fields.map(|field| (field.name.clone(), Storage::of(&field.kind).declared().to_owned()));
    let columns = metadata.chain(fields).collect::<Vec<_>>();
    connection.execute_batch(&create_sql(name, &columns, &key_of(mode, schema))?)?;
    Ok(())
}

/// The statement that makes a table.
pub(super) fn create_sql(name: &str, columns: &[(String, String)], key: &[String]) -> Result<String> {
    let mut parts = Vec::with_capacity(columns.len() + 1);
    for (column, declared) in columns {
        parts.push(format!("{} {declared}", quote(column)?));
    }
    let quoted = key.iter().map(|name| quote(name)).collect::<Result<Vec<_>, _>>()?;
    parts.push(format!("PRIMARY KEY ({})", quoted.join(", ")));
    // A single INTEGER key is the row id itself. Any other would cost a second tree beside the rows; without a row id the
    // key's tree holds the rows.
    let single = match key {
        [key] => columns.iter().find(|(name, _)| name == key),
        _ => None,
    };
    let is_row_id = single.is_some_and(|(_, declared)| declared == Storage::Integer.declared());
    let suffix = if is_row_id { "" } else { " WITHOUT ROWID" };
    Ok(format!("CREATE TABLE {} ({}){suffix}", quote(name)?, parts.join(", ")))
}

/// Adds and widens columns of a table we made until it can hold the changes of `schema`.
fn adapt(connection: &Connection, mode: WriteMode, name: &str, schema: &StreamSchema) -> Result<()> {
    let mut columns = declared(connection, name)?;
    if columns.is_empty() {
        return Err(Error::conflict(format!("table `{name}` has been removed")).hint(START_ANEW).into());
    }
    let had = key_columns(&columns);
    let key = key_of(mode, schema);
    if had.iter().map(|name| fold(name)).ne(key.iter().map(|name| fold(name))) {
        return Err(Error::conflict(format!(
            "table `{name}` has the key `{}`, but its stream now asks for `{}`",
            had.join("`, `"),
            key.join("`, `")
        ))
        .hint(START_ANEW)
        .into());
    }
    let mut widened = false;
    for field in schema.fields() {
        let storage = Storage::of(&field.kind);
        match columns.iter_mut().find(|column| fold(&column.name) == fold(&field.name)) {
            Some(column) => {
                // A type that is not ours is somebody's alteration; text holds everything.
                let stored = Storage::from_declared(&column.declared).unwrap_or(Storage::Text);
                let wide = stored.widen(storage).declared();
                if wide != column.declared {
                    column.declared = wide.to_owned();
                    widened = true;
                }
            }
            None => {
                let (table, column) = (quote(name)?, quote(&field.name)?);
                let declared = storage.declared();
                connection.execute_batch(&format!("ALTER TABLE {table} ADD COLUMN {column} {declared}"))?;
                columns.push(Declared { name: field.name.clone(), declared: declared.to_owned(), key: 0 });
            }
        }
    }
    if columns.len() > MAX_COLUMNS {
        return Err(Error::data(format!("table `{name}` would have more than {MAX_COLUMNS} columns")).into());
    }
    if widened { rebuild::rebuild(connection, name, &columns) } else { Ok(()) }
}

/// The names of the primary key's columns, in its order.
pub(super) fn key_columns(columns: &[Declared]) -> Vec<String> {
    let mut key = columns.iter().filter(|column| column.key > 0).collect::<Vec<_>>();
    key.sort_by_key(|column| column.key);
    key.into_iter().map(|column| column.name.clone()).collect()
}

/// The columns of `table`, in order, without generated ones; none when there is no such table.
pub(super) fn declared(connection: &Connection, table: &str) -> Result<Vec<Declared>> {
    let mut statement = connection
        .prepare("SELECT name, type, pk FROM pragma_table_xinfo(?1) WHERE hidden = 0 ORDER BY cid")?;
    let columns = statement.query_map([table], |row| {
        Ok(Declared { name: row.get(0)?, declared: row.get(1)?, key: row.get(2)? })
    })?;
    Ok(columns.collect::<Result<_, _>>()?)
}

/// What kind of thing `name` is in the database: `table`, `view`, `index`.
pub(super) fn object_type(connection: &Connection, name: &str) -> Result<Option<String>> {
    let sql = "SELECT type FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE AND type <> 'trigger'";
    Ok(connection.query_row(sql, [name], |row| row.get(0)).optional()?)
}
