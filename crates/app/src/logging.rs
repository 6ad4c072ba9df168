//! Log lines, on standard error.

use std::io;

use anstream::{AutoStream, ColorChoice};
use tracing_subscriber::EnvFilter;

use crate::cli::{Global, LogFormat};

/// Starts writing log lines.
pub(crate) fn start(global: &Global) {
    let level = if global.quiet { "error" } else { &global.log_level };
    let lines = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(level)).with_writer(io::stderr);
    match global.log_format {
        LogFormat::Text => {
            let colour = AutoStream::choice(&io::stderr()) != ColorChoice::Never;
            lines.with_ansi(colour).with_target(false).init();
        }
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
}
