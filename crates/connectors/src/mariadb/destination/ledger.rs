//! What Tidemark keeps for itself in the database: where each destination stands, and which tables it writes to.
//!
//! MariaDB commits before it makes, alters or drops a table, so no transaction of ours does: a table is made and altered on a session of
//! its own, in steps that can be repeated, and dropped when the transaction that did away with it has been committed. What a table
//! is between two steps its `state` tells.

use mysql_async::{Value, params};
use tidemark_engine::{
    Digest, Error, LogId, Position,
    schema::StreamName,
    write::{Standing, WriteMode},
};

use super::writer::Writer;
use crate::mariadb::{failure::Result, identifier::quote};

/// `log`, `sequence` and `hash` are NULL until something has been applied; `notes` is what else a standing says, as JSON. `taken` is the
/// epoch under which the destination was open when what was filled out of sight took its place, until it is opened again. `mode` is the
/// write mode a table is kept in; `log` and `applied` tell the newest commit it has ever seen, and with it a replay from news.
const SCHEMA: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS _tidemark_positions (
        destination VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin PRIMARY KEY,
        log VARCHAR(255) CHARACTER SET ascii COLLATE ascii_nopad_bin,
        sequence BIGINT UNSIGNED,
        hash VARCHAR(255) CHARACTER SET ascii COLLATE ascii_nopad_bin,
        notes LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin,
        epoch BIGINT NOT NULL,
        taken BIGINT
    ) ENGINE = InnoDB ROW_FORMAT = DYNAMIC",
    "CREATE TABLE IF NOT EXISTS _tidemark_tables (
        name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin PRIMARY KEY,
        stream LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
        destination VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
        state VARCHAR(16) CHARACTER SET ascii COLLATE ascii_nopad_bin NOT NULL,
        mode VARCHAR(16) CHARACTER SET ascii COLLATE ascii_nopad_bin NOT NULL,
        log VARCHAR(255) CHARACTER SET ascii COLLATE ascii_nopad_bin,
        applied BIGINT UNSIGNED
    ) ENGINE = InnoDB ROW_FORMAT = DYNAMIC",
];

/// Makes what is missing of the ledger. Commits.
pub(super) async fn make(writer: &mut Writer) -> Result<()> {
    for sql in SCHEMA {
        writer.run(sql).await?;
    }
    for table in ["_tidemark_positions", "_tidemark_tables"] {
        check_engine(writer, table).await?;
    }
    Ok(())
}

/// Refuses a table that knows no transactions.
pub(super) async fn check_engine(writer: &mut Writer, table: &str) -> Result<()> {
    let engine = engine(writer, table).await?;
    if engine.as_deref().is_none_or(|engine| engine.eq_ignore_ascii_case("InnoDB")) {
        return Ok(());
    }
    let engine = engine.unwrap_or_default();
    Err(Error::config(format!(
        "table `{table}` is kept by the engine `{engine}`, which knows no transactions of ours"
    ))
    .hint(format!("run: ALTER TABLE {} ENGINE = InnoDB", quote(table)?))
    .into())
}

/// What keeps `table`; `None` when there is no such table, or it is a view.
pub(super) async fn engine(writer: &mut Writer, table: &str) -> Result<Option<String>> {
    let sql =
        "SELECT ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ?";
    Ok(writer.first::<Option<String>>(sql, (table,)).await?.flatten())
}

/// Takes `destination` under a new epoch, and tells it and where the destination stands. Where it was ours under `former`, it must still be:
/// whoever was thrown out does not throw out again. Call it inside a transaction.
pub(super) async fn open(
    writer: &mut Writer,
    destination: &str,
    former: Option<i64>,
) -> Result<(i64, Option<Standing>)> {
    if let Some(former) = former
        && Tenure::of(writer, destination, former).await? == Tenure::Lost
    {
        return Err(lost(destination).into());
    }
    let sql = "INSERT INTO _tidemark_positions (destination, epoch) VALUES (?, 1)
               ON DUPLICATE KEY UPDATE epoch = epoch + 1, taken = NULL";
    writer.execute(sql, (destination,)).await?;
    let epoch = row(writer, destination).await?.map_or(0, |row| row.epoch);
    Ok((epoch, standing(writer, destination).await?))
}

/// Whether a destination is still that of the process that opened it under some epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tenure {
    Kept,
    /// What was filled out of sight has taken its place since; nobody has opened it.
    Taken,
    /// Somebody else has opened it.
    Lost,
    /// Nothing is known of it: its database is another one.
    Gone,
}

impl Tenure {
    /// Locks the destination until the transaction ends.
    pub(super) async fn of(writer: &mut Writer, destination: &str, epoch: i64) -> Result<Self> {
        Ok(match row(writer, destination).await? {
            Some(row) if row.epoch == epoch => Self::Kept,
            Some(row) if row.taken == Some(epoch) => Self::Taken,
            Some(_) => Self::Lost,
            None => Self::Gone,
        })
    }

