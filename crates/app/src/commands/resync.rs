//! `tidemark resync`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use tidemark_engine::{
    Error, Result,
    log::{Log, Request, RunLock, Runner},
    schema::StreamName,
};

use super::running_for_programs;
use crate::{
    cli::EXIT_CODES,
    failure::Failure,
    output::Output,
    pipeline_file::{self, Pipeline},
    staging, streams,
};

/// Read streams anew from the source, beside what goes on
///
/// The process that runs the pipeline does it at once; without one, the next run does. Changes go on being delivered meanwhile,
/// and each destination keeps what it has of a stream until all of it is read: then the new content takes the place of the
/// old in one step. Other streams are left alone. A history (`append`) stays as it is, unless changes are wanting: then, and of files always,
/// what is read follows in it behind a truncate.
///
/// With all streams (no --stream) it is also the way out when a source has lost changes: the run stops with exit code 3, and
/// after this it begins again at a new place in the source's log.
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Resync {
    /// The pipeline file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only this stream; may be given more than once
    #[arg(long, value_name = "STREAM")]
    stream: Vec<String>,
    /// Print what was asked as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

const EXAMPLES: &str = "\
Examples:
  tidemark resync pipeline.yaml --stream public.orders
  tidemark resync pipeline.yaml                 # every stream; also after a replication slot was lost";

impl Resync {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let pipeline = pipeline_file::load(&self.file)?;
        let log = staging::existing_log(&pipeline).await?;
        let asked = self.asked(&pipeline, &log).await?;
        let id = log.ask(&Request::Resync { streams: asked.clone() }).await?;
        let runner = RunLock::runner(log.store());
        if self.json {
            let running = running_for_programs(&runner);
            return output.json(&json!({"request": id, "streams": asked, "running": running}));
        }
        let what = match asked.as_slice() {
            [] => "every stream".to_owned(),
            [one] => format!("`{one}`"),
            many => format!("{} streams", many.len()),
        };
        output.say(match runner {
            Runner::Process(holder) => {
                format!("{what} will be read anew now, by {holder}; `tidemark status` shows how far it is")
            }
            Runner::Nobody => format!("{what} will be read anew by the next run"),
            Runner::Untold => format!(
                "{what} will be read anew by the process that runs the pipeline, if there is one, else by the next run"
            ),
        })
    }

    /// The streams that are asked for; none: all. Each must be one that is read, for any other would be asked in vain.
    async fn asked(&self, pipeline: &Pipeline, log: &Log) -> Result<Vec<StreamName>> {
        let mut asked: Vec<_> = self.stream.iter().map(StreamName::new).collect();
        asked.sort();
        asked.dedup();
        if asked.is_empty() {
            return Ok(asked);
        }
        let read = pipeline.source.discover(&pipeline.home, 0).await?;
        let read: Vec<_> = read.iter().map(|stream| stream.schema.stream().clone()).collect();
        let Some(missing) = asked.iter().find(|stream| !read.contains(stream)) else { return Ok(asked) };
        if log.streams().await?.contains(missing) {
            return Err(Error::config(format!("stream `{missing}` is not read any more"))
                .hint("name it under `streams` again, or see to it that the source has it"));
        }
        let read: Vec<_> = read.iter().map(StreamName::as_str).collect();
        Err(streams::unknown("the source offers", missing.as_str(), &read))
    }
}
