//! What Tidemark keeps for itself in the database: where each destination stands, which tables it writes to, and what its
//! loaders have loaded ahead of its position. All of it is in a schema of its own.

use tidemark_engine::{
    Digest, Error, LogId, Position,
    schema::StreamName,
    write::{Standing, WriteMode},
};
use tokio_postgres::{Client, Row, error::SqlState};

use super::{failure::Result, shadow, writer::Writer};
use crate::postgres::{
    connection::Server,
    identifier::{TableId, quoted},
};

/// Where we keep our tables.
pub(super) const SCHEMA: &str = "_tidemark";

/// `log`, `sequence` and `hash` are NULL until something has been applied; `notes` is what else a standing
/// says, as JSON. `yields` is the epoch of the process that was writing when a replay took the destination's place, and raised its
/// epoch with that; this process alone may go on. `made`
/// tells the tables we made from those we adopted; `log` and `applied` tell the newest commit a table has ever seen, and with
/// it a replay from news. Shadows have `destination`s of their own, see [`super::shadow`]. `loaded` names the rows that were loaded ahead of the position, by the ordinals they span in their
/// commit. `sessions` are those that write for a destination, for its next process to end.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS _tidemark.positions (
        destination text PRIMARY KEY,
        log text,
        sequence bigint,
        hash text,
        notes text,
        epoch bigint NOT NULL,
        yields bigint
    );
    CREATE TABLE IF NOT EXISTS _tidemark.tables (
        schema text,
        name text,
        stream text NOT NULL,
        destination text NOT NULL,
        made boolean NOT NULL,
        mode text NOT NULL,
        log text,
        applied bigint,
        PRIMARY KEY (schema, name),
        UNIQUE (destination, stream)
    );
    CREATE TABLE IF NOT EXISTS _tidemark.loaded (
        destination text,
        stream text,
        sequence bigint,
        first bigint,
        last bigint NOT NULL,
        PRIMARY KEY (destination, stream, sequence, first)
    );
    CREATE TABLE IF NOT EXISTS _tidemark.sessions (
        destination text,
        pid integer,
        started timestamptz,
        PRIMARY KEY (destination, pid, started)
    );";

/// Two processes that make the schema at once would meet in the catalog; one waits here for the other.
const MAKING: &str = "SELECT pg_advisory_xact_lock(7953748284398462317)";

const REGISTER_SESSION: &str = "INSERT INTO _tidemark.sessions
    SELECT $1, pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()";

/// Whether the ledger is there.
pub(super) async fn exists(client: &Client) -> Result<bool> {
    Ok(client.query_one("SELECT to_regclass('_tidemark.sessions') IS NOT NULL", &[]).await?.get(0))
}

/// Makes the ledger where it is missing.
pub(super) async fn make(client: &Client, server: &Server) -> Result<()> {
    if exists(client).await? {
        return Ok(());
    }
    client.batch_execute(&format!("BEGIN; {MAKING}")).await?;
    let made = client.query_one("SELECT to_regnamespace('_tidemark') IS NOT NULL", &[]).await?.get(0);
    let schema = if made { "" } else { "CREATE SCHEMA _tidemark;" };
    match client.batch_execute(&format!("{schema} {TABLES} COMMIT")).await {
        Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            Err(may_not_make(server, made).into())
        }
        outcome => Ok(outcome?),
    }
}

/// That the ledger is missing and may not be made.
pub(super) fn may_not_make(server: &Server, has_schema: bool) -> Error {
    let (user, database) = (quoted(server.user()), quoted(server.database()));
    let error = Error::denied(format!(
        "`{}` may not keep its position in `{}`: schema `{SCHEMA}` cannot be made or written to",
        server.user(),
        server.place()
    ));
    error.hint(match has_schema {
        true => format!("run: ALTER SCHEMA {SCHEMA} OWNER TO {user}"),
        false => format!("run: GRANT CREATE ON DATABASE {database} TO {user}, or CREATE SCHEMA {SCHEMA} AUTHORIZATION {user}"),
    })
}

/// What `open` finds.
pub(super) struct Taken {
    pub(super) epoch: i64,
    pub(super) standing: Option<Standing>,
    /// What `destination` has loaded, and what its shadows have.
    pub(super) loaded: [Vec<LoadedRows>; 2],
}

/// Rows of one commit that are in their table already, ahead of the position: all of `stream` between two ordinals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LoadedRows {
    pub(super) stream: String,
    pub(super) sequence: u64,
    pub(super) first: u64,
    pub(super) last: u64,
}

/// Whose a destination is that was ours under some epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tenant {
    /// Ours still.
    We,
    /// Ours, but it was filled anew meanwhile: where it stands has changed.
    WeAnew,
    Another,
}

