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
mod fuzz;
mod measure;
mod needs;
mod planted;
mod project;
mod reliability;
mod shell;
mod simulate;
mod steps;
mod test;

use std::{error::Error, process::ExitCode};

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
    Bench(bench::Options),
    /// Break what can be broken, for longer than `test` does
    Reliability(reliability::Options),
    /// Run the engine's loops from many seeds, while everything fails, or from one again
    Simulate(simulate::Simulate),
    /// Plant known bugs in a copy of the sources: the tests must find every one
    Planted {
        /// Those to plant, by their files in `planted-bugs` without the ending; all of them when none is named
        names: Vec<String>,
    },
    /// Invent inputs for every decoder, and see whether it keeps its promises
    Fuzz(fuzz::Fuzz),
    /// Look for known weaknesses in the dependencies (reaches GitHub)
    Advisories,
    /// Cut the data of examples/flights anew
    ExampleData,
}

fn main() -> ExitCode {
    if let Some(code) = fuzz::wrapped_compiler() {
        return code;
    }
    let CommandLine { chore, install } = CommandLine::parse();
    let project = Project::here();
    let outcome = match chore {
        Chore::Test => test::everything(&project, install),
        Chore::Bench(options) => bench::run(&project, install, &options),
        Chore::Reliability(options) => reliability::prove(&project, install, &options),
        Chore::Simulate(asked) => simulate::simulate(&project, &asked),
        Chore::Planted { names } => planted::plant(&project, install, &names),
        Chore::Fuzz(fuzz) => fuzz::run(&project, install, &fuzz),
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
