//! An SQLite database, compared with what it was filled from.

mod side;
mod table;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use tidemark_engine::{
    Digest, Error, LogId, Position, Result,
    schema::StreamName,
    write::{Standing, WriteMode},
};
use tokio::task::spawn_blocking;

use self::table::ComparedTable;
use super::{
    Destination, DestinationConfig,
    failure::{Failure, Result as Outcome},
};
use crate::{
    comparing::{Replica, Table},
    config::Writing,
};

/// What a cached page and waiting may cost: nobody is held up.
const PRAGMAS: &str = "PRAGMA query_only = ON; PRAGMA cache_size = -16384; PRAGMA busy_timeout = 30000";

impl Destination {
    /// The destination that `config` describes, to be compared with its source. Opens the file when it is first asked, and makes
    /// none.
    pub fn compared(config: &DestinationConfig, base: &Path, writing: Writing) -> impl Replica + use<> {
        Compared { database: Database { file: config.file(base), open: Arc::default() }, writing }
    }
}

/// A database that is only read.
#[derive(Debug, Clone)]
struct Database {
    file: PathBuf,
    open: Arc<Mutex<Option<Connection>>>,
}

impl Database {
    /// Runs `work` on a thread of its own; `None` when there is no file.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    ) -> Result<Option<T>> {
        let Self { file, open } = self.clone();
        spawn_blocking(move || {
            let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
            if open.is_none() {
                if !file.exists() {
                    return Ok(None);
                }
                *open = Some(connect(&file).map_err(|failure| failure.explain(&file))?);
            }
            let Some(connection) = open.as_ref() else { return Ok(None) };
            work(connection).map(Some).map_err(|failure| failure.explain(&file))
        })
        .await?
    }

    /// The same of a file that must be there.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        let found = self.run(work).await?;
        found.ok_or_else(|| Error::unavailable(format!("`{}` is gone", self.file.display())))
    }
}

fn connect(file: &Path) -> Outcome<Connection> {
    // Reading along with a writer takes writing to the shared memory beside the file.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.execute_batch(PRAGMAS)?;
    Ok(connection)
}

struct Compared {
    database: Database,
    writing: Writing,
}

#[async_trait]
impl Replica for Compared {
    async fn standing(&self) -> Result<Option<Standing>> {
        let destination = self.writing.destination.clone();
        Ok(self.database.run(move |connection| standing(connection, &destination)).await?.flatten())
    }

    async fn hold_still(&self) -> Result<Option<Standing>> {
        // The first read after it is what is shown from then on.
        self.database.run(|connection| Ok(connection.execute_batch("BEGIN")?)).await?;
        self.standing().await
    }

    async fn table(&self, stream: &StreamName) -> Result<Option<Box<dyn Table>>> {
        let (destination, stream) = (self.writing.destination.clone(), stream.clone());
        let mode: WriteMode = self.writing.mode;
        let described =
            move |connection: &Connection| table::describe(connection, &destination, &stream, mode);
        let described = self.database.run(described).await?.flatten();
        let table = described.map(|described| ComparedTable::new(self.database.clone(), described));
        Ok(table.map(|table| Box::new(table) as Box<dyn Table>))
    }
}

/// Where `destination` stands, for one who only looks.
fn standing(connection: &Connection, destination: &str) -> Outcome<Option<Standing>> {
    if !has_table(connection, "_tidemark_positions")? {
        return Ok(None);
    }
    let sql = "SELECT log, sequence, hash, notes FROM _tidemark_positions
               WHERE destination = ?1 AND log IS NOT NULL";
    let row = connection.query_row(sql, [destination], |row| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, i64>(1)?,
            row.get::<_, String>(2)?,
            row.get::<_, Option<String>>(3)?,
        ))
    });
    let Some((log, sequence, hash, notes)) = row.optional()? else { return Ok(None) };
    let position = || {
        let (sequence, hash) = (u64::try_from(sequence).ok()?, Digest::parse(&hash)?);
        Standing::with_notes(Position { log: LogId::new(log), sequence, hash }, notes.as_deref())
    };
    let damaged = || {
        let message =
            format!("the position of destination `{destination}` in `_tidemark_positions` is damaged");
        Failure::from(Error::conflict(message).hint("restore the database from a backup"))
    };
    position().map(Some).ok_or_else(damaged)
}

fn has_table(connection: &Connection, name: &str) -> Outcome<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = ?1)";
    Ok(connection.query_row(sql, [name], |row| row.get(0))?)
}