/// Whose `destination` is that was ours under `epoch`.
pub(super) async fn tenant(client: &Client, destination: &str, epoch: i64) -> Result<Tenant> {
    let sql = "SELECT epoch, yields FROM _tidemark.positions WHERE destination = $1";
    let row = client.query_opt(sql, &[&destination]).await?;
    let (now, yields) =
        row.map_or((None, None), |row| (Some(row.get::<_, i64>(0)), row.get::<_, Option<i64>>(1)));
    Ok(match (now, yields) {
        (Some(now), _) if now == epoch => Tenant::We,
        (Some(_), Some(yields)) if yields == epoch => Tenant::WeAnew,
        _ => Tenant::Another,
    })
}

/// Ends the sessions that wrote for `destination` before, as far as we may: they could be in the middle of something. Those
/// that we may not end fail by their epoch. One by one, so that a refusal spares only the session it is about.
pub(super) async fn end_predecessors(client: &Client, destination: &str) -> Result<()> {
    let sql = "SELECT a.pid FROM _tidemark.sessions AS s
               JOIN pg_stat_activity AS a ON a.pid = s.pid AND a.backend_start = s.started
               WHERE s.destination = $1";
    for row in client.query(sql, &[&destination]).await? {
        let pid: i32 = row.get(0);
        match client.execute("SELECT pg_terminate_backend($1)", &[&pid]).await {
            Err(error) if error.code() != Some(&SqlState::INSUFFICIENT_PRIVILEGE) => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// Raises the epoch of `destination` and tells where it stands.
pub(super) async fn take_over(client: &Client, destination: &str) -> Result<Taken> {
    client.batch_execute("BEGIN").await?;
    let sql = "INSERT INTO _tidemark.positions AS p (destination, epoch) VALUES ($1, 1)
               ON CONFLICT (destination) DO UPDATE SET epoch = p.epoch + 1, yields = NULL
               RETURNING epoch, log, sequence, hash, notes";
    let row = client.query_one(sql, &[&destination]).await?;
    client.execute("DELETE FROM _tidemark.sessions WHERE destination = $1", &[&destination]).await?;
    client.execute(REGISTER_SESSION, &[&destination]).await?;
    let loaded = [loaded(client, destination).await?, loaded(client, &shadow::anew(destination)).await?];
    let taken = Taken { epoch: row.get(0), standing: standing(destination, &row)?, loaded };
    client.batch_execute("COMMIT").await?;
    Ok(taken)
}

/// The rows that are loaded under the name `holder`.
async fn loaded(client: &Client, holder: &str) -> Result<Vec<LoadedRows>> {
    let sql = "SELECT stream, sequence, first, last FROM _tidemark.loaded WHERE destination = $1";
    let rows = client.query(sql, &[&holder]).await?;
    let rows = rows.iter().map(|row| LoadedRows {
        stream: row.get(0),
        sequence: row.get::<_, i64>(1).cast_unsigned(),
        first: row.get::<_, i64>(2).cast_unsigned(),
        last: row.get::<_, i64>(3).cast_unsigned(),
    });
    Ok(rows.collect())
}

/// Where `destination` stands by a row of `epoch, log, sequence, hash, notes`.
pub(super) fn standing(destination: &str, row: &Row) -> Result<Option<Standing>> {
    let (log, sequence): (Option<String>, Option<i64>) = (row.get(1), row.get(2));
    let (hash, notes): (Option<String>, Option<String>) = (row.get(3), row.get(4));
    let (Some(log), Some(sequence), Some(hash)) = (log, sequence, hash) else { return Ok(None) };
    let unreadable = || {
        Error::conflict(format!(
            "the position of destination `{destination}` in `_tidemark.positions` is damaged"
        ))
        .hint("restore the database from a backup")
    };
    let sequence = u64::try_from(sequence).map_err(|_| unreadable())?;
    let hash = Digest::parse(&hash).ok_or_else(unreadable)?;
    let position = Position { log: LogId::new(log), sequence, hash };
    Ok(Some(Standing::with_notes(position, notes.as_deref()).ok_or_else(unreadable)?))
}

/// The tables out of sight that are kept for `destination`: shadows of its streams, and those of a replay that is to take its place.
pub(super) async fn shadows(client: &Client, destination: &str) -> Result<Vec<TableId>> {
    let sql = "SELECT schema, name FROM _tidemark.tables
               WHERE schema = $2 AND (destination = $1 OR starts_with(destination, $1 || ':'))";
    let rows = client.query(sql, &[&destination, &SCHEMA]).await?;
    Ok(rows.iter().map(|row| TableId { schema: row.get(0), name: row.get(1) }).collect())
}

/// Forgets everything that is kept for `destination`, and for its shadows, whose tables go.
pub(super) async fn forget(client: &Client, destination: &str) -> Result<()> {
    for table in shadows(client, destination).await? {
        client.batch_execute(&format!("DROP TABLE IF EXISTS {}", table.sql())).await?;
    }
    for table in ["positions", "tables", "loaded", "sessions"] {
        let sql = format!(
            "DELETE FROM {SCHEMA}.{table} WHERE destination = $1 OR starts_with(destination, $1 || ':')"
        );
        client.execute(&sql, &[&destination]).await?;
    }
    Ok(())
}

/// Notes that `writer`'s session writes for `destination`.
pub(super) async fn register_session(writer: &mut Writer, destination: &str) -> Result<()> {
    writer.execute(REGISTER_SESSION, &[&destination]).await?;
    Ok(())
}

/// A destination under the epoch of this process.
#[derive(Debug, Clone)]
pub(super) struct Tenure {
    pub(super) destination: String,
    /// Under whose name its tables are kept: the destination's, or that of its shadows.
    pub(super) holder: String,
    pub(super) epoch: i64,
}

impl Tenure {
    /// `destination`, and its tables, under `epoch`.
    pub(super) fn new(destination: String, epoch: i64) -> Self {
        Self { holder: destination.clone(), destination, epoch }
    }

    /// The same for the tables that are kept under the name `holder`.
    pub(super) fn of(&self, holder: String) -> Self {
        Self { holder, ..self.clone() }
    }

    /// That a replay has filled the destination anew.
    pub(super) fn filled_anew(&self) -> Error {
        Error::unavailable(format!("destination `{}` was filled anew by a replay", self.destination))
            .hint("nothing is to be done: it goes on from where the replay has left it")
    }

    /// That somebody else has raised the epoch, or that the destination stands elsewhere.
    pub(super) fn lost(&self) -> Error {
        Error::conflict(format!("another process has taken over destination `{}`", self.destination))
            .hint("let only one `tidemark run` write to it")
    }

    /// Begins a transaction by `begin_sql` and moves the destination from `begin` to `end`, if it still stands there under our
    /// epoch. A destination to which nothing has been applied may begin anywhere.
    pub(super) async fn advance(
        &self,
        writer: &mut Writer,
        begin_sql: &str,
        (begin, end): (&Position, &Standing),
    ) -> Result<()> {
        let (notes, end) = (end.notes()?, &end.position);
        let sql = "UPDATE _tidemark.positions SET log = $3, sequence = $4, hash = $5, notes = $9
                   WHERE destination = $1 AND epoch = $2
                     AND (log IS NULL OR (log = $6 AND sequence = $7 AND hash = $8))";
        let (end_hash, begin_hash) = (end.hash.to_string(), begin.hash.to_string());
        let moved = writer
            .execute_between(
                (begin_sql, ""),
                sql,
                &[
                    &self.destination,
                    &self.epoch,
                    &end.log.as_str(),
                    &integer(end.sequence)?,
                    &end_hash,
                    &begin.log.as_str(),
                    &integer(begin.sequence)?,
                    &begin_hash,
                    &notes,
                ],
            )
            .await?;
        if moved == 1 { Ok(()) } else { Err(self.lost().into()) }
    }

    /// Makes sure, until the end of the transaction that the statements `around` it begin, that the destination stands at `begin`
    /// under our epoch. Loaders share this row; whoever takes over, or moves the position, waits for them.
    pub(super) async fn hold(
        &self,
        writer: &mut Writer,
        around: (&str, &str),
        begin: &Position,
    ) -> Result<()> {
        let sql = "SELECT FROM _tidemark.positions
                   WHERE destination = $1 AND epoch = $2
                     AND (log IS NULL OR (log = $3 AND sequence = $4 AND hash = $5))
                   FOR SHARE";
        let (sequence, hash) = (integer(begin.sequence)?, begin.hash.to_string());
        let held = writer
            .execute_between(
                around,
                sql,
                &[&self.destination, &self.epoch, &begin.log.as_str(), &sequence, &hash],
            )
            .await?;
        if held == 1 { Ok(()) } else { Err(self.lost().into()) }
    }

    /// Makes sure, until the end of the transaction, that the destination is ours.
    pub(super) async fn keep(&self, writer: &mut Writer) -> Result<()> {
        let sql = "SELECT FROM _tidemark.positions WHERE destination = $1 AND epoch = $2 FOR UPDATE";
        let kept = writer.execute(sql, &[&self.destination, &self.epoch]).await?;
        if kept == 1 { Ok(()) } else { Err(self.lost().into()) }
    }

    /// Notes that these rows are in their table, and ends the transaction.
    pub(super) async fn commit_loaded(&self, writer: &mut Writer, rows: &LoadedRows) -> Result<()> {
        let sql = "INSERT INTO _tidemark.loaded (destination, stream, sequence, first, last) VALUES ($1, $2, $3, $4, $5)";
        let (first, last) = (integer(rows.first)?, integer(rows.last)?);
        let sequence = integer(rows.sequence)?;
        writer
            .execute_between(("", "COMMIT"), sql, &[&self.holder, &rows.stream, &sequence, &first, &last])
            .await?;
        Ok(())
    }

    /// Forgets what was loaded after `rows` in their stream: it is to be loaded again.
    pub(super) async fn forget_loaded_after(&self, writer: &mut Writer, rows: &LoadedRows) -> Result<()> {
        let sql = "DELETE FROM _tidemark.loaded
                   WHERE destination = $1 AND stream = $2 AND (sequence, first) > ($3, $4)";
        let (sequence, first) = (integer(rows.sequence)?, integer(rows.first)?);
        writer.execute(sql, &[&self.holder, &rows.stream, &sequence, &first]).await?;
        Ok(())
    }

    /// Forgets what was loaded of `stream` up to commit `sequence`: the position has moved past it.
    pub(super) async fn forget_loaded(&self, writer: &mut Writer, stream: &str, sequence: u64) -> Result<()> {
        let sql = "DELETE FROM _tidemark.loaded WHERE destination = $1 AND stream = $2 AND sequence <= $3";
        writer.execute(sql, &[&self.holder, &stream, &integer(sequence)?]).await?;
        Ok(())
    }

    /// Notes that the tables of these streams have seen these commits of `log`.
    pub(super) async fn note_applied(
        &self,
        writer: &mut Writer,
        log: &LogId,
        seen: &[(&StreamName, u64)],
    ) -> Result<()> {
        let streams = seen.iter().map(|(stream, _)| stream.as_str()).collect::<Vec<_>>();
        let sequences = seen.iter().map(|(_, sequence)| integer(*sequence)).collect::<Result<Vec<_>>>()?;
        let sql = "UPDATE _tidemark.tables AS t SET log = $2, applied = s.sequence
                   FROM unnest($3::text[], $4::bigint[]) AS s (stream, sequence)
                   WHERE t.destination = $1 AND t.stream = s.stream";
        writer.execute(sql, &[&self.holder, &log.as_str(), &streams, &sequences]).await?;
        Ok(())
    }

    /// Notes that `stream` is written to `table`.
    pub(super) async fn register(
        &self,
        client: &Client,
        table: &TableId,
        stream: &StreamName,
        made: bool,
        mode: WriteMode,
    ) -> Result<()> {
        let sql = "INSERT INTO _tidemark.tables (schema, name, stream, destination, made, mode)
                   VALUES ($1, $2, $3, $4, $5, $6)";
        let (stream, mode) = (stream.as_str(), mode.as_str());
        client.execute(sql, &[&table.schema, &table.name, &stream, &self.holder, &made, &mode]).await?;
        Ok(())
    }
}

/// The table in which `holder` keeps `stream`.
pub(super) async fn table_of(client: &Client, holder: &str, stream: &StreamName) -> Result<Option<TableId>> {
    let sql = "SELECT schema, name FROM _tidemark.tables WHERE destination = $1 AND stream = $2";
    let row = client.query_opt(sql, &[&holder, &stream.as_str()]).await?;
    Ok(row.map(|row| TableId { schema: row.get(0), name: row.get(1) }))
}

/// A table that a destination writes to.
pub(super) struct Owned {
    pub(super) stream: String,
    pub(super) destination: String,
    pub(super) made: bool,
    /// The write mode it was made or adopted for.
    pub(super) mode: String,
    /// The newest commit of the log that the table has seen.
    pub(super) applied: Option<u64>,
}

/// Who writes to `table`.
pub(super) async fn owner(client: &Client, table: &TableId, log: &LogId) -> Result<Option<Owned>> {
    let sql = "SELECT stream, destination, made, mode, CASE WHEN log = $3 THEN applied END
               FROM _tidemark.tables WHERE schema = $1 AND name = $2";
    let row = client.query_opt(sql, &[&table.schema, &table.name, &log.as_str()]).await?;
    Ok(row.map(|row| Owned {
        stream: row.get(0),
        destination: row.get(1),
        made: row.get(2),
        mode: row.get(3),
        applied: row.get::<_, Option<i64>>(4).and_then(|applied| u64::try_from(applied).ok()),
    }))
}

pub(super) fn integer(number: u64) -> Result<i64> {
    let beyond = |_| Error::internal("a commit's number is beyond what PostgreSQL's integers can hold");
    Ok(i64::try_from(number).map_err(beyond)?)
}
