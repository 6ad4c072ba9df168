//! What Tidemark keeps for itself in the database: where each destination stands, and which tables it writes to.

use rusqlite::{Connection, OptionalExtension, params};
use tidemark_engine::{
    Digest, Error, LogId, Position,
    schema::StreamName,
    write::{Standing, WriteMode},
};

use crate::sqlite::{failure::Result, identifier::quote};

/// `log`, `sequence` and `hash` are NULL until something has been applied; `notes` is what else a standing says, as JSON. `taken`
/// is the epoch under which the destination was open when what was filled out of sight took its place, until it is opened again.
/// `made` tells the tables we made from those we adopted; `mode` is the write mode they are kept in; `log` and `applied` tell the
/// newest commit a table has ever seen, and with it a replay from news.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS _tidemark_positions (
        destination TEXT PRIMARY KEY,
        log TEXT,
        sequence INTEGER,
        hash TEXT,
        notes TEXT,
        epoch INTEGER NOT NULL,
        taken INTEGER
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS _tidemark_tables (
        name TEXT PRIMARY KEY COLLATE NOCASE,
        stream TEXT NOT NULL,
        destination TEXT NOT NULL,
        made INTEGER NOT NULL,
        mode TEXT,
        log TEXT,
        applied INTEGER
    ) WITHOUT ROWID;";

/// Columns that tables of earlier versions lack.
const LATER: [(&str, &str, &str); 3] = [
    ("_tidemark_positions", "notes", "TEXT"),
    ("_tidemark_positions", "taken", "INTEGER"),
    ("_tidemark_tables", "mode", "TEXT"),
];

/// Earlier versions knew no other modes than these two.
const MODES: &str = "
    UPDATE _tidemark_tables AS t SET mode = iif(EXISTS (
        SELECT 1 FROM pragma_table_info(t.name) AS c WHERE c.name = '_tidemark_position'), 'append', 'mirror')
    WHERE mode IS NULL";

/// Makes what is missing of the ledger.
fn make(connection: &Connection) -> Result<()> {
    connection.execute_batch(SCHEMA)?;
    for (table, column, declared) in LATER {
        if !has_column(connection, table, column)? {
            connection.execute_batch(&format!("ALTER TABLE {table} ADD COLUMN {column} {declared}"))?;
        }
    }
    connection.execute_batch(MODES)?;
    Ok(())
}

/// Whether `table` has `column`.
pub(super) fn has_column(connection: &Connection, table: &str, column: &str) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2)";
    Ok(connection.query_row(sql, [table, column], |row| row.get(0))?)
}

/// Raises the epoch of `destination` and tells where it stands. Where it was ours, under `former`, it must still be: somebody who
/// has opened it since is not to be thrown out again. Call it inside a transaction.
pub(super) fn open(
    connection: &Connection,
    destination: &str,
    former: Option<i64>,
) -> Result<(i64, Option<Standing>)> {
    make(connection)?;
    if let Some(former) = former
        && Tenure::of(connection, destination, former)? == Tenure::Lost
    {
        return Err(lost(destination).into());
    }
    let epoch = connection.query_row(
        "INSERT INTO _tidemark_positions (destination, epoch) VALUES (?1, 1)
         ON CONFLICT (destination) DO UPDATE SET epoch = epoch + 1, taken = NULL
         RETURNING epoch",
        [destination],
        |row| row.get(0),
    )?;
    Ok((epoch, standing(connection, destination)?))
}

/// Whether a destination is still that of the process that opened it under some epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tenure {
    Kept,
    /// What was filled out of sight has taken its place since; nobody has opened it.
    Taken,
    /// Somebody else has opened it.
    Lost,
    /// Nothing is known of it: its file is another one.
    Gone,
}

impl Tenure {
    pub(super) fn of(connection: &Connection, destination: &str, epoch: i64) -> Result<Self> {
        let sql = "SELECT epoch, taken FROM _tidemark_positions WHERE destination = ?1";
        let row = connection
            .query_row(sql, [destination], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?)));
        Ok(match row.optional()? {
            Some((now, _)) if now == epoch => Self::Kept,
            Some((_, taken)) if taken == Some(epoch) => Self::Taken,
            Some(_) => Self::Lost,
            None => Self::Gone,
        })
    }
}

