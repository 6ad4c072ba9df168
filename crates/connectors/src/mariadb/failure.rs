//! What MariaDB's errors ask for. <https://mariadb.com/kb/en/mariadb-error-code-reference/>

use std::{fmt::Display, io};

use mysql_async::{DriverError, Error as ClientError, IoError, ServerError};
use tidemark_engine::{Error, ErrorKind, schema::StreamName};

/// `Result` inside this connector.
pub(super) type Result<T, E = Failure> = std::result::Result<T, E>;

/// What to do about a value that a table does not take.
const ALTER: &str = "alter the table so that it takes what the source holds, and run again: the stream goes on where it is held";

/// Either the client's error, which still needs a meaning, or one of ours.
#[derive(Debug)]
pub(super) enum Failure {
    Client(ClientError),
    Known(Error),
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Known(error)
    }
}

impl Failure {
    /// Whether what was to be written is at fault, and perhaps one change of it alone.
    pub(super) fn is_of_data(&self) -> bool {
        match self {
            Self::Client(ClientError::Server(error)) => kind(error.code) == ErrorKind::Data,
            Self::Client(_) => false,
            Self::Known(error) => error.kind() == ErrorKind::Data,
        }
    }

    /// The engine's error. `doing` says what was being done, to what.
    pub(super) fn explain(self, doing: impl Display) -> Error {
        match self {
            Self::Client(error) => explain(doing, error),
            Self::Known(error) => error,
        }
    }

    /// The same, where it happened over `stream` alone: other streams may go on, unless it is the server that is gone.
    pub(super) fn of_stream(self, doing: impl Display, stream: &StreamName) -> Self {
        let error = match self.explain(doing) {
            error if error.kind() == ErrorKind::Data && error.hint_text().is_none() => error.hint(ALTER),
            error => error,
        };
        let is_of_all = error.kind().is_transient() || error.stream().is_some();
        Self::Known(if is_of_all { error } else { error.of_stream(stream) })
    }
}

/// The error of a session that could not be opened.
pub(super) fn connection(doing: impl Display, error: ClientError) -> Error {
    match error {
        ClientError::Io(IoError::Io(error)) if is_distrust(&error) => distrusted(doing, error),
        ClientError::Io(IoError::Tls(error)) => distrusted(doing, error),
        ClientError::Driver(DriverError::NoClientSslFlagFromServer) => {
            Error::config(format!("{doing}: the server offers no encrypted connection"))
                .hint("set up TLS on the server; beyond this machine nothing is sent without")
        }
        ClientError::Io(error) => Error::unavailable(doing.to_string())
            .hint("check the host and the port, and that the server listens there")
            .source(error),
        error => explain(doing, error),
    }
}

/// Whether the server could not prove who it is.
fn is_distrust(error: &io::Error) -> bool {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    matches!(cause, Some(rustls::Error::InvalidCertificate(_)))
}

fn distrusted(doing: impl Display, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::denied(format!("{doing}: the server's certificate is not to be trusted"))
        .hint("name the authority that signed it by `ca`, and the server by the name in its certificate")
        .source(error)
}

/// That the server took part of what it was given, or altered it, with the warning `code`.
pub(super) fn warned(doing: impl Display, code: u16) -> Error {
    Error::new(ErrorKind::Data, format!("{doing}: {} ({code})", meaning(code)))
}

fn explain(doing: impl Display, error: ClientError) -> Error {
    match error {
        ClientError::Server(ServerError { code, message, .. }) => {
            let kind = kind(code);
            // What is said of values may show them.
            let text = if kind == ErrorKind::Data { meaning(code).to_owned() } else { message };
            let error = Error::new(kind, format!("{doing}: {text} ({code})"));
            match hint(code) {
                Some(hint) => error.hint(hint),
                None => error,
            }
        }
        ClientError::Io(error) => {
            Error::unavailable(format!("{doing}: the connection to the server broke")).source(error)
        }
        ClientError::Driver(
            error @ (DriverError::ConnectionClosed
            | DriverError::PacketOutOfOrder
            | DriverError::PoolDisconnected),
        ) => Error::unavailable(format!("{doing}: the connection to the server broke")).source(error),
        error => Error::internal(format!("{doing}: the client failed")).source(error),
    }
}

/// The reaction that an error asks for.
fn kind(code: u16) -> ErrorKind {
    match code {
        // Access, host, privileges.
        1044 | 1045 | 1130 | 1142 | 1143 | 1227 | 1370 | 1410 | 1698 | 4151 => ErrorKind::Denied,
        1049 | 1665 | 3948 | 4166 | 1148 | 1231 | 1193 | 1273 => ErrorKind::Config,
        // What lies in the way goes away: load, locks, shutdowns, failovers, full disks.
        1021
        | 1028
        | 1040
        | 1041
        | 1053
        | 1077..=1080
        | 1114
        | 1135
        | 1152
        | 1158..=1161
        | 1180
        | 1184
        | 1203
        | 1205
        | 1206
        | 1213
        | 1226
        | 1290
        | 1317
        | 1412
        | 1637
        | 1836
        | 1927
        | 1969
        | 2006
        | 2013
        | 4031 => ErrorKind::Unavailable,
        // Values: NULL, unique, range, length, form, references, checks, sizes.
        1048 | 1062 | 1071 | 1117 | 1118 | 1153 | 1162 | 1169 | 1264 | 1265 | 1292 | 1301 | 1364 | 1366
        | 1406 | 1411 | 1441 | 1451 | 1452 | 1557 | 1586 | 1634 | 1690 | 1715 | 1761 | 1762 | 3819 | 4025 => {
            ErrorKind::Data
        }
        // Tables and columns that are not as we left them.
        1050 | 1051 | 1054 | 1060 | 1091 | 1136 | 1146 | 1347 | 1932 => ErrorKind::Conflict,
        _ => ErrorKind::Internal,
    }
}

/// What a code means whose message may show values.
fn meaning(code: u16) -> &'static str {
    match code {
        1048 | 1364 => "a column takes no NULL",
        1062 | 1169 | 1586 | 1761 | 1762 => "a unique value is there already",
        1071 => "a key is longer than the server takes",
        1117 => "a table has more columns than the server takes",
        1118 => "a row is larger than the server takes",
        1153 | 1162 | 1301 => "a value is larger than `max_allowed_packet`",
        1264 | 1690 => "a number is beyond the range of its column",
        1265 | 1292 | 1366 | 1411 => "a value is none of its column's type",
        1406 => "a value is too long for its column",
        1451 | 1452 | 1557 => "a foreign key is not found",
        3819 | 4025 => "a check constraint does not hold",
        _ => "the server does not take a value",
    }
}

fn hint(code: u16) -> Option<&'static str> {
    Some(match code {
        1044 | 1142 => "grant the user ALL on the database: tables are made, altered, read and written there",
        1045 | 1698 => "check the user and the password",
        1049 => "make the database, or name another in `url`",
        1148 | 3948 | 4166 => "set `local_infile = ON` on the server: rows are loaded by LOAD DATA LOCAL",
        1117 | 1118 => "exclude columns at the source",
        1153 | 1162 | 1301 => "raise `max_allowed_packet` on the server",
        1205 => "look for a transaction that stays open: somebody else holds a lock on a table of ours",
        _ => return None,
    })
}