    /// Fails unless the destination is kept.
    pub(super) fn check(self, destination: &str) -> Result<(), Error> {
        match self {
            Self::Kept => Ok(()),
            Self::Taken => {
                Err(Error::unavailable(format!("destination `{destination}` was filled anew by a replay"))
                    .hint("nothing is to be done: it is opened again"))
            }
            Self::Lost | Self::Gone => Err(lost(destination)),
        }
    }
}

/// That another process has opened the destination, or that it stands elsewhere.
fn lost(destination: &str) -> Error {
    Error::conflict(format!("another process has taken over destination `{destination}`"))
        .hint("let only one `tidemark run` write to it")
}

/// A row of `_tidemark_positions`.
struct Row {
    position: Option<(String, u64, String)>,
    notes: Option<String>,
    epoch: i64,
    taken: Option<i64>,
}

type Columns = (Option<String>, Option<u64>, Option<String>, Option<String>, i64, Option<i64>);

/// What is kept of `destination`, locked until the transaction ends.
async fn row(writer: &mut Writer, destination: &str) -> Result<Option<Row>> {
    let sql = "SELECT log, sequence, hash, notes, epoch, taken FROM _tidemark_positions WHERE destination = ? FOR UPDATE";
    let found: Option<Columns> = writer.first(sql, (destination,)).await?;
    Ok(found.map(|(log, sequence, hash, notes, epoch, taken)| {
        let position = log.zip(sequence).zip(hash).map(|((log, sequence), hash)| (log, sequence, hash));
        Row { position, notes, epoch, taken }
    }))
}

/// Where `destination` stands; `None` when nothing has been applied. Locks it until the transaction ends.
pub(super) async fn standing(writer: &mut Writer, destination: &str) -> Result<Option<Standing>> {
    let Some(Row { position: Some((log, sequence, hash)), notes, .. }) = row(writer, destination).await?
    else {
        return Ok(None);
    };
    let unreadable = || {
        Error::conflict(format!(
            "the position of destination `{destination}` in `_tidemark_positions` is damaged"
        ))
        .hint("restore the database from a backup")
    };
    let hash = Digest::parse(&hash).ok_or_else(unreadable)?;
    let position = Position { log: LogId::new(log), sequence, hash };
    Ok(Some(Standing::with_notes(position, notes.as_deref()).ok_or_else(unreadable)?))
}

/// Moves `destination` from `begin` to `end`, if it still stands there under `epoch`. A destination to which nothing has been applied may
/// begin anywhere. Its row stays locked until the transaction ends, so nobody else moves it meanwhile.
pub(super) async fn advance(
    writer: &mut Writer,
    destination: &str,
    epoch: i64,
    begin: &Position,
    end: &Standing,
) -> Result<()> {
    Tenure::of(writer, destination, epoch).await?.check(destination)?;
    let row = row(writer, destination).await?;
    let stands_at = row.and_then(|row| row.position);
    let is_there = stands_at.is_none_or(|(log, sequence, hash)| {
        log == begin.log.as_str() && sequence == begin.sequence && hash == begin.hash.to_string()
    });
    if !is_there {
        return Err(lost(destination).into());
    }
    set(writer, destination, Some(end)).await
}

/// Notes that `destination`, which has a row, stands at `standing`, or nowhere.
async fn set(writer: &mut Writer, destination: &str, standing: Option<&Standing>) -> Result<()> {
    let position = standing.map(|standing| &standing.position);
    let notes = standing.map(Standing::notes).transpose()?.flatten();
    let sql = "UPDATE _tidemark_positions SET log = :log, sequence = :sequence, hash = :hash, notes = :notes
               WHERE destination = :destination";
    let parameters = params! {
        "log" => position.map(|it| it.log.as_str()),
        "sequence" => position.map(|it| it.sequence),
        "hash" => position.map(|it| it.hash.to_string()),
        "notes" => notes,
        "destination" => destination,
    };
    writer.execute(sql, parameters).await?;
    Ok(())
}

/// Has `destination` stand at `standing`, whoever has it open: that process finds out before it changes anything.
pub(super) async fn take_place(writer: &mut Writer, destination: &str, standing: &Standing) -> Result<()> {
    let sql = "INSERT INTO _tidemark_positions (destination, epoch) VALUES (?, 1)
               ON DUPLICATE KEY UPDATE taken = coalesce(taken, epoch), epoch = epoch + 1";
    writer.execute(sql, (destination,)).await?;
    set(writer, destination, Some(standing)).await
}

/// Forgets where `destination` stands. Its epoch stays, so that it is still ours.
pub(super) async fn stands_nowhere(writer: &mut Writer, destination: &str) -> Result<()> {
    set(writer, destination, None).await
}

