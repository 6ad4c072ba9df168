//! The only place that prints: data and answers go to standard output, errors to standard error.

use std::{
    fmt::Display,
    io::{self, Write},
};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::{
    cli::{Global, LogFormat},
    failure::Failure,
};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// Prints in the form that was asked for. Colour appears on terminals alone, and never under `NO_COLOR`.
#[derive(Debug)]
pub(crate) struct Output {
    /// `--json`: programs read what we print.
    json: bool,
    log_format: LogFormat,
    quiet: bool,
}

impl Output {
    pub(crate) fn new(global: &Global, json: bool) -> Self {
        Self { json, log_format: global.log_format, quiet: global.quiet }
    }

    /// Prints a line of data.
    pub(crate) fn data(&self, line: impl Display) -> Result<(), Failure> {
        let mut stdout = anstream::stdout().lock();
        writeln!(stdout, "{line}")?;
        Ok(stdout.flush()?)
    }

    /// Prints data as indented JSON.
    pub(crate) fn json(&self, data: &impl Serialize) -> Result<(), Failure> {
        self.data(serde_json::to_string_pretty(data).map_err(io::Error::from)?)
    }

    /// Tells a person how it went.
    pub(crate) fn say(&self, line: impl Display) -> Result<(), Failure> {
        if self.quiet || self.json { Ok(()) } else { self.data(line) }
    }

    /// Prints why the command failed. That nobody can be told is no reason to fail otherwise.
    pub(crate) fn failure(&self, failure: &Failure) {
        let text = match failure {
            Failure::Told(_) | Failure::OutputClosed => return,
            Failure::Problems(problems) if self.json => return drop(self.json(&problems.for_programs())),
            // One line: it may follow lines of data.
            _ if self.json => return drop(self.data(failure.for_programs())),
            _ if self.log_format == LogFormat::Json => format!("{}\n", failure.for_programs()),
            Failure::Problems(problems) => problems.for_people(),
            Failure::Error(error) => {
                let hint =
                    error.hint_text().map(|hint| format!("{HINT}hint:{HINT:#} {hint}\n")).unwrap_or_default();
                format!("{ERROR}error:{ERROR:#} {error}\n{hint}")
            }
        };
        drop(anstream::stderr().write_all(text.as_bytes()));
    }
}
