//! What SQLite's errors ask for.

use std::path::Path;

use rusqlite::ErrorCode;
use tidemark_engine::{Error, ErrorKind, schema::StreamName};

/// `Result` inside this connector.
pub(super) type Result<T, E = Failure> = std::result::Result<T, E>;

/// Either SQLite's own error, which still needs a meaning, or one of ours.
#[derive(Debug)]
pub(super) enum Failure {
    Sqlite(rusqlite::Error),
    Known(Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Known(error)
    }
}

impl Failure {
    /// The same, said of `stream` where it is of no other.
    pub(super) fn of_stream(self, stream: &StreamName) -> Self {
        match self {
            Self::Known(error) if error.stream().is_none() => Self::Known(error.of_stream(stream)),
            other => other,
        }
    }

    /// The engine's error, for the database in `file`.
    pub(super) fn explain(self, file: &Path) -> Error {
        match self {
            Self::Known(error) => error,
            Self::Sqlite(error) => explain(error, &file.display().to_string()),
        }
    }
}

/// The result codes: <https://sqlite.org/rescode.html>.
fn explain(error: rusqlite::Error, file: &str) -> Error {
    use ErrorKind::{Conflict, Data, Denied, Internal, Unavailable};
    let (kind, message, hint) = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
            (Unavailable, "is in use by another process", Some("end the other process's transaction"))
        }
        Some(ErrorCode::DiskFull) => (Unavailable, "has no room left on its disk", Some("free some space")),
        Some(ErrorCode::SystemIoFailure) => (Unavailable, "cannot be read or written", None),
        Some(ErrorCode::CannotOpen) => {
            (Unavailable, "cannot be opened", Some("check that its folder exists and may be written to"))
        }
        Some(ErrorCode::OutOfMemory) => (Unavailable, "ran out of memory", None),
        Some(ErrorCode::DatabaseCorrupt) => {
            (Conflict, "is damaged", Some("restore it or remove it and start again"))
        }
        Some(ErrorCode::NotADatabase) => {
            (Conflict, "is not an SQLite database", Some("name another file, or remove this one"))
        }
        Some(
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied,
        ) => (Denied, "may not be written to", Some("grant write access to the file and its folder")),
        Some(ErrorCode::TooBig) => (Data, "cannot hold a value: it is larger than SQLite allows", None),
        Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch) => (
            Data,
            "refuses a change",
            Some("drop the constraint from the table, or let Tidemark make the table"),
        ),
        _ => (Internal, "refused a statement", None),
    };
    let error = Error::new(kind, format!("SQLite database `{file}` {message}")).source(error);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
