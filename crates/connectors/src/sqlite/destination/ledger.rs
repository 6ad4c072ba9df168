//! What Tidemark keeps for itself in the database: where each destination stands, and which tables it writes to.

use rusqlite::{Connection, OptionalExtension, params};
use tidemark_engine::{Digest, Error, LogId, Position, schema::StreamName, write::Standing};

use crate::sqlite::failure::Result;

/// `log`, `sequence` and `hash` are NULL until something has been applied; `notes` is what else a standing says, as JSON. `made` tells the tables we made from those we
/// adopted; `log` and `applied` tell the newest commit a table has ever seen, and with it a replay from news.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS _tidemark_positions (
        destination TEXT PRIMARY KEY,
        log TEXT,
        sequence INTEGER,
        hash TEXT,
        notes TEXT,
        epoch INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS _tidemark_tables (
        name TEXT PRIMARY KEY COLLATE NOCASE,
        stream TEXT NOT NULL,
        destination TEXT NOT NULL,
        made INTEGER NOT NULL,
        log TEXT,
        applied INTEGER
    ) WITHOUT ROWID;";

/// Raises the epoch of `destination` and tells where it stands. Call it inside a transaction.
pub(super) fn take_over(connection: &Connection, destination: &str) -> Result<(i64, Option<Standing>)> {
    connection.execute_batch(SCHEMA)?;
    let row = connection.query_row(
        "INSERT INTO _tidemark_positions (destination, epoch) VALUES (?1, 1)
         ON CONFLICT (destination) DO UPDATE SET epoch = epoch + 1
         RETURNING epoch, log, sequence, hash, notes",
        [destination],
        |row| {
            let (log, hash): (Option<String>, Option<String>) = (row.get(1)?, row.get(3)?);
            Ok((
                row.get::<_, i64>(0)?,
                log,
                row.get::<_, Option<i64>>(2)?,
                hash,
                row.get::<_, Option<String>>(4)?,
            ))
        },
    )?;
    let (epoch, Some(log), Some(sequence), Some(hash), notes) = row else { return Ok((row.0, None)) };
    let unreadable = || {
        Error::conflict(format!(
            "the position of destination `{destination}` in `_tidemark_positions` is damaged"
        ))
        .hint("restore the database from a backup")
    };
    let sequence = u64::try_from(sequence).map_err(|_| unreadable())?;
    let hash = Digest::parse(&hash).ok_or_else(unreadable)?;
    let position = Position { log: LogId::new(log), sequence, hash };
    Ok((epoch, Some(Standing::with_notes(position, notes.as_deref()).ok_or_else(unreadable)?)))
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
    Err(Error::conflict(format!("another process has taken over destination `{destination}`"))
        .hint("let only one `tidemark run` write to it")
        .into())
}

/// A table that a destination writes to.
pub(super) struct Owned {
    pub(super) stream: String,
    pub(super) destination: String,
    pub(super) made: bool,
    /// The newest commit of the log that the table has seen.
    pub(super) applied: Option<u64>,
}

/// Who writes to `table`.
pub(super) fn owner(connection: &Connection, table: &str, log: &LogId) -> Result<Option<Owned>> {
    let sql = "SELECT stream, destination, made, CASE WHEN log = ?2 THEN applied END
               FROM _tidemark_tables WHERE name = ?1";
    let owned = connection.query_row(sql, [table, log.as_str()], |row| {
        let applied = row.get::<_, Option<i64>>(3)?.and_then(|applied| u64::try_from(applied).ok());
        Ok(Owned { stream: row.get(0)?, destination: row.get(1)?, made: row.get(2)?, applied })
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

/// Notes that `stream` of `destination` is written to `table`.
pub(super) fn register(
    connection: &Connection,
    table: &str,
    stream: &StreamName,
    destination: &str,
    made: bool,
) -> Result<()> {
    connection.execute(
        "INSERT INTO _tidemark_tables (name, stream, destination, made) VALUES (?1, ?2, ?3, ?4)",
        params![table, stream.as_str(), destination, made],
    )?;
    Ok(())
}

/// Notes that the table of `stream` has seen commit `sequence` of `log`.
pub(super) fn note_applied(
    connection: &Connection,
    destination: &str,
    stream: &StreamName,
    log: &LogId,
    sequence: u64,
) -> Result<()> {
    connection
        .prepare_cached(
            "UPDATE _tidemark_tables SET log = ?3, applied = ?4 WHERE destination = ?1 AND stream = ?2",
        )?
        .execute(params![destination, stream.as_str(), log.as_str(), integer(sequence)?])?;
    Ok(())
}

fn integer(sequence: u64) -> Result<i64> {
    let beyond = |_| Error::internal("a commit's number is beyond what SQLite's integers can hold");
    Ok(i64::try_from(sequence).map_err(beyond)?)
}
