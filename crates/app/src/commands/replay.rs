//! `tidemark replay`

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use serde_json::json;
use tidemark_engine::{
    Error, Result,
    log::{Log, Mark, Marks, Moment},
    schema::StreamName,
    write::{Plan, WriteLoop, WriteMode},
};
use tokio::sync::watch;

use crate::{
    cli::EXIT_CODES,
    digits::grouped,
    failure::Failure,
    output::Output,
    pipeline_file::{self, Destination, Pipeline},
    running::{Watched, stop_on_signals, watch as watch_progress},
    staging, streams,
};

/// Play staged changes into a destination, without touching the source
///
/// The destination stands in the pipeline file with `live: false`, so that `run` leaves it alone. A replay that was
/// interrupted continues where it was when the same command is given again; one that is complete can be extended with a
/// later `--until`, or with none.
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Replay {
    /// The pipeline file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The destination
    #[arg(long, value_name = "DESTINATION")]
    to: String,
    /// Begin after this moment: `beginning`, a time, or a commit as `seq:42`
    #[arg(long, value_name = "MOMENT", default_value_t = Moment::Beginning)]
    from: Moment,
    /// End with this moment; left out: with what is staged now
    #[arg(long, value_name = "MOMENT")]
    until: Option<Moment>,
    /// Only this stream; may be given more than once
    #[arg(long, value_name = "STREAM")]
    stream: Vec<String>,
    /// Only count what would be played
    #[arg(long)]
    dry_run: bool,
    /// Print the closing summary as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

const EXAMPLES: &str = "\
Examples:
  tidemark replay pipeline.yaml --to history --from beginning
  tidemark replay pipeline.yaml --to history --until 2013-01-03 --dry-run
  tidemark replay pipeline.yaml --to weather_only --stream weather";

/// Which commits to play.
struct Range {
    plan: Plan,
    last: u64,
}

impl Replay {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let pipeline = pipeline_file::load(&self.file)?;
        let destination = find(&pipeline, &self.to)?;
        let log = staging::existing_log(&pipeline).await?;
        let range = self.range(&log, destination).await?;
        let (_, mark) = Marks::open(&log, &self.to).await?;
        // A destination that was removed to be filled anew has nothing to continue.
        let mark = mark.filter(|_| !destination.system.place(&pipeline.home.folder).is_missing());
        check_continues(&self.to, mark.as_ref(), &range)?;
        if self.dry_run {
            return self.show(&count(&log, &range, mark.as_ref()).await?, "would be played", output);
        }

        let stop = stop_on_signals()?;
        let mut strategy = destination.system.strategy(&pipeline.home, &destination.writing)?;
        let (_horizon, last) = watch::channel(Some(range.last));
        let write_loop = WriteLoop::new(log.clone(), &self.to, range.plan.clone(), last, stop.clone());
        let progress = write_loop.progress();
        let watched =
            Watched { log: log.clone(), read: None, destinations: vec![(self.to.clone(), progress.clone())] };
        tokio::select! {
            played = write_loop.run(strategy.as_mut()) => played?,
            never = watch_progress(watched) => match never {},
        }
        let outcome =
            if stop.is_stopped() { "interrupted: give the same command again to go on" } else { "done" };
        if self.json {
            let sequence = progress.sequence();
            return output
                .json(&json!({"destination": self.to, "changes": progress.rows(), "commit": sequence}));
        }
        output.say(format!(
            "{}: {} changes written, now at commit {} ({outcome})",
            self.to,
            grouped(progress.rows()),
            progress.sequence()
        ))
    }

    async fn range(&self, log: &Log, destination: &Destination) -> Result<Range> {
        let from = log.seek(self.from).await?;
        let last = match self.until {
            Some(until) => log.seek(until).await?,
            None => log.head().sequence,
        };
        if from > last {
            return Err(Error::config(format!(
                "`--from` is after `--until`: commit {from} and commit {last}"
            ))
            .hint("give moments in order"));
        }
        if from > 0 && destination.writing.mode != WriteMode::Append {
            return Err(Error::config(format!(
                "`{}` mirrors its source, so it must be played from the beginning",
                self.to
            ))
            .hint("leave `--from` out, or write with `append`"));
        }
        let selection = streams::select(log, &self.stream).await?;
        Ok(Range {
            plan: Plan {
                from,
                selection,
                mode: destination.writing.mode,
                on_truncate: destination.on_truncate,
            },
            last,
        })
    }

    fn show(&self, rows: &BTreeMap<StreamName, u64>, what: &str, output: &Output) -> Result<(), Failure> {
        if self.json {
            return output.json(&json!({"destination": self.to, "changes": rows}));
        }
        let total: u64 = rows.values().sum();
        let streams = rows.iter().map(|(stream, rows)| format!("\n  {stream}: {}", grouped(*rows)));
        output.data(format!("{}: {} changes {what}{}", self.to, grouped(total), streams.collect::<String>()))
    }
}

/// The destination that is called `name`, if `run` leaves it alone.
fn find<'p>(pipeline: &'p Pipeline, name: &str) -> Result<&'p Destination> {
    let names: Vec<_> =
        pipeline.destinations.iter().map(|destination| destination.writing.destination.as_str()).collect();
    let found = pipeline.destinations.iter().find(|destination| destination.writing.destination == name);
    match found {
        None => {
            let hint = match pipeline_file::closest(name, &names) {
                Some(closest) => pipeline_file::did_you_mean(closest),
                None => format!("choose from: {}", names.join(", ")),
            };
            Err(Error::config(format!("the pipeline has no destination `{name}`")).hint(hint))
        }
        Some(destination) if destination.live => {
            Err(Error::config(format!("`run` writes to `{name}`, so a replay would write twice"))
                .hint("add a destination with `live: false` to the pipeline file and replay into that"))
        }
        Some(destination) => Ok(destination),
    }
}

/// A destination holds one range of the log: it can be continued, not mixed with another.
fn check_continues(name: &str, mark: Option<&Mark>, range: &Range) -> Result<()> {
    let Some(mark) = mark else { return Ok(()) };
    let Plan { from, selection, .. } = &range.plan;
    if mark.from == *from && mark.streams == selection.streams {
        return Ok(());
    }
    let streams = match mark.streams.as_slice() {
        [] => "all streams".to_owned(),
        streams => streams.iter().map(|stream| format!("`{stream}`")).collect::<Vec<_>>().join(", "),
    };
    let message = format!("`{name}` has been filled with {streams} from after commit {}", mark.from);
    Err(Error::config(message)
        .hint("give the same `--from` and `--stream` to continue it, or replay into a new destination"))
}

/// How many changes of each stream are left to be played.
async fn count(log: &Log, range: &Range, mark: Option<&Mark>) -> Result<BTreeMap<StreamName, u64>> {
    let begin = mark.map_or(range.plan.from, |mark| mark.position.sequence.max(range.plan.from));
    let mut rows = BTreeMap::new();
    for sequence in begin + 1..=range.last {
        for (stream, count) in log.commit(sequence).await?.rows_by_stream() {
            if range.plan.selection.takes(&stream) {
                *rows.entry(stream).or_default() += count;
            }
        }
    }
    Ok(rows)
}
