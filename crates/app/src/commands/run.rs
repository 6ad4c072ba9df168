//! `tidemark run`

use std::{convert::Infallible, future, path::PathBuf, time::Duration};

use clap::Args;
use serde_json::json;
use tidemark_engine::{
    Error, ErrorKind,
    log::{Log, Marks, RunLock, Runner, Trouble},
    world::World,
};
use tokio::sync::watch;

use super::check::refuse_overwriting;
use crate::{
    cli::EXIT_CODES,
    digits::grouped,
    failure::{Failure, error_for_programs},
    output::Output,
    pipeline_file::{self, Pipeline},
    running::{self, Outcome, PipelineRun, Written, stop_on_signals},
    staging,
};

/// Run a pipeline in the foreground
///
/// Reads the source into the staging log and plays the log into every destination, from where each of them stands. Goes on
/// until SIGTERM or SIGINT (Ctrl-C) ends it in good order; a second signal ends it at once, which is safe too. After any end
/// the next run continues where this one was.
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Run {
    /// The pipeline file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Stop when everything the source has now is in every destination
    #[arg(long)]
    once: bool,
    /// Print the closing summary as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

const EXAMPLES: &str = "\
Examples:
  tidemark run pipeline.yaml
  tidemark run --once pipeline.yaml      # from cron, a Kubernetes job, a test";

impl Run {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        // Whoever is asked to stop while it is still opening what it needs ends in good order too.
        let stop = stop_on_signals()?;
        let pipeline = pipeline_file::load(&self.file)?;
        refuse_overwriting(&pipeline).await?;
        let world = World::real();
        let begun = world.now();
        let store = staging::sound_store(&pipeline).await?;
        let mut lock = RunLock::take(&store, &world).await?;
        let trouble = store.trouble();
        let log = Log::open_or_create(store, &pipeline.name, world.clone()).await?;
        warn_of_another(&pipeline, &log).await?;
        check_whole(&pipeline, &log).await?;
        let run = PipelineRun::new(&pipeline, log, self.once, stop)?;
        if !self.once {
            tracing::info!("running `{}`; Ctrl-C stops it", pipeline.name);
        }

        let watched = run.watched();
        let outcome = tokio::select! {
            outcome = run.run() => outcome,
            never = running::watch(watched) => match never {},
            never = note_trouble(trouble, &mut lock) => match never {},
        };
        let taken = Duration::from_micros(world.now().micros_since(begun));
        if self.json {
            output.json(&for_programs(&pipeline.name, &outcome, taken))?;
        } else {
            output.say(for_people(&pipeline.name, &outcome, taken))?;
        }
        // All have been logged as they happened. What could lose data matters most to a script.
        let gravest = outcome.errors.into_iter().min_by_key(|error| error.kind() != ErrorKind::Conflict);
        match gravest {
            None => Ok(()),
            Some(error) if self.json => Err(Failure::Told(error.kind())),
            Some(error) => Err(error.into()),
        }
    }
}

/// Has `status` say what is wrong with the staging store, which cannot always keep a word on that itself.
async fn note_trouble(mut trouble: watch::Receiver<Option<Trouble>>, lock: &mut RunLock) -> Infallible {
    while trouble.changed().await.is_ok() {
        let trouble = trouble.borrow_and_update().clone();
        lock.note(trouble.as_ref());
    }
    future::pending().await
}

/// Where no lock keeps two apart, they meet in the log and at the destinations, and whoever comes second there ends. Whoever did not mean
/// that should hear of it.
async fn warn_of_another(pipeline: &Pipeline, log: &Log) -> Result<(), Failure> {
    if RunLock::runner(log.store()) == Runner::Untold
        && let Some((destination, time)) = staging::sign_of_life(pipeline, log).await?
    {
        tracing::warn!(
            hint = "let only one process run this pipeline",
            "destination `{destination}` was being written to at {time}: if another process runs this pipeline, the two cannot both go on"
        );
    }
    Ok(())
}

/// A destination that a replay filled in part must not be taken for one that has everything.
async fn check_whole(pipeline: &Pipeline, log: &Log) -> Result<(), Failure> {
    for destination in pipeline.destinations.iter().filter(|destination| destination.live) {
        let name = &destination.writing.destination;
        let (_, mark) = Marks::open(log, name).await?;
        // What is missing at its beginning may be in the log no more; then it has all that can be had.
        let is_whole = |from: u64| log.begins_after().map_or(from == 0, |base| from <= base);
        if mark.is_some_and(|mark| !is_whole(mark.from) || !mark.streams.is_empty() || mark.as_of.is_some()) {
            let message = format!("destination `{name}` was filled by a replay of a part of the log");
            let hint =
                "set `live: false` again, or write to a new destination: what is missing would stay missing";
            return Err(Error::config(message).hint(hint).into());
        }
    }
    Ok(())
}

fn for_people(name: &str, outcome: &Outcome, taken: Duration) -> String {
    let Outcome { read, commits, head, written, .. } = outcome;
    let commits =
        if *commits == 1 { "1 commit".to_owned() } else { format!("{} commits", grouped(*commits)) };
    let mut lines =
        vec![format!("{name}: {} changes read, {commits}, {:.1} s", grouped(*read), taken.as_secs_f64())];
    let width = written.iter().map(|written| written.destination.len()).max().unwrap_or(0);
    for Written { destination, rows, sequence, dead_letters } in written {
        let behind = match head.saturating_sub(*sequence) {
            0 => "up to date".to_owned(),
            behind => format!("{} commits behind", grouped(behind)),
        };
        let dead_letters = match dead_letters {
            0 => String::new(),
            1 => ", 1 dead letter".to_owned(),
            letters => format!(", {} dead letters", grouped(*letters)),
        };
        lines.push(format!(
            "  {destination:width$}  {} changes written, {behind}{dead_letters}",
            grouped(*rows)
        ));
    }
    lines.join("\n")
}

fn for_programs(name: &str, outcome: &Outcome, taken: Duration) -> serde_json::Value {
    let Outcome { read, commits, head, written, errors } = outcome;
    let written = written.iter().map(|Written { destination, rows, sequence, dead_letters }| {
        let behind = head.saturating_sub(*sequence);
        json!({"destination": destination, "changes": rows, "commit": sequence, "behind": behind, "dead_letters": dead_letters})
    });
    json!({
        "pipeline": name,
        "read": read,
        "commits": commits,
        "head": head,
        "seconds": taken.as_secs_f64(),
        "destinations": written.collect::<Vec<_>>(),
        "errors": errors.iter().map(error_for_programs).collect::<Vec<_>>(),
    })
}