/// Forgets `destination`.
pub(super) async fn remove(writer: &mut Writer, destination: &str) -> Result<()> {
    writer.execute("DELETE FROM _tidemark_positions WHERE destination = ?", (destination,)).await?;
    Ok(())
}

/// What a table is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It is about to be made: nobody had a table of its name.
    Making,
    Made,
    /// It was there before us.
    Adopted,
    /// It is about to be dropped.
    Leftover,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Making => "making",
            Self::Made => "made",
            Self::Adopted => "adopted",
            Self::Leftover => "leftover",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Making, Self::Made, Self::Adopted, Self::Leftover]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// A table that a destination writes to.
#[derive(Debug)]
pub(super) struct Owned {
    pub(super) stream: String,
    pub(super) destination: String,
    pub(super) state: State,
    /// The write mode it is kept in.
    pub(super) mode: String,
    /// The newest commit of the log that the table has seen.
    pub(super) applied: Option<u64>,
}

/// Who writes to `table`.
pub(super) async fn owner(writer: &mut Writer, table: &str, log: &LogId) -> Result<Option<Owned>> {
    let sql = "SELECT stream, destination, state, mode, CASE WHEN log = ? THEN applied END
               FROM _tidemark_tables WHERE name = ?";
    let found: Option<(String, String, String, String, Option<u64>)> =
        writer.first(sql, (log.as_str(), table)).await?;
    let Some((stream, destination, state, mode, applied)) = found else { return Ok(None) };
    let unreadable =
        || Error::conflict(format!("what `_tidemark_tables` says of table `{table}` is damaged"));
    let state = State::parse(&state).ok_or_else(unreadable)?;
    Ok(Some(Owned { stream, destination, state, mode, applied }))
}

/// The streams that `destination` has tables of, and the tables.
pub(super) async fn tables(writer: &mut Writer, destination: &str) -> Result<Vec<(StreamName, String)>> {
    let sql = "SELECT stream, name FROM _tidemark_tables WHERE destination = ? AND state <> 'leftover' ORDER BY stream";
    let tables: Vec<(String, String)> = writer.rows(sql, (destination,)).await?;
    Ok(tables.into_iter().map(|(stream, name)| (StreamName::new(stream), name)).collect())
}

/// The table that holds what `destination` has been given of `stream`.
pub(super) async fn table_of(
    writer: &mut Writer,
    destination: &str,
    stream: &StreamName,
) -> Result<Option<String>> {
    Ok(tables(writer, destination).await?.into_iter().find(|(of, _)| of == stream).map(|(_, table)| table))
}

/// The tables that `destination` keeps, each with its mode.
pub(super) async fn modes(writer: &mut Writer, destination: &str) -> Result<Vec<(String, String)>> {
    let sql =
        "SELECT name, mode FROM _tidemark_tables WHERE destination = ? AND state <> 'leftover' ORDER BY name";
    writer.rows(sql, (destination,)).await
}

/// Notes that `stream` of `destination` is written to `table` in `mode`. Commits, outside of a transaction.
pub(super) async fn register(
    writer: &mut Writer,
    table: &str,
    (stream, destination): (&StreamName, &str),
    state: State,
    mode: WriteMode,
) -> Result<()> {
    let sql = "INSERT INTO _tidemark_tables (name, stream, destination, state, mode) VALUES (?, ?, ?, ?, ?)";
    writer.execute(sql, (table, stream.as_str(), destination, state.as_str(), mode.as_str())).await?;
    Ok(())
}

/// Notes what has become of `table`.
pub(super) async fn note_state(writer: &mut Writer, table: &str, state: State) -> Result<()> {
    writer.execute("UPDATE _tidemark_tables SET state = ? WHERE name = ?", (state.as_str(), table)).await?;
    Ok(())
}

/// Drops the tables that `destination` has left, and forgets them. Commits; may be repeated.
pub(super) async fn sweep(writer: &mut Writer, destination: &str) -> Result<()> {
    let sql = "SELECT name FROM _tidemark_tables WHERE destination = ? AND state = 'leftover'";
    for table in writer.rows::<String>(sql, (destination,)).await? {
        writer.run(&format!("DROP TABLE IF EXISTS {}", quote(&table)?)).await?;
        writer
            .execute("DELETE FROM _tidemark_tables WHERE name = ? AND state = 'leftover'", (table,))
            .await?;
    }
    Ok(())
}

/// Notes that `table` has seen what is up to commit `sequence` of `log`, and no more.
pub(super) async fn note_applied(
    writer: &mut Writer,
    table: &str,
    log: &LogId,
    sequence: Option<u64>,
) -> Result<()> {
    let sql = "UPDATE _tidemark_tables SET log = ?, applied = ? WHERE name = ?";
    let sequence = sequence.map_or(Value::NULL, Value::from);
    writer.execute(sql, (log.as_str(), sequence, table)).await?;
    Ok(())
}
