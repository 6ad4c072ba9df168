//! What went wrong with a statement, while what it means is still open.

use std::fmt::Display;

use tidemark_engine::{Error, ErrorKind, schema::StreamName};
use tokio_postgres::error::SqlState;

use crate::postgres::connection;

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
            Self::NeedsText | Self::Known(_) => None,
        }
    }

    /// Whether rows contradict a constraint, or one another: in source order they may not.
    /// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
    pub(super) fn is_collision(&self) -> bool {
        self.code()
            .is_some_and(|code| code.code().starts_with("23") || *code == SqlState::CARDINALITY_VIOLATION)
    }

    /// The table that the server says it is about.
    pub(super) fn table(&self) -> Option<(&str, &str)> {
        let Self::Server(error) = self else { return None };
        let report = error.as_db_error()?;
        Some((report.schema()?, report.table()?))
    }

    /// The engine's error. `doing` says what was being done, to what.
    pub(super) fn explain(self, doing: impl Display) -> Error {
        match self {
            Self::Server(error) => connection::failure(doing, error),
            Self::NeedsText => Error::internal(format!("{doing}: a value has no binary form")),
            Self::Known(error) => error,
        }
    }

    /// The same, where it happened over `stream` alone: other streams may go on, unless it is the server that is gone.
    pub(super) fn of_stream(self, doing: impl Display, stream: &StreamName) -> Self {
        let error = match self.explain(doing) {
            error if error.kind() == ErrorKind::Data && error.hint_text().is_none() => error.hint(ALTER),
            error => error,
        };
        let is_transient = error.kind().is_transient();
        Self::Known(if is_transient { error } else { error.of_stream(stream) })
    }
}
