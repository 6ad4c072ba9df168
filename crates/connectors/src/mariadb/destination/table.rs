//! The table of one stream: made on first sight, grown and widened as the stream's schema does, never narrowed.

use std::collections::HashSet;

use tidemark_engine::{
    Digest, Error, LogId,
    schema::{Kind, StreamName, StreamSchema},
    write::WriteMode,
};

use super::{
    adopt,
    declared::{Declared, declared, find},
    ledger::{self, Owned, State},
    shape::Shape,
    writer::Writer,
};
use crate::{
    config::Writing,
    mariadb::{
        failure::{Failure, Result},
        identifier::{check_columns, check_table, quote},
        storage::Storage,
    },
    metadata,
    tables::Identity,
};

/// A table that is ready for the changes of one schema.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) stream: StreamName,
    pub(super) name: String,
    /// Its name as SQL.
    pub(super) sql: String,
    /// The newest commit of the log it had seen when this unit began.
    pub(super) applied: Option<u64>,
    /// The schema it is ready for.
    pub(super) schema: Digest,
    /// The columns of the schema's fields.
    pub(super) fields: Vec<Column>,
    /// Those of the key, by number.
    pub(super) key: Vec<usize>,
    /// All columns that can be written to, those of others included.
    pub(super) columns: Vec<Declared>,
    /// Whether there are no other columns than those of the fields and of the mode.
    pub(super) whole: bool,
}

/// The column of a field.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    /// Its name as SQL.
    pub(super) sql: String,
    /// What the stream has there.
    pub(super) kind: Kind,
    pub(super) storage: Storage,
    /// The whole type.
    pub(super) column_type: String,
}

impl Table {
    /// The fields' columns as SQL, apart by commas.
    pub(super) fn field_list(&self) -> String {
        self.fields.iter().map(|field| field.sql.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// The column that tells when a record was deleted, in `soft-delete`.
    pub(super) fn deleted_at(&self) -> Option<usize> {
        self.fields.iter().position(|field| field.name == metadata::DELETED_AT)
    }

    /// The condition that the key of `t` is what `w` has under names of `letter` and a number.
    pub(super) fn key_is(&self, w: &str, letter: char) -> String {
        let parts =
            self.key.iter().map(|&index| format!("t.{} = {w}.{letter}{index}", self.fields[index].sql));
        parts.collect::<Vec<_>>().join(" AND ")
    }
}

/// What tables are made and kept by, on a session of its own.
pub(super) struct Terms<'a> {
    pub(super) builder: &'a mut Writer,
    pub(super) writing: &'a Writing,
    pub(super) log: &'a LogId,
    pub(super) identity: &'a Identity,
    /// Whether the server folds the names of tables to lower case.
    pub(super) folds: bool,
    /// Tables that the transaction has touched which is open on another session: nobody alters them before it ends.
    pub(super) touched: &'a HashSet<String>,
}

/// How a table was found.
#[derive(Debug)]
pub(super) enum Ready {
    /// It can take what is wanted of it. The newest commit it has seen.
    Now { applied: Option<u64> },
    /// It has to be altered by this statement when the transaction that has touched it is over.
    Later { sql: String },
}

impl Terms<'_> {
    /// What the table of `stream` is called. One out of sight may be of a `generation`.
    pub(super) fn table(&self, stream: &StreamName, generation: Option<u64>) -> String {
        table_name(self.identity, self.writing, (stream, generation), self.folds)
    }

    /// Makes the table of `schema` ready for it.
    pub(super) async fn prepare(
        &mut self,
        schema: &StreamSchema,
        generation: Option<u64>,
    ) -> Result<Result<Table, String>> {
        let (stream, mode) = (schema.stream(), self.writing.mode);
        let name = self.table(stream, generation);
        check_key(mode, schema)?;
        let shape = Shape::of_schema(mode, schema);
        let applied = match self.ready(stream, &name, &shape).await? {
            Ready::Now { applied } => applied,
            Ready::Later { sql } => return Ok(Err(sql)),
        };
        let columns = declared(self.builder, &name).await?;
        let lacks = || Error::internal(format!("table `{name}` lacks a column it was given"));
        let fields = schema.fields().iter().map(|field| {
            let column = find(&columns, &field.name).ok_or_else(lacks)?;
            Ok(Column {
                name: field.name.clone(),
                sql: quote(&column.name)?,
                kind: field.kind.clone(),
                storage: column.storage().ok_or_else(lacks)?,
                column_type: column.column_type(),
            })
        });
        let fields = fields.collect::<Result<Vec<_>, Error>>()?;
        let metadata = super::shape::metadata_of(mode).len();
        Ok(Ok(Table {
            stream: stream.clone(),
            sql: quote(&name)?,
            applied,
            schema: schema.digest(),
            key: if mode == WriteMode::Append { Vec::new() } else { schema.key().to_vec() },
            whole: columns.len() == fields.len() + metadata,
            name,
            fields,
            columns,
        }))
    }