/// That another process has opened the destination, or that it stands elsewhere.
pub(super) fn lost(destination: &str) -> Error {
    Error::conflict(format!("another process has taken over destination `{destination}`"))
        .hint("let only one `tidemark run` write to it")
}

/// Where `destination` stands; `None` when nothing has been applied.
pub(super) fn standing(connection: &Connection, destination: &str) -> Result<Option<Standing>> {
    let sql = "SELECT log, sequence, hash, notes FROM _tidemark_positions WHERE destination = ?1";
    let row = connection.query_row(sql, [destination], |row| {
        let (log, hash): (Option<String>, Option<String>) = (row.get(0)?, row.get(2)?);
        Ok((log, row.get::<_, Option<i64>>(1)?, hash, row.get::<_, Option<String>>(3)?))
    });
    let Some((Some(log), Some(sequence), Some(hash), notes)) = row.optional()? else { return Ok(None) };
    let unreadable = || {
        Error::conflict(format!(
            "the position of destination `{destination}` in `_tidemark_positions` is damaged"
        ))
        .hint("restore the database from a backup")
    };
    let sequence = u64::try_from(sequence).map_err(|_| unreadable())?;
    let hash = Digest::parse(&hash).ok_or_else(unreadable)?;
    let position = Position { log: LogId::new(log), sequence, hash };
    Ok(Some(Standing::with_notes(position, notes.as_deref()).ok_or_else(unreadable)?))
}

/// Moves `destination` from `begin` to `end`, if it still stands there under `epoch`. A destination to which nothing
/// has been applied may begin anywhere.
pub(super) fn advance(
    connection: &Connection,
    destination: &str,
    epoch: i64,
    begin: &Position,
    end: &Standing,
) -> Result<()> {
    let (notes, end) = (end.notes()?, &end.position);
    let moved = connection
        .prepare_cached(
            "UPDATE _tidemark_positions SET log = ?3, sequence = ?4, hash = ?5, notes = ?9
         WHERE destination = ?1 AND epoch = ?2
           AND (log IS NULL OR (log = ?6 AND sequence = ?7 AND hash = ?8))",
        )?
        .execute(params![
            destination,
            epoch,
            end.log.as_str(),
            integer(end.sequence)?,
            end.hash.to_string(),
            begin.log.as_str(),
            integer(begin.sequence)?,
            begin.hash.to_string(),
            notes,
        ])?;
    if moved == 1 {
        return Ok(());
    }
    Err(match Tenure::of(connection, destination, epoch)? {
        Tenure::Taken => {
            Error::unavailable(format!("destination `{destination}` was filled anew by a replay"))
                .hint("nothing is to be done: it is opened again")
        }
        Tenure::Kept | Tenure::Lost | Tenure::Gone => lost(destination),
    }
    .into())
}

/// Has `destination` stand at `standing`, whoever has it open: that process finds out before it changes anything.
pub(super) fn take_place(connection: &Connection, destination: &str, standing: &Standing) -> Result<()> {
    let position = &standing.position;
    connection.execute(
        "INSERT INTO _tidemark_positions (destination, log, sequence, hash, notes, epoch)
         VALUES (?1, ?2, ?3, ?4, ?5, 1)
         ON CONFLICT (destination) DO UPDATE SET log = excluded.log, sequence = excluded.sequence,
             hash = excluded.hash, notes = excluded.notes, epoch = epoch + 1, taken = coalesce(taken, epoch)",
        params![
            destination,
            position.log.as_str(),
            integer(position.sequence)?,
            position.hash.to_string(),
            standing.notes()?,
        ],
    )?;
    Ok(())
}

/// Forgets where `destination` stands. Its epoch stays, so that it is still ours.
pub(super) fn stands_nowhere(connection: &Connection, destination: &str) -> Result<()> {
    let sql = "UPDATE _tidemark_positions SET log = NULL, sequence = NULL, hash = NULL, notes = NULL WHERE destination = ?1";
    connection.execute(sql, [destination])?;
    Ok(())
}

