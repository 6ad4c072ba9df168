//! Log lines, on standard error.

use std::io::{self, Write};

use anstream::{AutoStream, ColorChoice};
use tracing_subscriber::EnvFilter;

use crate::{
    cli::{Global, LogFormat},
    running::BARS,
};

/// Starts writing log lines.
pub(crate) fn start(global: &Global) {
    let level = if global.quiet { "error" } else { &global.log_level };
    // What the library of the stores tries again by itself is nobody's news; what does not help, our own loops say.
    let level = if level == "info" { "info,object_store=warn" } else { level };
    // The library of Kafka tells of every record; what a server of AMQP returns is shown by its library, with all that it says of a record.
    // What does not help, our own loops say: whoever wants the rest has to name it.
    let level = format!("krafka=error,lapin=off,{level}");
    let lines = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(level)).with_writer(|| BesideBars);
    match global.log_format {
        LogFormat::Text => {
            let colour = AutoStream::choice(&io::stderr()) != ColorChoice::Never;
            lines.with_ansi(colour).with_target(false).init();
        }
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
}

/// Standard error, with progress bars out of the way while a line is written.
struct BesideBars;

impl Write for BesideBars {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        BARS.suspend(|| io::stderr().write(line))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
