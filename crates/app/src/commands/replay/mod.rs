//! `tidemark replay`

mod filling;
mod in_place;
mod range;

use std::{collections::BTreeMap, num::NonZeroU64, path::PathBuf};

use clap::Args;
use serde_json::json;
use tidemark_engine::{
    Error, Result,
    log::{Log, Marks, Moment},
    schema::StreamName,
};

use self::range::Range;
use crate::{
    cli::EXIT_CODES,
    digits::grouped,
    failure::Failure,
    output::Output,
    pipeline_file::{self, Destination, Pipeline},
    running::stop_on_signals,
    staging,
};

/// Play staged changes into a destination, without touching the source
///
/// A destination with `live: false`, which `run` leaves alone, is filled with a range of the log, or shows the source as of a
/// moment. A live destination is filled anew out of sight, up to where it stands; then what it holds is exchanged in one step,
/// and `run`, which may go on meanwhile, continues from there. In `append` only changes that are missing are added.
///
/// A replay that was interrupted continues where it was when the same command is given again; one that is complete can be
/// extended with a later `--until`, or with none. Moments are `beginning`, a time, a commit (`seq:42`) or a place in the source
/// (`source:16/B374D848`).
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Replay {
    /// The pipeline file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The destination
    #[arg(long, value_name = "DESTINATION")]
    to: String,
    /// Begin after this moment
    #[arg(long, value_name = "MOMENT", default_value_t = Moment::Beginning)]
    from: Moment,
    /// End with this moment; left out: with what is staged now
    #[arg(long, value_name = "MOMENT")]
    until: Option<Moment>,
    /// Show the source as it was at this moment: whole transactions, exchanged in one step
    #[arg(long, value_name = "MOMENT", conflicts_with_all = ["from", "until"])]
    as_of: Option<Moment>,
    /// Only this stream; may be given more than once
    #[arg(long, value_name = "STREAM")]
    stream: Vec<String>,
    /// Only records that this expression is true of, as under `filter` of a destination's `transforms`
    #[arg(long = "where", value_name = "EXPRESSION", conflicts_with = "dry_run")]
    condition: Option<String>,
    /// Play no more changes than this a second, to spare the destination
    #[arg(long, value_name = "CHANGES")]
    rate: Option<NonZeroU64>,
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
  tidemark replay pipeline.yaml --to before_the_accident --as-of 2013-01-03T11:59:00Z
  tidemark replay pipeline.yaml --to warehouse --stream public.orders
  tidemark replay pipeline.yaml --to large --where 'amount > 1000'";

/// What a replay has done.
struct Played {
    rows: u64,
    /// The last commit that the destination has.
    sequence: u64,
    /// How it went, for people.
    outcome: &'static str,
}

const INTERRUPTED: &str = "interrupted: give the same command again to go on";

impl Replay {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let pipeline = pipeline_file::load(&self.file)?;
        let destination = self.destination(&pipeline)?;
        let log = staging::existing_log(&pipeline).await?;
        let out_of_sight = destination.live || self.as_of.is_some();
        let stands_at = self.stands_at(&log, destination).await?;
        let range = Range::of(&self, &pipeline, &log, destination, stands_at).await?;
        if self.dry_run {
            let mark =
                if out_of_sight { None } else { in_place::mark(&self, &pipeline, &log, destination).await? };
            return self.show(&range.count(&log, mark.as_ref()).await?, output);
        }
        let stop = stop_on_signals()?;
        let played = match out_of_sight {
            true => filling::fill(&self, &pipeline, &log, destination, &range, &stop).await?,
            false => in_place::play(&self, &pipeline, &log, destination, &range, &stop).await?,
        };
        self.tell(&played, output)
    }

    /// The destination, if it can be replayed into as is asked.
    fn destination<'p>(&self, pipeline: &'p Pipeline) -> Result<&'p Destination> {
        let destination = pipeline.destination(&self.to)?;
        let out_of_sight = destination.live || self.as_of.is_some();
        let name = &self.to;
        if out_of_sight && !destination.system.exchanges() {
            let system = destination.system.system();
            let what =
                if destination.live { "filled anew while it is in use" } else { "shown as of a moment" };
            return Err(Error::config(format!("`{name}` is of type `{system}`, which cannot be {what}"))
                .hint("replay into a new destination with `live: false`, with `--from` and `--until` as you like"));
        }
        if destination.live && self.as_of.is_some() {
            return Err(Error::config(format!(
                "`run` keeps `{name}` up to date, so it cannot show another moment"
            ))
            .hint("add a destination with `live: false` to the pipeline file and replay into that"));
        }
        if destination.live && self.condition.is_some() {
            return Err(Error::config(format!("`run` writes everything to `{name}`, so it cannot hold only what `--where` says"))
                .hint("replay into a destination with `live: false`, or give this one a `filter` under `transforms`"));
        }
        if destination.live && self.until.is_some() {
            return Err(Error::config(format!(
                "`run` writes to `{name}`, so it is played up to where it stands"
            ))
            .hint("leave `--until` out, or replay into a destination with `live: false`"));
        }
        Ok(destination)
    }

    /// The commit that a live destination stands at.
    async fn stands_at(&self, log: &Log, destination: &Destination) -> Result<Option<u64>> {
        if !destination.live {
            return Ok(None);
        }
        let (_, mark) = Marks::open(log, &self.to).await?;
        let mark = mark.filter(|mark| &mark.position.log == log.id() && mark.position.sequence > 0);
        let mark = mark.ok_or_else(|| {
            Error::config(format!("nothing has been written to `{}` yet", self.to))
                .hint("run the pipeline: it fills the destination from the beginning")
        })?;
        // One that was left behind is brought to where the log is.
        let stands_at = mark.position.sequence;
        Ok(Some(if log.is_dropped(stands_at) { log.head().sequence } else { stands_at }))
    }

    fn show(&self, rows: &BTreeMap<StreamName, u64>, output: &Output) -> Result<(), Failure> {
        if self.json {
            return output.json(&json!({"destination": self.to, "changes": rows}));
        }
        let total: u64 = rows.values().sum();
        let streams = rows.iter().map(|(stream, rows)| format!("\n  {stream}: {}", grouped(*rows)));
        let streams = streams.collect::<String>();
        output.data(format!("{}: {} changes would be played{streams}", self.to, grouped(total)))
    }

    fn tell(&self, played: &Played, output: &Output) -> Result<(), Failure> {
        let Played { rows, sequence, outcome } = played;
        if self.json {
            return output.json(&json!({"destination": self.to, "changes": rows, "commit": sequence}));
        }
        let rows = grouped(*rows);
        output.say(format!("{}: {rows} changes written, now at commit {sequence} ({outcome})", self.to))
    }
}
