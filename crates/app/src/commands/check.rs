//! `tidemark check`

use std::path::PathBuf;

use clap::Args;
use futures::future::{join_all, join3};
use serde_json::json;
use tidemark_connectors::config::{Place, Writing};
use tidemark_engine::{Error, log::Log, schema::StreamName};

use crate::{
    cli::EXIT_CODES,
    failure::Failure,
    output::Output,
    pipeline_file::{self, Destination, Pipeline, Problem, Problems, StagingPlace},
    staging,
};

/// Check a pipeline file and report every problem at once
///
/// First the file itself; if that is sound, the source, the staging store and every destination are tried, and nothing is changed: an
/// object that is put into object storage for trial is removed again. Each
/// problem comes with its line, what is allowed there, and what to do. Exits with 2 if there is any.
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Check {
    /// The pipeline file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Check the file alone, without touching the source, the staging log or any destination
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
        let warnings = if self.offline { Vec::new() } else { try_systems(&pipeline).await? };
        for warning in &warnings {
            tracing::warn!(hint = warning.hint_text(), "{}", pipeline.origin.hide(&warning.to_string()));
        }
        if self.json {
            return output.json(&json!([]));
        }
        output.say(format!("`{}` is sound\n{}", self.file.display(), picture(&pipeline)))
    }
}

/// Asks every system what would keep the pipeline from running, all at once.
/// Returns what should be known although it keeps nothing from running.
async fn try_systems(pipeline: &Pipeline) -> Result<Vec<Error>, Problems> {
    let Pipeline { home, source, destinations, origin, .. } = pipeline;
    let of_destinations = join_all(destinations.iter().map(|Destination { writing, system, .. }| async {
        (vec!["destinations", writing.destination.as_str()], system.check(home, writing).await)
    }));
    let (of_source, of_staging, of_destinations) =
        join3(source.check(home), staging::probe(pipeline), of_destinations).await;
    let (mut problems, mut warnings) = (Vec::new(), Vec::new());
    for (part, findings) in std::iter::once((vec!["source"], of_source)).chain(of_destinations) {
        problems.extend(findings.problems.iter().map(|error| origin.problem(&part, error)));
        warnings.extend(findings.warnings.into_iter().map(|warning| warning.context(part.join("."))));
    }
    let log = match of_staging {
        Ok(()) => staging::find(pipeline).await,
        Err(error) => {
            problems.push(origin.problem(&["staging"], &error));
            Ok(None)
        }
    };
    if let Err(error) = &log {
        let part =
            if pipeline.staging.encryption.is_some() { &["staging", "encryption"][..] } else { &["staging"] };
        problems.push(origin.problem(part, error));
    }
    if problems.is_empty() {
        problems.extend(overwritten_sources(pipeline).await);
    }
    if problems.is_empty()
        && let Ok(Some(log)) = log
    {
        warnings.extend(outlook(pipeline, &log).await);
    }
    if problems.is_empty() { Ok(warnings) } else { Err(origin.problems(problems)) }
}

/// What the next run will do with what is staged already. Where that cannot be told, the run itself will say so.
async fn outlook(pipeline: &Pipeline, log: &Log) -> Vec<Error> {
    let outlook = pipeline.source.outlook(&pipeline.home, &log.cursor()).await;
    outlook.unwrap_or_else(|error| vec![error]).into_iter().map(|error| error.context("source")).collect()
}

/// Fails when a destination would write to tables which the source reads: it would never be done. Where one of them cannot be
/// asked, that is not for here to say.
pub(super) async fn refuse_overwriting(pipeline: &Pipeline) -> Result<(), Problems> {
    let problems = overwritten_sources(pipeline).await;
    if problems.is_empty() { Ok(()) } else { Err(pipeline.origin.problems(problems)) }
}

async fn overwritten_sources(pipeline: &Pipeline) -> Vec<Problem> {
    let Pipeline { home, source, destinations, origin, .. } = pipeline;
    let Ok(Some(read)) = source.tables(home).await else { return Vec::new() };
    let streams: Vec<_> = read.tables.iter().map(StreamName::new).collect();
    let mut problems = Vec::new();
    for Destination { writing, system, .. } in destinations {
        let Ok(Some(written)) = system.tables(writing, &streams).await else { continue };
        if let Some(table) = read.shared_with(&written).first() {
            let name = writing.destination.as_str();
            let error = Error::config(format!(
                "destination `{name}` writes to table `{table}`, which `source` reads"
            ))
            .hint("give the destination a `schema` of its own, and name the source's tables under `streams`");
            problems.push(origin.problem(&["destinations", name], &error));
        }
    }
    problems
}

/// The pipeline in a few lines, so that a person sees whether it is what was meant.
fn picture(pipeline: &Pipeline) -> String {
    let Pipeline { name, home, source, staging, trigger, transforms, destinations, origin, .. } = pipeline;
    let transformed = |is: bool| if is { ", transformed" } else { "" };
    let encrypted = if staging.encryption.is_some() { ", encrypted" } else { "" };
    let kept = match &staging.place {
        StagingPlace::Folder(path) => shown(&Place::path(&path.join(name))),
        StagingPlace::Objects(url) => url.join(name).to_string(),
    };
    let mut lines = vec![
        format!("  reads    {} `{}`, {trigger}", source.system(), shown(&source.place(&home.folder))),
        format!("  keeps    `{kept}`{encrypted}{}", transformed(transforms.is_some())),
    ];
    for Destination { writing, live, system, transforms, .. } in destinations {
        let transformed = transformed(transforms.is_some());
        let Writing { destination, mode, .. } = writing;
        let mode = mode.as_str();
        let when = if *live { "" } else { ", in replays alone" };
        let place = shown(&system.place(&home.folder));
        lines.push(format!(
            "  writes   {} `{}` as `{destination}`, {mode}{transformed}{when}",
            system.system(),
            place
        ));
    }
    origin.hide(&lines.join("\n"))
}

/// The place, a path as seen from the working folder.
fn shown(place: &Place) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    match place {
        Place::Path(path) => path.strip_prefix(here).unwrap_or(path).display().to_string(),
        database => database.to_string(),
    }
}
