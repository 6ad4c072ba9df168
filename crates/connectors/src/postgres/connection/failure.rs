//! What a server's errors ask for.
//! <https://www.postgresql.org/docs/current/errcodes-appendix.html>

use std::{error::Error as _, fmt::Display, io};

use tidemark_engine::{Error, ErrorKind};
use tokio_postgres::error::DbError;

/// What a server says has gone wrong, without its `DETAIL` and `CONTEXT`, which show rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::postgres) struct ServerReport {
    /// The SQLSTATE: two characters of class and three more.
    pub(in crate::postgres) code: String,
    message: String,
    hint: Option<String>,
    schema: Option<String>,
    table: Option<String>,
    column: Option<String>,
    constraint: Option<String>,
}

/// The error of a client's call. `doing` names what was being done, to what: "cannot read table `public.orders`".
pub(in crate::postgres) fn failure(doing: impl Display, error: tokio_postgres::Error) -> Error {
    if let Some(report) = error.as_db_error() {
        return ServerReport::from(report).into_error(doing);
    }
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    let broken = cause.is_some_and(|cause| !matches!(cause.kind(), io::ErrorKind::InvalidInput));
    if error.is_closed() || broken {
        return Error::unavailable(format!("{doing}: the connection to the server broke")).source(error);
    }
    // A value that did not convert: what lies underneath may show it, and is left out.
    Error::internal(format!("{doing}: {error}"))
}

impl ServerReport {
    /// Reads the fields of an `ErrorResponse`; what is cut off counts as absent.
    /// <https://www.postgresql.org/docs/current/protocol-error-fields.html>
    pub(in crate::postgres) fn read(fields: &[u8]) -> Self {
        let mut report = Self::default();
        for field in fields.split(|byte| *byte == 0) {
            let Some((name, value)) = field.split_first() else { break };
            let value = String::from_utf8_lossy(value).into_owned();
            match name {
                b'C' => report.code = value,
                b'M' => report.message = value,
                b'H' => report.hint = Some(value),
                b's' => report.schema = Some(value),
                b't' => report.table = Some(value),
                b'c' => report.column = Some(value),
                b'n' => report.constraint = Some(value),
                _ => {}
            }
        }
        report
    }

    /// The error it makes of `doing`.
    pub(in crate::postgres) fn into_error(self, doing: impl Display) -> Error {
        let kind = kind(&self.code);
        let mut text = format!("{doing}: ");
        if self.may_show_values() {
            let meaning = meaning(&self.code).map_or_else(String::new, |meaning| format!("{meaning}: "));
            text += &format!("{meaning}the server reports error {}", self.code);
            text += &self.object();
        } else {
            text += &format!("{} ({})", self.message, self.code);
        }
        let error = Error::new(kind, text);
        match self.hint.filter(|_| !may_show_values(&self.code)) {
            Some(hint) => error.hint(hint.trim_end_matches('.')),
            None => error,
        }
    }

    fn may_show_values(&self) -> bool {
        may_show_values(&self.code)
    }

    /// What it happened to, as far as the server names it.
    fn object(&self) -> String {
        let schema = self.schema.as_ref().map(|schema| format!("{schema}.")).unwrap_or_default();
        let table = self.table.as_ref().map(|table| format!(" of table `{schema}{table}`"));
        let part = [("constraint", &self.constraint), ("column", &self.column)];
        let part = part.into_iter().find_map(|(word, name)| Some(format!(" at {word} `{}`", name.as_ref()?)));
        part.into_iter().chain(table).collect()
    }
}

impl From<&DbError> for ServerReport {
    fn from(error: &DbError) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Self {
            code: error.code().code().to_owned(),
            message: error.message().to_owned(),
            hint: owned(error.hint()),
            schema: owned(error.schema()),
            table: owned(error.table()),
            column: owned(error.column()),
            constraint: owned(error.constraint()),
        }
    }
}

