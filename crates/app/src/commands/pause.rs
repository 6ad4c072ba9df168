//! `tidemark pause`

use std::{path::PathBuf, time::Duration};

use clap::Args;
use serde_json::json;
use tidemark_engine::{
    Error, Result,
    log::{Log, MarkState, Marks, Request, RunLock, Runner},
};

use super::running_for_programs;
use crate::{cli::EXIT_CODES, failure::Failure, output::Output, pipeline_file, staging};

/// How often `--wait` looks whether the destination is left alone.
const LOOK: Duration = Duration::from_millis(500);

/// Give a destination nothing until it is resumed
///
/// The process that runs the pipeline finishes what it is writing there, lets go of the destination within seconds, and goes on with
/// everything else: the source is read and staged, other destinations have their changes. A pause lasts through restarts, until `tidemark
/// resume`; then the destination is given what it has missed. What it has not had is kept in the staging log meanwhile, unless
/// `retention.slow` is `expire`. `run --once` does not wait for it, and `replay` into it is still possible.
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Pause {
    /// The pipeline file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Which destination
    #[arg(value_name = "DESTINATION")]
    destination: String,
    /// Return when nothing is being written to it any more
    #[arg(long)]
    wait: bool,
    /// Print what was asked as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

const EXAMPLES: &str = "\
Examples:
  tidemark pause pipeline.yaml warehouse
  tidemark pause --wait pipeline.yaml warehouse     # before somebody works on it
  tidemark resume pipeline.yaml warehouse";

impl Pause {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let pipeline = pipeline_file::load(&self.file)?;
        let name = &self.destination;
        if !pipeline.destination(name)?.live {
            let message = format!("nothing but a replay writes to `{name}`, whose `live` is false");
            return Err(Error::config(message).hint("end the replay instead").into());
        }
        let log = staging::existing_log(&pipeline).await?;
        let is_paused = log.requests().await?.iter().any(|(_, request)| request.pauses(name));
        if !is_paused {
            log.ask(&Request::Pause { destination: name.clone() }).await?;
        }
        if self.wait {
            until_left_alone(&log, name).await?;
        }
        let runner = RunLock::runner(log.store());
        if self.json {
            let running = running_for_programs(&runner);
            return output.json(&json!({"destination": name, "paused": true, "running": running}));
        }
        let from = match (is_paused, self.wait, &runner) {
            (true, _, _) => "was paused already",
            (false, false, Runner::Process(_) | Runner::Untold) => "is paused within seconds",
            (false, _, _) => "is paused",
        };
        output.say(format!("`{name}` {from}, until `tidemark resume {} {name}`", self.file.display()))
    }
}

/// Returns once nobody writes to `destination`.
async fn until_left_alone(log: &Log, destination: &str) -> Result<()> {
    loop {
        if RunLock::runner(log.store()) == Runner::Nobody {
            return Ok(());
        }
        let (_, mark) = Marks::open(log, destination).await?;
        let is_written_to =
            |state: &MarkState| matches!(state, MarkState::Running | MarkState::Retrying { .. });
        if mark.is_some_and(|mark| !is_written_to(&mark.state)) {
            return Ok(());
        }
        log.world().sleep(LOOK).await;
    }
}
