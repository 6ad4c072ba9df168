//! The project's own chores. One file a chore; run `cargo xtask` for the list.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a chore talks to the person who runs it")]
#![expect(
    clippy::disallowed_methods,
    reason = "chores measure real time; only the product's loops are simulated"
)]

mod advisories;
mod bench;
mod docs;
mod example_data;
mod measure;
mod needs;
mod project;
mod shell;
mod simulate;
mod steps;
mod test;

use std::{error::Error, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use project::Project;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// Tidemark's chores
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct CommandLine {
    #[command(subcommand)]
    chore: Chore,

    /// First install what the chore needs, saying what; without it the chore names it and stops
    #[arg(long, global = true)]
    install: bool,
}

#[derive(Subcommand)]
enum Chore {
    /// Run every check and every test
    Test,
    /// Measure against what bounds us, in the same run
    #[command(subcommand)]
    Bench(Bench),
    /// Run the engine's loops from many seeds, while everything fails, or from one again
    Simulate(simulate::Simulate),
    /// Look for known weaknesses in the dependencies (reaches GitHub)
    Advisories,
    /// Cut the data of examples/flights anew
    ExampleData,
}

#[derive(Subcommand)]
enum Bench {
    /// 336,776 flights on their way to SQLite and Parquet
    Flights,
    /// An initial sync from PostgreSQL to PostgreSQL, and changes in proportion
    Postgres {
        /// Rows of the initial sync
        #[arg(long, default_value_t = 2_000_000, value_parser = clap::value_parser!(u64).range(10_000..))]
        rows: u64,
    },
    /// What becomes of commits of one small change
    Staging {
        /// How many
        #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(100..))]
        commits: u64,
        /// A folder that does not exist yet, where the log goes
        #[arg(long = "in", value_name = "FOLDER")]
        folder: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let CommandLine { chore, install } = CommandLine::parse();
    let project = Project::here();
    let outcome = match chore {
        Chore::Test => test::everything(&project, install),
        Chore::Bench(Bench::Flights) => bench::flights(&project, install),
        Chore::Bench(Bench::Postgres { rows }) => bench::postgres(&project, install, rows),
        Chore::Bench(Bench::Staging { commits, folder }) => bench::staging(&project, commits, folder),
        Chore::Simulate(asked) => simulate::simulate(&project, &asked),
        Chore::Advisories => advisories::check(&project, install),
        Chore::ExampleData => example_data::cut(&project, install),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