    /// Makes `table` ready to hold `shape` of `stream`.
    pub(super) async fn ready(&mut self, stream: &StreamName, table: &str, shape: &Shape) -> Result<Ready> {
        if !self.identity.is_hidden() {
            check_table(table)?;
        }
        check_columns(table, shape.columns.iter().map(|column| column.name.as_str()))?;
        shape.check_size(table)?;
        let Owned { state, applied, .. } = self.owner(stream, table).await?;
        match state {
            State::Making | State::Leftover => {
                shape.create(self.builder, table).await?;
                ledger::note_state(self.builder, table, State::Made).await?;
            }
            State::Made => {}
            State::Adopted => {
                adopt::check(self.builder, table, shape).await?;
                return Ok(Ready::Now { applied });
            }
        }
        ledger::check_engine(self.builder, table).await?;
        match shape.alteration(self.builder, table).await? {
            Some(sql) if self.touched.contains(table) => Ok(Ready::Later { sql }),
            Some(sql) => {
                self.builder.run(&sql).await?;
                Ok(Ready::Now { applied })
            }
            None => Ok(Ready::Now { applied }),
        }
    }

    /// What `table` is to us, to which `stream` is written: noted, where it was not.
    pub(super) async fn owner(&mut self, stream: &StreamName, table: &str) -> Result<Owned> {
        let Self { builder, writing, log, identity, .. } = self;
        let destination = &writing.destination;
        let mut owner = ledger::owner(builder, table, log).await?;
        if owner.as_ref().is_some_and(|owner| owner.state == State::Leftover) {
            ledger::sweep(builder, identity.name()).await?;
            owner = None;
        }
        let Some(owner) = owner else {
            if !identity.is_hidden()
                && let Some(kept) = ledger::table_of(builder, identity.name(), stream).await?
            {
                // Another table would begin in the middle of the log.
                return Err(Error::config(format!(
                    "stream `{stream}` of destination `{destination}` is kept in table `{kept}`, not in `{table}`"
                ))
                .hint(format!("set `table` so that it names `{kept}` again, or give the destination a new name"))
                .into());
            }
            let is_there = !identity.is_hidden() && adopt::claim(builder, writing, table).await?;
            let state = if is_there { State::Adopted } else { State::Making };
            ledger::register(builder, table, (stream, identity.name()), state, writing.mode).await?;
            let registered = ledger::owner(builder, table, log).await?;
            return registered.ok_or_else(|| Failure::from(Error::internal("a table was noted, and is not")));
        };
        if owner.stream != stream.as_str() || owner.destination != identity.name() {
            let Owned { stream: other, destination, .. } = owner;
            return Err(Error::config(format!(
                "table `{table}` of stream `{stream}` is written to by stream `{other}` of destination `{destination}`"
            ))
            .hint("give each its own table with `table`")
            .into());
        }
        check_mode(table, &owner.mode, writing.mode)?;
        Ok(owner)
    }
}

/// What the table of a stream is called. One out of sight has a name that does not grow with the stream's, and may be of a generation.
pub(super) fn table_name(
    identity: &Identity,
    writing: &Writing,
    (stream, generation): (&StreamName, Option<u64>),
    folds: bool,
) -> String {
    let plain = writing.table.of(stream);
    if !identity.is_hidden() {
        return if folds { plain.to_lowercase() } else { plain };
    }
    let digest = Digest::of(format!("{}/{}", identity.name(), stream.as_str()).as_bytes()).to_string();
    let digest = digest.chars().filter(char::is_ascii_alphanumeric).take(16).collect::<String>();
    let generation = generation.map_or_else(String::new, |it| format!("_{it}"));
    format!("{}{digest}{generation}", identity.prefix())
}

/// Refuses a table that is kept in another mode: what it holds means something else.
pub(super) fn check_mode(table: &str, kept: &str, mode: WriteMode) -> Result<(), Error> {
    if kept == mode.as_str() {
        return Ok(());
    }
    Err(Error::conflict(format!("table `{table}` was made for another write mode, `{kept}`"))
        .hint("go back to the former `write`, or give the destination another name and `table`"))
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
