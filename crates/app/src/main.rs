//! `tidemark`: reads the command line, does what it says, and ends with an exit code that tells a script how it went.

mod change_line;
mod cli;
mod commands;
mod digits;
mod failure;
mod logging;
mod memory;
mod moments;
mod output;
mod pipeline_file;
mod running;
mod staging;
mod streams;

use std::process::ExitCode;

use clap::Parser;
use tidemark_engine::Error;
use tokio::runtime;

use cli::Cli;
use commands::Command;
use failure::Failure;
use output::Output;

/// Threads for files, databases and encoding. Each one at work holds buffers of megabytes.
const BLOCKING_THREADS: usize = 4;

fn main() -> ExitCode {
    memory::share_one_heap();
    let Cli { global, command } = Cli::parse();
    let output = Output::new(&global, command.json());
    logging::start(&global);

    let runtime =
        runtime::Builder::new_multi_thread().max_blocking_threads(BLOCKING_THREADS).enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(run(command, &output)),
        Err(error) => Err(Error::unavailable("cannot start threads").source(error).into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            failure.exit_code()
        }
    }
}

async fn run(command: Command, output: &Output) -> Result<(), Failure> {
    match command {
        Command::Init(init) => init.run(output),
        Command::Check(check) => check.run(output).await,
        Command::Test(test) => test.run(output),
        Command::Discover(discover) => discover.run(output).await,
        Command::Run(run) => run.run(output).await,
        Command::Status(status) => status.run(output).await,
        Command::Changes(changes) => changes.run(output).await,
        Command::Replay(replay) => replay.run(output).await,
        Command::DeadLetters(dead_letters) => dead_letters.run(output).await,
        Command::Trigger(trigger) => trigger.run(output).await,
        Command::Pause(pause) => pause.run(output).await,
        Command::Resume(resume) => resume.run(output).await,
        Command::Resync(resync) => resync.run(output).await,
        Command::Verify(verify) => verify.run(output).await,
        Command::Fsck(fsck) => fsck.run(output).await,
        Command::Teardown(teardown) => teardown.run(output).await,
        Command::Presets(presets) => presets.run(output),
        Command::Schema(schema) => schema.run(output),
    }
}
