//! `tidemark teardown`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use tidemark_engine::{Error, Time, log::Runner};

use crate::{
    cli::EXIT_CODES,
    failure::Failure,
    output::Output,
    pipeline_file::{self, Destination, Pipeline},
    staging,
};

/// Remove what Tidemark made at the source and the destinations
///
/// Lists it; with --yes removes it: a replication slot, a publication, the positions in a database. The data at the
/// destinations and the staging log stay. Until its slot is removed, a source keeps its log for a pipeline that is not
/// run any more.
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Teardown {
    /// The pipeline file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Remove it, instead of listing it
    #[arg(long)]
    yes: bool,
    /// Print what was found, or removed, as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

const EXAMPLES: &str = "\
Examples:
  tidemark teardown pipeline.yaml
  tidemark teardown --yes pipeline.yaml";

impl Teardown {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let pipeline = pipeline_file::load(&self.file)?;
        refuse_while_running(&pipeline).await?;
        let Pipeline { home, source, destinations, .. } = &pipeline;
        let mut parts = vec![Part::new("source", source.made(home).await)];
        for Destination { writing, system, .. } in destinations {
            parts.push(Part::new(&writing.destination, system.made(writing).await));
        }
        if self.yes {
            parts[0].note(source.tear_down(home).await);
            for (part, Destination { writing, system, .. }) in parts[1..].iter_mut().zip(destinations) {
                part.note(system.tear_down(writing).await);
            }
        }
        if self.json {
            let made: serde_json::Map<_, _> =
                parts.iter().map(|part| (part.name.to_owned(), json!(part.made))).collect();
            output.json(&json!({"removed": self.yes, "made": made}))?;
        } else {
            output.data(for_people(&parts, self.yes))?;
        }
        match parts.into_iter().find_map(|part| part.error.map(|error| error.context(part.name))) {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }
}

/// The source or a destination. One that cannot be reached does not keep the others from being tidied up.
struct Part<'p> {
    name: &'p str,
    made: Vec<String>,
    error: Option<Error>,
}

impl<'p> Part<'p> {
    fn new(name: &'p str, made: Result<Vec<String>, Error>) -> Self {
        match made {
            Ok(made) => Self { name, made, error: None },
            Err(error) => Self { name, made: Vec::new(), error: Some(error) },
        }
    }

    fn note(&mut self, outcome: Result<(), Error>) {
        if let Err(error) = outcome {
            self.made.clear();
            self.error.get_or_insert(error);
        }
    }
}

/// What a running pipeline needs must not be taken from under it.
async fn refuse_while_running(pipeline: &Pipeline) -> Result<(), Failure> {
    let (who, hint) = match staging::runner(pipeline)? {
        Runner::Nobody => return Ok(()),
        Runner::Process(holder) => (format!("is being run by {holder}"), "stop it first"),
        // A log that is not there any more, or cannot be read, keeps nobody from tidying up.
        Runner::Untold => match last_sign(pipeline).await {
            None => return Ok(()),
            Some((destination, time)) => (
                format!("seems to be running: `{destination}` was being written to at {time}"),
                "stop it first; if nobody runs it, try again in half a minute",
            ),
        },
    };
    Err(Error::config(format!("pipeline `{}` {who}", pipeline.name)).hint(hint).into())
}

async fn last_sign(pipeline: &Pipeline) -> Option<(String, Time)> {
    let log = staging::find(pipeline).await.ok()??;
    staging::sign_of_life(pipeline, &log).await.ok()?
}

fn for_people(parts: &[Part<'_>], removed: bool) -> String {
    let line = |Part { name, made, .. }: &Part<'_>| -> Vec<String> {
        made.iter().map(|thing| format!("  {name}: {thing}")).collect()
    };
    let lines = parts.iter().flat_map(line);
    let lines: Vec<_> = lines.collect();
    match (lines.is_empty(), removed) {
        (true, _) => "nothing is left to be removed".to_owned(),
        (false, true) => format!("removed:\n{}", lines.join("\n")),
        (false, false) => format!("would be removed:\n{}\ngive --yes to remove it", lines.join("\n")),
    }
}