/// Forgets `destination`.
pub(super) fn remove(connection: &Connection, destination: &str) -> Result<()> {
    connection.execute("DELETE FROM _tidemark_positions WHERE destination = ?1", [destination])?;
    Ok(())
}

/// A table that a destination writes to.
pub(super) struct Owned {
    pub(super) stream: String,
    pub(super) destination: String,
    pub(super) made: bool,
    /// The write mode it is kept in.
    pub(super) mode: String,
    /// The newest commit of the log that the table has seen.
    pub(super) applied: Option<u64>,
}

/// Who writes to `table`.
pub(super) fn owner(connection: &Connection, table: &str, log: &LogId) -> Result<Option<Owned>> {
    let sql = "SELECT stream, destination, made, mode, CASE WHEN log = ?2 THEN applied END
               FROM _tidemark_tables WHERE name = ?1";
    let owned = connection.query_row(sql, [table, log.as_str()], |row| {
        let applied = row.get::<_, Option<i64>>(4)?.and_then(|applied| u64::try_from(applied).ok());
        let (stream, destination) = (row.get(0)?, row.get(1)?);
        Ok(Owned { stream, destination, made: row.get(2)?, mode: row.get(3)?, applied })
    });
    Ok(owned.optional()?)
}

/// The table that holds what `destination` has been given of `stream`.
pub(super) fn table_of(
    connection: &Connection,
    destination: &str,
    stream: &StreamName,
) -> Result<Option<String>> {
    let sql = "SELECT name FROM _tidemark_tables WHERE destination = ?1 AND stream = ?2";
    Ok(connection.query_row(sql, [destination, stream.as_str()], |row| row.get(0)).optional()?)
}

/// The streams that `destination` has tables of, and the tables.
pub(super) fn tables(connection: &Connection, destination: &str) -> Result<Vec<(StreamName, String)>> {
    let sql = "SELECT stream, name FROM _tidemark_tables WHERE destination = ?1 ORDER BY stream";
    let mut statement = connection.prepare(sql)?;
    let tables = statement
        .query_map([destination], |row| Ok((StreamName::new(row.get::<_, String>(0)?), row.get(1)?)))?;
    Ok(tables.collect::<Result<_, _>>()?)
}

/// Notes that `stream` of `destination` is written to `table` in `mode`.
pub(super) fn register(
    connection: &Connection,
    table: &str,
    stream: &StreamName,
    destination: &str,
    made: bool,
    mode: WriteMode,
) -> Result<()> {
    connection.execute(
        "INSERT INTO _tidemark_tables (name, stream, destination, made, mode) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![table, stream.as_str(), destination, made, mode.as_str()],
    )?;
    Ok(())
}

/// Removes what `destination` has of `stream`: a table that we made.
pub(super) fn drop_table(connection: &Connection, destination: &str, stream: &StreamName) -> Result<()> {
    if let Some(table) = table_of(connection, destination, stream)? {
        connection.execute_batch(&format!("DROP TABLE IF EXISTS {}", quote(&table)?))?;
        connection.execute("DELETE FROM _tidemark_tables WHERE name = ?1", [table])?;
    }
    Ok(())
}

/// Notes that the table of `stream` has seen what is up to commit `sequence` of `log`, and no more.
pub(super) fn note_applied(
    connection: &Connection,
    destination: &str,
    stream: &StreamName,
    log: &LogId,
    sequence: Option<u64>,
) -> Result<()> {
    let sequence = sequence.map(integer).transpose()?;
    connection
        .prepare_cached(
            "UPDATE _tidemark_tables SET log = ?3, applied = ?4 WHERE destination = ?1 AND stream = ?2",
        )?
        .execute(params![destination, stream.as_str(), log.as_str(), sequence])?;
    Ok(())
}

fn integer(sequence: u64) -> Result<i64> {
    let beyond = |_| Error::internal("a commit's number is beyond what SQLite's integers can hold");
    Ok(i64::try_from(sequence).map_err(beyond)?)
}
