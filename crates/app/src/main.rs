//! `tidemark`: reads the command line, does what it says, and ends with an exit code that tells a script how it went.

mod change_line;
mod cli;
mod commands;
mod failure;
mod logging;
mod output;
mod pipeline_file;
mod running;
mod staging;

use std::process::ExitCode;

use clap::Parser;

use cli::Cli;
use commands::Command;
use output::Output;

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { global, command } = Cli::parse();
    let output = Output::new(&global, command.json());
    logging::start(&global);

    let outcome = match command {
        Command::Init(init) => init.run(&output),
        Command::Check(check) => check.run(&output).await,
        Command::Run(run) => run.run(&output).await,
        Command::Status(status) => status.run(&output).await,
        Command::Changes(changes) => changes.run(&output).await,
        Command::Replay(replay) => replay.run(&output).await,
        Command::Schema(schema) => schema.run(&output),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            failure.exit_code()
        }
    }
}