/// Whether errors of this code quote what stands in rows: bad values, broken constraints, and whatever the procedures in the
/// database care to say.
fn may_show_values(code: &str) -> bool {
    matches!(code.get(..2), Some("22" | "23" | "38" | "39" | "44" | "P0") | None)
}

/// What a code means whose message may show values.
fn meaning(code: &str) -> Option<&'static str> {
    Some(match code {
        "22001" => "a text is too long for its column",
        "22003" => "a number is beyond the range of its column",
        "22P02" => "a text cannot be read as its column's type",
        "23502" => "a column takes no NULL",
        "23503" => "a foreign key is not found",
        "23505" => "a unique value is there already",
        "23514" => "a check constraint does not hold",
        "23P01" => "an exclusion constraint does not hold",
        _ => return None,
    })
}

/// The reaction a SQLSTATE asks for.
pub(in crate::postgres) fn kind(code: &str) -> ErrorKind {
    match code {
        // Lost connections; resources; shutdown and start of the server; deadlocks, locks, time limits; objects in use, such
        // as a slot whose last reader has not gone yet; a standby while its promotion is under way.
        "25P03" | "25006" | "40001" | "40P01" | "55006" | "55P03" | "57014" => ErrorKind::Unavailable,
        "57P01" | "57P02" | "57P03" | "57P05" | "58030" => ErrorKind::Unavailable,
        "42501" | "0LP01" => ErrorKind::Denied,
        // A piece of the log that is gone does not come back.
        "58P01" => ErrorKind::Conflict,
        _ => match code.get(..2) {
            Some("08" | "53") => ErrorKind::Unavailable,
            Some("28") => ErrorKind::Denied,
            Some("0A" | "3D" | "3F" | "42" | "55") => ErrorKind::Config,
            Some("21" | "22" | "23" | "44" | "54" | "P0" | "38" | "39") => ErrorKind::Data,
            _ => ErrorKind::Internal,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(fields: &[&str]) -> ServerReport {
        ServerReport::read(fields.iter().map(|field| format!("{field}\0")).collect::<String>().as_bytes())
    }

    #[test]
    fn the_code_decides_the_reaction() {
        for (code, expected) in [
            ("08006", ErrorKind::Unavailable),
            ("53300", ErrorKind::Unavailable),
            ("57P01", ErrorKind::Unavailable),
            ("55006", ErrorKind::Unavailable),
            ("28P01", ErrorKind::Denied),
            ("42501", ErrorKind::Denied),
            ("3D000", ErrorKind::Config),
            ("42P01", ErrorKind::Config),
            ("58P01", ErrorKind::Conflict),
            ("22P02", ErrorKind::Data),
            ("23505", ErrorKind::Data),
            ("XX000", ErrorKind::Internal),
            ("", ErrorKind::Internal),
        ] {
            assert_eq!(kind(code), expected, "{code}");
        }
    }

    #[test]
    fn messages_say_what_was_done_and_what_helps() {
        let error = report(&["SERROR", "C42501", "Mpermission denied for table orders", "HGrant it."]);
        let error = error.into_error("cannot read table `public.orders`");
        assert_eq!(
            error.to_string(),
            "cannot read table `public.orders`: permission denied for table orders (42501)"
        );
        assert_eq!(error.hint_text(), Some("Grant it"));
    }

    #[test]
    fn values_stay_with_the_server() {
        for fields in [
            ["C22P02", "Minvalid input syntax for type integer: \"secret\"", "Hsecret", "spublic"],
            ["CP0001", "Mthe trigger says secret", "Dsecret", "spublic"],
        ] {
            let error = report(&fields).into_error("cannot write");
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        }
        let unique = ["C23505", "Mduplicate: secret", "Dsecret", "spublic", "torders", "norders_pkey"];
        assert_eq!(
            report(&unique).into_error("cannot write").to_string(),
            "cannot write: a unique value is there already: the server reports error 23505 at constraint `orders_pkey` of table `public.orders`"
        );
    }
}
