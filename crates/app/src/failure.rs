//! Why a command did not do what it was asked for.

use std::{io, process::ExitCode};

use serde_json::{Value as Json, json};
use tidemark_engine::{Error, ErrorKind};

use crate::pipeline_file::Problems;

/// The ways to fail.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something went wrong.
    Error(Error),
    /// The pipeline file is wrong, perhaps in many places.
    Problems(Problems),
    /// It has been told already, in the summary of the command.
    Told(ErrorKind),
    /// Nobody reads our output any more (`tidemark schema | head`), so there is no more to do.
    OutputClosed,
}

impl Failure {
    /// What a script is told.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Error(error) => ExitCode::from(error.kind().exit_code()),
            Self::Problems(_) => ExitCode::from(ErrorKind::Config.exit_code()),
            Self::Told(kind) => ExitCode::from(kind.exit_code()),
            Self::OutputClosed => ExitCode::SUCCESS,
        }
    }

    /// What a program reads: an object for an error, an array for problems.
    pub(crate) fn for_programs(&self) -> Json {
        match self {
            Self::Error(error) => error_for_programs(error),
            Self::Problems(problems) => problems.for_programs(),
            Self::Told(_) | Self::OutputClosed => Json::Null,
        }
    }
}

/// An error as programs read it.
pub(crate) fn error_for_programs(error: &Error) -> Json {
    let kind = format!("{:?}", error.kind()).to_lowercase();
    json!({"error": error.to_string(), "kind": kind, "hint": error.hint_text()})
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::Problems(problems)
    }
}

/// Errors of writing to standard output.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Error(Error::unavailable("cannot write to standard output").source(error)),
        }
    }
}
