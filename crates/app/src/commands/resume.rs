//! `tidemark resume`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use tidemark_engine::{
    Result,
    log::{RunLock, Runner},
};

use super::running_for_programs;
use crate::{cli::EXIT_CODES, failure::Failure, output::Output, pipeline_file, staging};

/// Have a paused destination go on
///
/// The process that runs the pipeline gives it what it has missed, from where it stands, within seconds; without such a process, the
/// next run does.
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Resume {
    /// The pipeline file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Which destination
    #[arg(value_name = "DESTINATION")]
    destination: String,
    /// Print what was done as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

const EXAMPLES: &str = "\
Examples:
  tidemark resume pipeline.yaml warehouse";

impl Resume {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let pipeline = pipeline_file::load(&self.file)?;
        let name = &pipeline.destination(&self.destination)?.writing.destination;
        let log = staging::existing_log(&pipeline).await?;
        let mut requests = log.requests().await?;
        requests.retain(|(_, request)| request.pauses(name));
        for (id, _) in &requests {
            log.forget_request(id).await?;
        }
        let runner = RunLock::runner(log.store());
        let was_paused = !requests.is_empty();
        if self.json {
            let running = running_for_programs(&runner);
            return output.json(&json!({"destination": name, "was_paused": was_paused, "running": running}));
        }
        output.say(match (was_paused, runner) {
            (false, _) => format!("`{name}` was not paused"),
            (true, Runner::Process(holder)) => format!("`{name}` goes on within seconds, by {holder}"),
            (true, Runner::Nobody) => format!("`{name}` goes on with the next run"),
            (true, Runner::Untold) => format!(
                "`{name}` goes on within seconds by the process that runs the pipeline, if there is one, else by the next run"
            ),
        })
    }
}
