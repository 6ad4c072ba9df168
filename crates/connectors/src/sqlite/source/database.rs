//! The database file, opened to be read.

use std::{path::PathBuf, time::Duration};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use tidemark_engine::{Error, Result};
use tokio::task::spawn_blocking;

use crate::sqlite::failure::Failure;

/// How long to wait for another process's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Nothing is ever written, and what is kept in memory stays small: several are read at once.
const PRAGMAS: &str = "PRAGMA query_only = ON; PRAGMA cache_size = -4096";

/// A database that is only read.
#[derive(Debug, Clone)]
pub(super) struct Database {
    pub(super) file: PathBuf,
}

impl Database {
    /// Opens it.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Config`] where there is no such file, and with
    /// [`Unavailable`](tidemark_engine::ErrorKind::Unavailable) where another process is in the way.
    pub(super) fn open(&self) -> Result<Connection> {
        let file = self.file.display();
        if !self.file.exists() {
            return Err(Error::config(format!("there is no SQLite database `{file}`"))
                .hint("correct `path`; if it is on a disk of its own, mount that"));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || {
            let connection = Connection::open_with_flags(&self.file, flags)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.execute_batch(PRAGMAS)?;
            // The first look at the file, which may be no database at all.
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
            Ok(connection)
        };
        open().map_err(|error| self.failure(error))
    }

    /// Runs `work` on a connection of its own, beside the loops.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let database = self.clone();
        spawn_blocking(move || work(&database.open()?)).await?
    }

    /// What an error while reading asks for.
    pub(super) fn failure(&self, error: rusqlite::Error) -> Error {
        let denied = [ErrorCode::PermissionDenied, ErrorCode::ReadOnly, ErrorCode::CannotOpen];
        match error.sqlite_error_code() {
            Some(code) if denied.contains(&code) => {
                let file = self.file.display();
                Error::denied(format!("SQLite database `{file}` cannot be read")).source(error).hint(
                    "grant read access to the file, and write access to its folder if it is in WAL mode and nobody has it open",
                )
            }
            _ => Failure::from(error).explain(&self.file),
        }
    }

    /// The same for a statement of `stream` that the pipeline file is to blame for.
    pub(super) fn refusal(&self, stream: &str, error: rusqlite::Error) -> Error {
        let said = match &error {
            // What SQLite has against a statement, which quotes it and nothing of the data.
            rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
            rusqlite::Error::SqliteFailure(code, Some(message)) if code.code == ErrorCode::Unknown => {
                message.clone()
            }
            rusqlite::Error::MultipleStatement => "its `query` is more than one statement".to_owned(),
            _ => return self.failure(error),
        };
        Error::config(format!("stream `{stream}` cannot be read: {said}"))
            .hint("see which tables and columns there are, and correct `table` or `query`: one SELECT")
    }
}
