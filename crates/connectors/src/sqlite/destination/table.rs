//! The table of one stream: made on first sight, grown and widened as the stream's schema does, never narrowed.

use tidemark_engine::{
    Digest, Error, LogId,
    schema::{StreamName, StreamSchema},
    write::WriteMode,
};

use rusqlite::Connection;

use super::{
    adopt,
    declared::{declared, find},
    ledger,
    shape::{OnKey, Shape},
};
use crate::{
    config::Writing,
    metadata,
    sqlite::{
        failure::Result,
        identifier::{check_columns, check_table, quote},
        storage::Storage,
    },
    tables::Identity,
};

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

/// What tables are made and kept by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms<'a> {
    pub(super) connection: &'a Connection,
    pub(super) writing: &'a Writing,
    pub(super) log: &'a LogId,
    pub(super) identity: &'a Identity,
}

/// How a table can take what is wanted of it.
#[derive(Debug)]
pub(super) struct Ready {
    /// How each wanted column is stored.
    pub(super) storages: Vec<Storage>,
    /// The newest commit of the log it has seen.
    pub(super) applied: Option<u64>,
    /// Whether we made it.
    pub(super) made: bool,
}

impl Table {
    /// Makes the table of `schema` ready for it.
    pub(super) fn prepare(terms: Terms<'_>, schema: &StreamSchema) -> Result<Self> {
        let (stream, mode) = (schema.stream(), terms.writing.mode);
        let name = terms.identity.table(terms.writing, stream);
        check_key(mode, schema)?;
        let shape = Shape::of_schema(mode, schema);
        let Ready { storages, applied, .. } = terms.ready(stream, &name, &shape, OnKey::Refuse)?;
        let columns = declared(terms.connection, &name)?.into_iter();
        let columns =
            columns.map(|column| Ok((quote(&column.name)?, column.declared))).collect::<Result<_>>()?;
        let fields = schema.fields().iter().zip(storages);
        Ok(Self {
            stream: stream.clone(),
            name: quote(&name)?,
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

    /// The declared type of the column `name`, given as SQL.
    pub(super) fn declared(&self, name: &str) -> &str {
        find(self.columns.iter().map(|(name, declared)| (name.as_str(), declared.as_str())), name)
            .unwrap_or_default()
    }

    /// The column that tells when a record was deleted, in `soft-delete`.
    pub(super) fn deleted_at(&self) -> Option<&str> {
        // It is the last field, and no stream has a field of that name.
        let (name, _) = self.fields.last()?;
        (name.trim_matches('"') == metadata::DELETED_AT).then_some(name)
    }
}

impl Terms<'_> {
    /// Makes `table` ready to hold `shape` of `stream`.
    pub(super) fn ready(
        self,
        stream: &StreamName,
        table: &str,
        shape: &Shape,
        on_key: OnKey,
    ) -> Result<Ready> {
        let connection = self.connection;
        check_table(&self.writing.table.of(stream))?;
        check_columns(table, shape.columns.iter().map(|column| column.name.as_str()))?;
        shape.check_size(table)?;
        let owner = self.owner(stream, table)?;
        let applied = owner.as_ref().and_then(|owner| owner.applied);
        match owner {
            None => {
                shape.create(connection, table)?;
                let name = self.identity.name();
                ledger::register(connection, table, stream, name, true, shape.mode)?;
            }
            Some(owner) if owner.made => shape.fit(connection, table, on_key)?,
            Some(_) => {
                let storages = adopt::check(connection, table, shape)?;
                return Ok(Ready { storages, applied, made: false });
            }
        }
        let columns = declared(connection, table)?;
        let stored = |name: &str| {
            let columns = columns.iter().map(|column| (column.name.as_str(), column.declared.as_str()));
            Storage::from_declared(find(columns, name)?)
        };
        let storages = shape.columns.iter().map(|column| stored(&column.name)).collect::<Option<Vec<_>>>();
        let storages = storages
            .ok_or_else(|| Error::internal(format!("table `{table}` lacks a column it was given")))?;
        Ok(Ready { storages, applied, made: true })
    }

    /// Whether `table` is there, and `stream` may be written to it; `None` when it is to be made.
    pub(super) fn owner(self, stream: &StreamName, table: &str) -> Result<Option<ledger::Owned>> {
        let Self { connection, writing, log, identity } = self;
        let destination = &writing.destination;
        let Some(owner) = ledger::owner(connection, table, log)? else {
            if let Some(kept) = ledger::table_of(connection, identity.name(), stream)? {
                // Another table would begin in the middle of the log.
                return Err(Error::config(format!(
                    "stream `{stream}` of destination `{destination}` is kept in table `{kept}`, not in `{table}`"
                ))
                .hint(format!("set `table` so that it names `{kept}` again, or give the destination a new name"))
                .into());
            }
            if identity.is_hidden() || !adopt::claim(connection, writing, table)? {
                return Ok(None);
            }
            ledger::register(connection, table, stream, identity.name(), false, writing.mode)?;
            return ledger::owner(connection, table, log);
        };
        if owner.stream != stream.as_str() || owner.destination != identity.name() {
            let ledger::Owned { stream: other, destination, .. } = owner;
            return Err(Error::config(format!(
                "table `{table}` of stream `{stream}` is written to by stream `{other}` of destination `{destination}`"
            ))
            .hint("give each its own table with `table`; SQLite does not tell upper case from lower case")
            .into());
        }
        check_mode(table, &owner.mode, writing.mode)?;
        Ok(Some(owner))
    }
}

/// Refuses a table that is kept in another mode: what it holds means something else.
pub(super) fn check_mode(table: &str, kept: &str, mode: WriteMode) -> Result<()> {
    if kept == mode.as_str() {
        return Ok(());
    }
    Err(Error::conflict(format!("table `{table}` was made for another write mode, `{kept}`"))
        .hint("go back to the former `write`, or give the destination another name and `table`")
        .into())
}

fn check_key(mode: WriteMode, schema: &StreamSchema) -> Result<()> {
    if mode.needs_key() && schema.key().is_empty() {
        let (stream, mode) = (schema.stream(), mode.as_str());
        return Err(Error::config(format!(
            "stream `{stream}` has no key, and `{mode}` tells records apart by their key"
        ))
        .hint(format!("name its key with `streams: {{{stream}: {{key: [...]}}}}`, or use `write: append`"))
        .into());
    }
    Ok(())
}
