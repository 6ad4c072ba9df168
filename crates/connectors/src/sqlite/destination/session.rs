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
    Error, ErrorKind, LogId, Time,
    schema::StreamName,
    write::{Delivery, Standing, Takeover, WriteMode},
};

use super::{
    append,
    departed::Departed,
    history, keyless,
    ledger::{self, Tenure},
    mirror,
    parking::Parking,
    place,
    table::{Table, Terms},
};
use crate::{
    config::Writing,
    metadata,
    sqlite::failure::{Failure, Result},
    tables::Identity,
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
    /// The tables that changes go to.
    own: Layer,
    /// The shadows of those that are filled anew.
    shadows: Layer,
    unit: Option<Span>,
    /// How many tables were made ready.
    numbered: usize,
}

/// Tables that are filled together.
#[derive(Debug)]
struct Layer {
    identity: Identity,
    tables: HashMap<StreamName, Open>,
}

/// A table that is ready, and what waits beside it until the end of the unit.
#[derive(Debug)]
struct Open {
    table: Table,
    parking: Parking,
    departed: Departed,
}

/// The unit that is being applied.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) begin: Standing,
    pub(super) end: Standing,
    pub(super) into_shadows: bool,
    /// Whether it tries dead letters again, which their tables never had.
    pub(super) retries: bool,
}

impl Session {
    /// Opens `file`, made when absent, and takes the destination. Where it was ours, under `former`, it must still be.
    pub(super) fn open(
        file: &Path,
        writing: Writing,
        log: LogId,
        former: &mut Option<i64>,
    ) -> Result<(Self, Option<Standing>)> {
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
        let identity = Identity::of(&writing);
        let taken = ledger::open(&connection, identity.name(), *former);
        // From here on the epoch may be raised without our hearing of it; and who was told that it is lost may take it back.
        if matches!(taken, Ok(_) | Err(Failure::Known(_))) {
            *former = None;
        }
        let (epoch, standing) = taken?;
        connection.execute_batch("COMMIT")?;
        *former = Some(epoch);
        let shadows = Layer { identity: identity.shadows(), tables: HashMap::new() };
        let own = Layer { identity, tables: HashMap::new() };
        let file = file.to_owned();
        let session = Self { file, connection, writing, log, epoch, own, shadows, unit: None, numbered: 0 };
        Ok((session, standing))
    }

    /// The database file.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Begins the transaction of `unit`, which moves the position.
    pub(super) fn begin(&mut self, unit: Span) -> Result<()> {
        let (begin, end) = (&unit.begin.position, &unit.end);
        if begin.log != self.log || end.position.log != self.log {
            return Err(
                Error::internal("a unit belongs to another log than the destination was opened for").into()
            );
        }
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        ledger::advance(&self.connection, self.own.identity.name(), self.epoch, begin, end)?;
        // What a shadow holds of another generation is void.
        for (stream, anew) in &end.anew {
            if unit.begin.anew.get(stream).is_none_or(|before| before.from != anew.from) {
                self.shadows.tables.remove(stream);
                ledger::drop_table(&self.connection, self.shadows.identity.name(), stream)?;
            }
        }
        self.unit = Some(unit);
        Ok(())
    }

    /// Applies some changes inside the transaction. What SQLite or we cannot do with them concerns their stream alone, and what
    /// fails over a value that one of them holds concerns that one.
    pub(super) fn apply(&mut self, delivery: &Delivery) -> Result<(), Error> {
        let mut at = None;
        self.write(delivery, &mut at).map_err(|failure| {
            let stream = delivery.changes.schema().stream();
            let error = self.of_stream(failure, stream);
            let ordinal = at.zip(delivery.changes.ordinals()).map(|(row, ordinals)| ordinals.value(row));
            match ordinal {
                Some(ordinal) if error.kind() == ErrorKind::Data => {
                    error.of_change(stream, delivery.sequence, ordinal)
                }
                _ => error,
            }
        })
    }

    fn of_stream(&self, failure: Failure, stream: &StreamName) -> Error {
        let is_ours = matches!(failure, Failure::Known(_));
        let error = failure.explain(&self.file);
        let of_stream = is_ours || error.kind() == ErrorKind::Data;
        if of_stream { error.of_stream(stream) } else { error }
    }

    fn write(&mut self, delivery: &Delivery, at: &mut Option<usize>) -> Result<()> {
        if self.writing.mode == WriteMode::SoftDelete {
            let changes = &delivery.changes;
            let marked =
                changes.with_deletions_marked(metadata::DELETED_AT, |row| delivery.watermark(row))?;
            return self.write_changes(&Delivery { changes: marked, ..delivery.clone() }, at);
        }
        self.write_changes(delivery, at)
    }

