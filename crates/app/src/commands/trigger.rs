//! `tidemark trigger`

use std::{path::PathBuf, time::Duration};

use clap::Args;
use serde_json::json;
use tidemark_engine::{
    Error, Result,
    log::{Log, Request, RunLock, Runner},
};

use super::running_for_programs;
use crate::{cli::EXIT_CODES, failure::Failure, output::Output, pipeline_file, staging};

/// How often `--wait` looks whether the source has been read.
const LOOK: Duration = Duration::from_millis(500);

/// Read the source now, whatever its trigger says
///
/// The process that runs the pipeline reads the source to its end at once, or once more when it is reading already; without such a
/// process, the next run does. A pipeline without a trigger reads always; what it looks at from time to time it looks at now.
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Trigger {
    /// The pipeline file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Return when everything the source has now is in the staging log
    #[arg(long)]
    wait: bool,
    /// Print what was asked as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

const EXAMPLES: &str = "\
Examples:
  tidemark trigger pipeline.yaml
  tidemark trigger --wait pipeline.yaml         # from a script that has just written to the source";

impl Trigger {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let pipeline = pipeline_file::load(&self.file)?;
        if self.wait && matches!(pipeline.trigger, pipeline_file::Trigger::Always) {
            let message = "this pipeline reads always: no reading of it ever ends";
            return Err(Error::config(message)
                .hint("leave `--wait` out, or give the pipeline a `trigger`")
                .into());
        }
        let log = staging::existing_log(&pipeline).await?;
        let runner = RunLock::runner(log.store());
        if self.wait && runner == Runner::Nobody {
            return Err(nobody(&pipeline.name).into());
        }
        let id = log.ask(&Request::Read).await?;
        if self.wait {
            until_read(&log, &id).await?;
        }
        if self.json {
            let running = running_for_programs(&runner);
            return output.json(&json!({"request": id, "read": self.wait, "running": running}));
        }
        output.say(match runner {
            _ if self.wait => "the source has been read".to_owned(),
            Runner::Process(holder) => format!("the source is read now, by {holder}"),
            Runner::Nobody => "nobody runs the pipeline: the source is read when the next run begins".to_owned(),
            Runner::Untold => {
                "the source is read now by the process that runs the pipeline, if there is one, else by the next run".to_owned()
            }
        })
    }
}

/// Returns once the request `id` is seen to.
async fn until_read(log: &Log, id: &str) -> Result<()> {
    loop {
        // Whoever ends in good order sees to its requests last, so it is asked first.
        let runner = RunLock::runner(log.store());
        if log.requests().await?.iter().all(|(waiting, _)| waiting != id) {
            return Ok(());
        }
        if runner == Runner::Nobody {
            return Err(nobody(log.pipeline()));
        }
        log.world().sleep(LOOK).await;
    }
}

fn nobody(pipeline: &str) -> Error {
    Error::unavailable(format!("nobody runs `{pipeline}`"))
        .hint("start it with `tidemark run`, or read once with `tidemark run --once`")
}
