//! What went wrong with a statement, while what it means is still open.

use std::fmt::Display;

use tidemark_engine::{Error, ErrorKind, schema::StreamName};
use tokio_postgres::error::SqlState;

use crate::postgres::{connection, identifier::TableId};

/// `Result` inside this destination.
pub(super) type Result<T, E = Failure> = std::result::Result<T, E>;

/// What to do about a value that a table does not take.
const ALTER: &str = "alter the table so that it takes what the source holds, and run again: the stream goes on where it is held";

/// Why something did not work.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server refused a statement, or is gone.
    Server(tokio_postgres::Error),
    /// A value has no binary form: its rows must go as text.
    NeedsText,
    /// Another session was in the way. The error is complete.
    Contention(Error),
    /// An error that is complete.
    Known(Error),
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Server(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Known(error)
    }
}

impl From<tokio::task::JoinError> for Failure {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Known(error.into())
    }
}

impl Failure {
    /// The server's SQLSTATE.
    pub(super) fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Server(error) => error.code(),
            Self::NeedsText | Self::Contention(_) | Self::Known(_) => None,
        }
    }

    /// Whether rows contradict a constraint, or one another: in source order they may not.
    /// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
    pub(super) fn is_collision(&self) -> bool {
        self.code()
            .is_some_and(|code| code.code().starts_with("23") || *code == SqlState::CARDINALITY_VIOLATION)
    }

    /// Whether what was to be written is at fault, and perhaps one change of it alone.
    pub(super) fn is_of_data(&self) -> bool {
        match self {
            Self::Server(error) => {
                error.code().is_some_and(|code| connection::kind(code.code()) == ErrorKind::Data)
            }
            Self::NeedsText | Self::Contention(_) => false,
            Self::Known(error) => error.kind() == ErrorKind::Data,
        }
    }

    /// Whether another session is in the way, so that it may go well alone.
    pub(super) fn is_contention(&self) -> bool {
        let is_meant =
            |code: &SqlState| matches!(*code, SqlState::T_R_DEADLOCK_DETECTED | SqlState::LOCK_NOT_AVAILABLE);
        matches!(self, Self::Contention(_)) || self.code().is_some_and(is_meant)
    }

    /// The table that the server says it is about.
    pub(super) fn table(&self) -> Option<TableId> {
        let Self::Server(error) = self else { return None };
        let report = error.as_db_error()?;
        Some(TableId { schema: report.schema()?.to_owned(), name: report.table()?.to_owned() })
    }

    /// The foreign key that it broke.
    pub(super) fn foreign_key(&self) -> Option<&str> {
        let Self::Server(error) = self else { return None };
        error.as_db_error().filter(|report| *report.code() == SqlState::FOREIGN_KEY_VIOLATION)?.constraint()
    }

    /// The engine's error. `doing` says what was being done, to what.
    pub(super) fn explain(self, doing: impl Display) -> Error {
        match self {
            Self::Server(error) if is_out_of_locks(&error) => {
                Error::config(format!("{doing}: the server has no room for more locks (53200)"))
                    .hint("raise `max_locks_per_transaction` on the server, and start it anew")
                    .source(error)
            }
            Self::Server(error) => connection::failure(doing, error),
            Self::NeedsText => Error::internal(format!("{doing}: a value has no binary form")),
            Self::Contention(error) | Self::Known(error) => error,
        }
    }

    /// The same, where it happened over `stream` alone: other streams may go on, unless it is the server that is gone.
    pub(super) fn of_stream(self, doing: impl Display, stream: &StreamName) -> Self {
        if self.is_contention() {
            return Self::Contention(self.explain(doing));
        }
        let is_of_server = matches!(&self, Self::Server(error) if is_out_of_locks(error));
        let error = match self.explain(doing) {
            error if error.kind() == ErrorKind::Data && error.hint_text().is_none() => error.hint(ALTER),
            error => error,
        };
        let is_of_all = is_of_server || error.kind().is_transient();
        Self::Known(if is_of_all { error } else { error.of_stream(stream) })
    }
}

/// Whether the server's table of locks is full. That comes back whenever the same is tried again: a unit takes some locks for
/// each of its tables. Other shortages of memory, under the same code, may pass.
fn is_out_of_locks(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|report| {
        *report.code() == SqlState::OUT_OF_MEMORY
            && report.hint().is_some_and(|hint| hint.contains("max_locks_per_transaction"))
    })
}
