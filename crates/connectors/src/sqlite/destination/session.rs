//! One connection to the database, from `open` to the first error.

use std::{
    collections::HashMap,
    fs,
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};
use tidemark_engine::{
    Error, ErrorKind, LogId, Position,
    schema::StreamName,
    write::{Delivery, Standing, WriteMode},
};

use super::{append, ledger, mirror, parking::Parking, table::Table};
use crate::{
    config::Writing,
    sqlite::failure::{Failure, Result},
};

/// How long to wait for another process's transaction.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Statements kept ready: a few for each stream, and one for each set of columns that updates carry.
const STATEMENTS: usize = 256;

/// Durable when a commit returns; readers never wait. Foreign keys are not enforced, for streams arrive in no common order
/// inside a commit. The old way of renaming leaves views and triggers that name the table as they are.
/// <https://sqlite.org/pragma.html>
const PRAGMAS: &str = "
    PRAGMA synchronous = FULL;
    PRAGMA cache_size = -16384;
    PRAGMA foreign_keys = OFF;
    PRAGMA legacy_alter_table = ON;";

/// A connection that has taken the destination, and the tables it has made ready.
#[derive(Debug)]
pub(super) struct Session {
    file: PathBuf,
    connection: Connection,
    writing: Writing,
    log: LogId,
    epoch: i64,
    tables: HashMap<StreamName, (Table, Parking)>,
    /// Whether the unit tries dead letters again, which their tables never had.
    retries: bool,
}

impl Session {
    /// Opens `file`, made when absent, and takes the destination.
    pub(super) fn open(file: &Path, writing: Writing, log: LogId) -> Result<(Self, Option<Standing>)> {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).map_err(|error| folder_failed(folder, error))?;
        }
        check_header(file)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let connection = Connection::open_with_flags(file, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.execute_batch(PRAGMAS)?;
        // A file system without shared memory keeps its rollback journal, which is as durable.
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let (epoch, position) = ledger::take_over(&connection, &writing.destination)?;
        connection.execute_batch("COMMIT")?;
        let session = Self {
            file: file.to_owned(),
            connection,
            writing,
            log,
            epoch,
            tables: HashMap::new(),
            retries: false,
        };
        Ok((session, position))
    }

    /// The database file.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Begins a transaction that moves the position from `begin` to `end`; `retries` says that it tries dead letters again.
    pub(super) fn begin(&mut self, begin: &Position, end: &Standing, retries: bool) -> Result<()> {
        self.retries = retries;
        if begin.log != self.log || end.position.log != self.log {
            return Err(
                Error::internal("a unit belongs to another log than the destination was opened for").into()
            );
        }
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        ledger::advance(&self.connection, &self.writing.destination, self.epoch, begin, end)
    }

    /// Applies some changes inside the transaction. What SQLite or we cannot do with them concerns their stream alone, and what
    /// fails over a value that one of them holds concerns that one.
    pub(super) fn apply(&mut self, delivery: &Delivery) -> Result<(), Error> {
        let mut at = None;
        self.write(delivery, &mut at).map_err(|failure| {
            let is_ours = matches!(failure, Failure::Known(_));
            let error = failure.explain(&self.file);
            let stream = delivery.changes.schema().stream();
            let ordinal = at.zip(delivery.changes.ordinals()).map(|(row, ordinals)| ordinals.value(row));
            match ordinal {
                Some(ordinal) if error.kind() == ErrorKind::Data => {
                    error.of_change(stream, delivery.sequence, ordinal)
                }
                _ if is_ours || error.kind() == ErrorKind::Data => error.of_stream(stream),
                _ => error,
            }
        })
    }

    fn write(&mut self, delivery: &Delivery, at: &mut Option<usize>) -> Result<()> {
        let changes = &delivery.changes;
        let (schema, count) = (changes.schema(), self.tables.len());
        let ready =
            self.tables.get(schema.stream()).is_some_and(|(table, _)| table.schema == schema.digest());
        if !ready {
            let mut table = Table::prepare(&self.connection, &self.writing, &self.log, schema)?;
            match self.tables.get_mut(schema.stream()) {
                Some((old, _)) => {
                    table.seen = old.seen;
                    *old = table;
                }
                None => drop(self.tables.insert(schema.stream().clone(), (table, Parking::new(count)))),
            }
        }
        let Some((table, parking)) = self.tables.get_mut(schema.stream()) else { return Ok(()) };
        table.seen = table.seen.max(delivery.played);
        match self.writing.mode {
            WriteMode::Append => append::apply(&self.connection, table, &self.log, delivery, at),
            _ => {
                let is_seen = table.applied.is_some_and(|applied| delivery.played <= applied);
                let replayed = is_seen && !self.retries;
                mirror::apply(&self.connection, table, changes, replayed, parking, at)
            }
        }
    }

    /// Ends the transaction; what it did is durable.
    pub(super) fn commit(&mut self) -> Result<()> {
        for (stream, (table, parking)) in &mut self.tables {
            parking.clear(&self.connection)?;
            if table.applied.is_none_or(|applied| applied < table.seen) {
                table.applied = Some(table.seen);
                let destination = &self.writing.destination;
                ledger::note_applied(&self.connection, destination, stream, &self.log, table.seen)?;
            }
        }
        Ok(self.connection.execute_batch("COMMIT")?)
    }

    /// Closes the connection, which folds the write-ahead log into the file.
    pub(super) fn close(self) -> Result<()> {
        self.connection.close().map_err(|(_, error)| error.into())
    }
}

/// Refuses a file that is something else: SQLite takes one of fewer than 512 bytes for a new database, and overwrites it.
/// <https://sqlite.org/fileformat2.html#the_database_header>
pub(super) fn check_header(file: &Path) -> Result<()> {
    const MAGIC: &[u8] = b"SQLite format 3\0";
    let mut start = Vec::new();
    // What cannot be read here SQLite reports better.
    let read = fs::File::open(file).and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut start));
    if read.is_err() || start.is_empty() || start == MAGIC {
        return Ok(());
    }
    Err(Error::conflict(format!("`{}` is not an SQLite database", file.display()))
        .hint("name another file with `path`, or remove this one")
        .into())
}

fn folder_failed(folder: &Path, error: std::io::Error) -> Failure {
    let denied = error.kind() == std::io::ErrorKind::PermissionDenied;
    let message = format!("cannot make the folder `{}`", folder.display());
    let error = if denied { Error::denied(message) } else { Error::unavailable(message) }.source(error);
    error.hint("make it, or name another file with `path`").into()
}
