//! Why a request got no answer that can be used.

use std::fmt;

use http::StatusCode;
use tidemark_engine::Error;
use url::Url;

use super::{guard::Refused, retry::Reaction, shown::Shown};

/// A request that failed for good, as far as its sender is concerned.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What the server answered; `None` when there was no answer, or none that could be read.
    pub(crate) status: Option<StatusCode>,
    /// The server's own word for it.
    pub(crate) code: Option<String>,
    /// The same for people, and for whoever only wants to know the reaction it asks for.
    pub(crate) error: Box<Error>,
}

impl Failure {
    /// Whether what was asked for is gone, and a token for it with it (410): begin again.
    pub(crate) fn is_gone(&self) -> bool {
        self.status == Some(StatusCode::GONE)
    }

    /// Whether the server's own word for what is wrong is `word`.
    pub(crate) fn says(&self, word: &str) -> bool {
        self.code.as_deref() == Some(word)
    }

    /// The failure that an answer with `status` tells of; `passes` when it may be another the next time.
    pub(super) fn of_answer(what: &What<'_>, status: StatusCode, code: Option<String>, passes: bool) -> Self {
        let reason = status.canonical_reason().map(|reason| format!(" {reason}")).unwrap_or_default();
        let word = code.as_ref().map(|code| format!(" (`{code}`)")).unwrap_or_default();
        let message = format!("{what} was answered with {}{reason}{word}", status.as_u16());
        let error = match status.as_u16() {
            _ if passes => Error::unavailable(message),
            401 => Error::denied(message).hint("check `auth`: the server does not take these credentials"),
            403 => {
                Error::denied(message).hint("grant these credentials the right to read this, or use others")
            }
            407 | 511 => {
                Error::denied(message).hint("a proxy or the network wants a login: reach the server directly")
            }
            404 => Error::config(message)
                .hint("check the address, and that these credentials may see what is there"),
            405 | 406 | 415 | 501 | 505 => {
                Error::config(message).hint("check the address, the method and the headers")
            }
            410 => Error::conflict(message)
                .hint("what was to be gone on from is gone at the source: read it anew"),
            300..=399 => Error::config(message).hint("give the address that the server sends to"),
            400..=499 => Error::data(message).hint("check the parameters and the body of the request"),
            _ => Error::unavailable(message),
        };
        Self { status: Some(status), code, error: Box::new(error) }
    }

    /// The failure of what the HTTP library could not do.
    pub(super) fn of_transport(what: &What<'_>, error: reqwest::Error) -> Self {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(inner) = cause {
            if let Some(refused) = inner.downcast_ref::<Refused>() {
                return refused.error().context(what).into();
            }
            cause = inner.source();
        }
        let message = if error.is_timeout() {
            format!("{what} took too long")
        } else if error.is_connect() {
            format!("{what} did not reach the server")
        } else {
            format!("{what} failed on the way")
        };
        // Its text would repeat the URL, and with it a key in the query.
        Error::unavailable(message).source(error.without_url()).into()
    }
}

/// An attempt that failed, and what that asks for.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) failure: Failure,
    pub(super) reaction: Reaction,
}

impl Failed {
    /// It would fail again.
    pub(super) fn stop(error: Error) -> Self {
        Self { failure: error.into(), reaction: Reaction::Stop }
    }

    /// It may succeed when it is sent again.
    pub(super) fn again(error: Error) -> Self {
        Self { failure: error.into(), reaction: Reaction::Repeat(None) }
    }

    /// The HTTP library could not do it: that is repeated, unless the guard was against it.
    pub(super) fn of_transport(what: &What<'_>, error: reqwest::Error) -> Self {
        let failure = Failure::of_transport(what, error);
        let transient = failure.error.kind().is_transient();
        Self { failure, reaction: if transient { Reaction::Repeat(None) } else { Reaction::Stop } }
    }
}

impl From<Error> for Failed {
    /// As its kind asks for.
    fn from(error: Error) -> Self {
        if error.kind().is_transient() { Self::again(error) } else { Self::stop(error) }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { status: None, code: None, error: Box::new(error) }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        *failure.error
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

/// A request as messages name it: `GET https://host/path`.
#[derive(Clone, Copy)]
pub(super) struct What<'r> {
    pub(super) method: &'r http::Method,
    pub(super) url: &'r Url,
}

impl fmt::Display for What<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{} {}`", self.method, Shown(self.url))
    }
}
