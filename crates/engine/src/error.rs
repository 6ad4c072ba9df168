//! The one error of the project: what happened, what kind of reaction it asks for, and what to do.

use std::{error, fmt};

use serde::{Deserialize, Serialize};

use crate::schema::StreamName;

/// `Result` with Tidemark's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The reaction an error asks for. Retry policy and exit code are functions of the kind alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ErrorKind {
    /// The pipeline file, a flag or an option is wrong: a person must change it. Never retried.
    Config,
    /// A system refused our credentials or rights: a person must grant something. Never retried.
    Denied,
    /// A system is down, slow, full or out of reach: the same step may succeed later. Retried.
    Unavailable,
    /// A value or record cannot be read, carried or written losslessly. Never retried, never skipped.
    Data,
    /// The world is not as we left it (a log was replaced, a blob is rotten, another writer took over):
    /// going on could lose data, so we stop. Never retried.
    Conflict,
    /// A defect of Tidemark itself. Never retried.
    Internal,
}

impl ErrorKind {
    /// Whether the same step may succeed when tried again later.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Unavailable)
    }

    /// The process exit code that tells a script what happened: 1 failed, 2 usage or configuration,
    /// 3 stopped on purpose because going on could lose data.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Config => 2,
            Self::Conflict => 3,
            Self::Denied | Self::Unavailable | Self::Data | Self::Internal => 1,
        }
    }
}

/// An error with the operation and object it concerns, a hint that says what to do, and its source.
///
/// Messages are sentences without a final full stop, name objects in `backticks`, and never hold a row's
/// values or a secret. Hints are imperatives.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    stream: Option<StreamName>,
    change: Option<(u64, u64)>,
    source: Option<Box<dyn error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind` that says `message`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, stream: None, change: None, source: None }
    }

    /// Shorthand for [`ErrorKind::Config`].
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// Shorthand for [`ErrorKind::Denied`].
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Denied, message)
    }

    /// Shorthand for [`ErrorKind::Unavailable`].
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// Shorthand for [`ErrorKind::Data`].
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Data, message)
    }

    /// Shorthand for [`ErrorKind::Conflict`].
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    /// Shorthand for [`ErrorKind::Internal`].
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Adds what a person can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says that it concerns `stream` alone: others may go on.
    #[must_use]
    pub fn of_stream(mut self, stream: &StreamName) -> Self {
        self.stream = Some(stream.clone());
        self
    }

    /// Says that it concerns one change of `stream` alone: that of commit `sequence` with this ordinal. Others may go on.
    #[must_use]
    pub fn of_change(mut self, stream: &StreamName, sequence: u64, ordinal: u64) -> Self {
        self.change = Some((sequence, ordinal));
        self.of_stream(stream)
    }

    /// Adds the error underneath.
    #[must_use]
    pub fn source(mut self, source: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Puts `context` (what was being done, to what) before the message.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// The reaction it asks for.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The one stream it concerns.
    pub fn stream(&self) -> Option<&StreamName> {
        self.stream.as_ref()
    }

    /// The one change it concerns: its commit and its ordinal there.
    pub fn change(&self) -> Option<(u64, u64)> {
        self.change
    }

    /// What happened, without the causes underneath.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What a person can do about it.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Error {
    /// The message and every cause underneath, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut said = self.message.clone();
        let mut cause = error::Error::source(self);
        while let Some(inner) = cause {
            let text = inner.to_string();
            // Many libraries repeat their cause in their own text: say each thing once.
            if !said.contains(&text) {
                write!(f, ": {text}")?;
            }
            said = text;
            cause = inner.source();
        }
        Ok(())
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// A defect in a task of our own: it panicked or was dropped.
impl From<tokio::task::JoinError> for Error {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::internal("a background task ended unexpectedly").source(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_says_every_cause_once() {
        let io = std::io::Error::other("disk on fire");
        let error = Error::unavailable("cannot write `a`").source(io).context("commit 7");
        assert_eq!(error.to_string(), "commit 7: cannot write `a`: disk on fire");
    }

    #[test]
    fn exit_codes_follow_the_kind() {
        assert_eq!(Error::config("").kind().exit_code(), 2);
        assert_eq!(Error::conflict("").kind().exit_code(), 3);
        assert_eq!(Error::data("").kind().exit_code(), 1);
    }
}