    fn write_changes(&mut self, delivery: &Delivery, at: &mut Option<usize>) -> Result<()> {
        let (connection, log) = (&self.connection, &self.log);
        let into_shadows = self.unit.as_ref().is_some_and(|unit| unit.into_shadows);
        let Layer { identity, tables } = if into_shadows { &mut self.shadows } else { &mut self.own };
        let schema = delivery.changes.schema();
        if tables.get(schema.stream()).is_none_or(|open| open.table.schema != schema.digest()) {
            let terms = Terms { connection, writing: &self.writing, log, identity };
            let mut table = Table::prepare(terms, schema)?;
            match tables.get_mut(schema.stream()) {
                Some(open) => {
                    table.seen = open.table.seen;
                    open.parking.follow(connection, &table)?;
                    open.departed.follow(connection, &table)?;
                    open.table = table;
                }
                None => {
                    let number = self.numbered;
                    self.numbered += 1;
                    let (parking, departed) = (Parking::new(number), Departed::new(number));
                    tables.insert(schema.stream().clone(), Open { table, parking, departed });
                }
            }
        }
        let Some(Open { table, parking, departed }) = tables.get_mut(schema.stream()) else { return Ok(()) };
        table.seen = table.seen.max(delivery.played);
        let retries = self.unit.as_ref().is_some_and(|unit| unit.retries);
        let seen = !retries && table.applied.is_some_and(|applied| delivery.played <= applied);
        let changes = (&delivery.changes, delivery.phase);
        match self.writing.mode {
            WriteMode::Append => append::apply(connection, table, log, delivery, at),
            // Versions that came later stand upon those that the table has: nothing can be added below them.
            WriteMode::History if seen => Ok(()),
            WriteMode::History => history::apply(connection, table, log, delivery, departed, at),
            WriteMode::Replace if schema.key().is_empty() => keyless::apply(connection, table, changes.0, at),
            WriteMode::Mirror | WriteMode::SoftDelete | WriteMode::Replace => {
                mirror::apply(connection, table, changes, seen, parking, at)
            }
        }
    }

    /// Ends the transaction; what it did is durable. Streams that were filled anew with this unit take their places.
    pub(super) fn commit(&mut self) -> Result<()> {
        for Layer { identity, tables } in [&mut self.own, &mut self.shadows] {
            for (stream, Open { table, parking, departed }) in tables {
                parking.clear(&self.connection)?;
                departed.clear(&self.connection)?;
                if table.seen > 0 && table.applied.is_none_or(|applied| applied < table.seen) {
                    table.applied = Some(table.seen);
                    let name = identity.name();
                    ledger::note_applied(&self.connection, name, stream, &self.log, table.applied)?;
                }
            }
        }
        if let Some(Span { begin, end, .. }) = self.unit.take() {
            for (stream, anew) in begin.anew.iter().filter(|(stream, _)| !end.anew.contains_key(*stream)) {
                self.take_place(stream, anew.time).map_err(|failure| self.of_stream(failure, stream))?;
            }
        }
        Ok(self.connection.execute_batch("COMMIT")?)
    }

    /// Has the shadow of `stream` take the place of its table. Its generation was complete at `time`.
    fn take_place(&mut self, stream: &StreamName, time: Time) -> Result<()> {
        self.own.tables.remove(stream);
        self.shadows.tables.remove(stream);
        let Self { connection, writing, log, own, shadows, .. } = self;
        let terms = Terms { connection, writing, log, identity: &own.identity };
        place::of_generation(terms, &shadows.identity, stream, time)
    }

    /// Has this destination, which was filled out of sight, take the place of the one it was filled for.
    pub(super) fn take_over(&mut self, takeover: &Takeover) -> Result<()> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        self.check_epoch()?;
        place::of_destination(&self.connection, &self.writing, takeover)?;
        Ok(self.connection.execute_batch("COMMIT")?)
    }

    /// Forgets what this destination, which was filled out of sight, holds and where it stands.
    pub(super) fn abandon(&mut self) -> Result<()> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        self.check_epoch()?;
        for Layer { identity, tables } in [&mut self.own, &mut self.shadows] {
            tables.clear();
            place::drop_tables(&self.connection, identity)?;
        }
        ledger::stands_nowhere(&self.connection, self.own.identity.name())?;
        Ok(self.connection.execute_batch("COMMIT")?)
    }

    fn check_epoch(&self) -> Result<()> {
        let name = self.own.identity.name();
        match Tenure::of(&self.connection, name, self.epoch)? {
            Tenure::Kept => Ok(()),
            Tenure::Taken | Tenure::Lost | Tenure::Gone => Err(ledger::lost(name).into()),
        }
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
