//! `tidemark check`

use std::path::{Path, PathBuf};

use clap::Args;
use futures::future::{join, join_all};
use serde_json::json;
use tidemark_connectors::config::{Interval, Writing};
use tidemark_engine::write::WriteMode;

use crate::{
    cli::EXIT_CODES,
    failure::Failure,
    output::Output,
    pipeline_file::{self, Destination, Pipeline, Problems, Trigger},
};

/// Check a pipeline file and report every problem at once
///
/// First the file itself; if that is sound, the source and every destination are tried, and nothing is changed. Each
/// problem comes with its line, what is allowed there, and what to do. Exits with 2 if there is any.
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Check {
    /// The pipeline file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Check the file alone, without touching the source or any destination
    #[arg(long)]
    offline: bool,
    /// Print the problems as a JSON array; an empty one if all is well
    #[arg(long)]
    pub(crate) json: bool,
}

const EXAMPLES: &str = "\
Examples:
  tidemark check pipeline.yaml
  tidemark check --offline --json pipeline.yaml";

impl Check {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let pipeline = pipeline_file::load(&self.file)?;
        if !self.offline {
            try_systems(&pipeline).await?;
        }
        if self.json {
            return output.json(&json!([]));
        }
        output.say(format!("`{}` is sound\n{}", self.file.display(), picture(&pipeline)))
    }
}

/// Asks every system what would keep the pipeline from running, all at once.
async fn try_systems(pipeline: &Pipeline) -> Result<(), Problems> {
    let Pipeline { base, source, destinations, origin, .. } = pipeline;
    let of_source = async {
        let errors = source.check(base).await;
        errors.iter().map(|error| origin.problem(&["source"], error)).collect::<Vec<_>>()
    };
    let of_destinations = join_all(destinations.iter().map(|Destination { writing, system, .. }| async {
        let errors = system.check(base, writing).await;
        let part = ["destinations", writing.destination.as_str()];
        errors.iter().map(|error| origin.problem(&part, error)).collect::<Vec<_>>()
    }));
    let (mut found, more) = join(of_source, of_destinations).await;
    found.extend(more.into_iter().flatten());
    if found.is_empty() { Ok(()) } else { Err(origin.problems(found)) }
}

/// The pipeline in a few lines, so that a person sees whether it is what was meant.
fn picture(pipeline: &Pipeline) -> String {
    let Pipeline { name, base, source, staging, trigger, destinations, origin } = pipeline;
    let when = match trigger {
        Trigger::Always => "always".into(),
        Trigger::Every(time) => format!("every {}", Interval(*time)),
    };
    let mut lines = vec![
        format!("  reads    {} `{}`, {when}", source.system(), shown(&source.place(base))),
        format!("  keeps    `{}`", shown(&staging.path.join(name))),
    ];
    for Destination { writing, live, system, .. } in destinations {
        let Writing { destination, mode, .. } = writing;
        let mode = match mode {
            WriteMode::Append => "append",
            WriteMode::Mirror => "mirror",
        };
        let when = if *live { "" } else { ", in replays alone" };
        let place = shown(&system.place(base));
        lines.push(format!("  writes   {} `{}` as `{destination}`, {mode}{when}", system.system(), place));
    }
    origin.hide(&lines.join("\n"))
}

/// The path without a `./` in between.
fn shown(path: &Path) -> String {
    path.components().collect::<PathBuf>().display().to_string()
}
