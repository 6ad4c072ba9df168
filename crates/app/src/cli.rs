//! What can be typed after `tidemark`.

use clap::{Args, Parser, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::commands::Command;

/// Keeps any number of systems in step with a source.
///
/// Tidemark reads a source once (initial sync) and every change after that (change data capture), keeps all of it in a
/// staging log, and lets each destination play that log at its own pace. One YAML file describes a pipeline.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) global: Global,
}

const EXAMPLES: &str = "\
Examples:
  tidemark init --source ./data --destination ./copy.db pipeline.yaml
  tidemark check pipeline.yaml
  tidemark run pipeline.yaml";

/// What the exit codes mean, for the end of every long help.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed
  2  the command line or the pipeline file is wrong
  3  stopped on purpose, because going on could lose data";

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// How log lines and errors are written to standard error
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
    /// Which log lines are written: error, warn, info, debug or trace
    ///
    /// Filters by module may be added, as in `info,tidemark_engine=debug`.
    #[arg(long, global = true, value_name = "LEVEL", env = "TIDEMARK_LOG", default_value = "info", value_parser = filter)]
    pub(crate) log_level: String,
    /// Say nothing but errors and the data that was asked for
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// For programs: a JSON object a line
    Json,
}

fn filter(text: &str) -> Result<String, String> {
    EnvFilter::builder().parse(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}
