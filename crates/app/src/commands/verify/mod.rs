//! `tidemark verify`
//!
//! | Question | Module |
//! |---|---|
//! | What is compared, and with what? | here |
//! | How is one stream compared? | `stream` |
//! | Is a difference one, or a change on its way? | `confirming` |
//! | What should a destination hold, by the staging log? | `replayed` |
//! | How is it told? | `report` |

mod confirming;
mod replayed;
mod report;
mod stream;

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tidemark_connectors::{
    comparing::{Offered, Original, Replica},
    config::DestinationConfig,
};
use tidemark_engine::{
    Error, ErrorKind,
    log::{Former, Log, Mark, Marks},
    schema::StreamName,
    write::{Standing, WriteMode},
};

use self::{
    confirming::Confirming,
    replayed::Replayed,
    report::{OfDestination, OfStream, Report},
    stream::Comparison,
};
use crate::{
    cli::EXIT_CODES,
    failure::Failure,
    output::Output,
    pipeline_file::{self, Destination, Pipeline},
    running::stop_on_signals,
    staging, streams,
};

/// Compare a destination with its source, row by row, while both keep changing
///
/// Tables are compared by checksums of parts, and parts that differ are narrowed down to rows. What differs is looked at
/// again once the destination has caught up: only what differs still, while the source's row has not changed, is a confirmed
/// difference. Nothing is written, and no values are shown but those of keys.
///
/// A mirror is compared whole; of `soft-delete` the rows that are not deleted, of `history` the current versions. What a
/// destination adds of its own, and what the pipeline leaves out, is not compared.
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{OUTCOMES}\n\n{EXIT_CODES}"))]
pub(crate) struct Verify {
    /// The pipeline file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only this destination; may be given more than once
    #[arg(long, value_name = "DESTINATION")]
    destination: Vec<String>,
    /// Only this stream; may be given more than once
    #[arg(long, value_name = "STREAM")]
    stream: Vec<String>,
    /// What destinations are compared with
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = Against::Source)]
    against: Against,
    /// How many differing rows to name for each stream
    #[arg(long, value_name = "N", default_value_t = 10)]
    limit: usize,
    /// Print what was found as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

const EXAMPLES: &str = "\
Examples:
  tidemark verify pipeline.yaml
  tidemark verify pipeline.yaml --destination copy --stream public.orders --limit 100
  tidemark verify pipeline.yaml --against staging
  tidemark verify --json pipeline.yaml | jq '.destinations[].streams[] | select(.equal == false)'";

const OUTCOMES: &str = "\
Exits with 0 when all that was compared is equal, and with 1 when anything differs. Differences
are confirmed only while the pipeline is run: otherwise they may be changes on their way.";

/// Why a destination with transforms is not compared with the source.
const TRANSFORMED: &str = "its changes are transformed on their way: compare it with `--against staging`";

/// What destinations are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Against {
    /// The source as it is now
    Source,
    /// What the staging log says should be there; the source is not touched
    Staging,
}

impl Against {
    fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Staging => "staging",
        }
    }
}

/// What may come between a destination and a comparison of one of its streams.
fn why_not(standing: &Standing, stream: &StreamName) -> Option<String> {
    if let Some(hold) = standing.held.get(stream) {
        return Some(format!("it is held after commit {}: {}", hold.after, hold.error));
    }
    standing.anew.contains_key(stream).then(|| "it is being filled anew".to_owned())
}

/// Whether the destination that left `mark` is given `stream`: a replay may leave some out.
fn is_given(mark: Option<&Mark>, stream: &StreamName) -> bool {
    mark.is_none_or(|mark| mark.streams.is_empty() || mark.streams.contains(stream))
}

/// Why a destination is not one that should look like the source.
fn unlike(destination: &Destination) -> Option<&'static str> {
    match (&destination.system, destination.writing.mode) {
        (DestinationConfig::Files(_), _) => Some("files hold every change, not what the source looks like"),
        (_, WriteMode::Append) => {
            Some("`append` keeps every change as a row, not what the source looks like")
        }
        (_, WriteMode::Replace) => Some("`replace` shows the source as it was last read whole, not as it is"),
        (_, WriteMode::Mirror | WriteMode::SoftDelete | WriteMode::History) => None,
    }
}

impl Verify {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let pipeline = pipeline_file::load(&self.file)?;
        let chosen = self.chosen(&pipeline)?;
        if chosen.iter().all(|destination| unlike(destination).is_some()) {
            let why = chosen.iter().find_map(|destination| unlike(destination)).unwrap_or("there is none");
            return Err(Error::config(format!("no destination can be compared: {why}"))
                .hint("name one that is written in the mode `mirror`, `soft-delete` or `history`")
                .into());
        }
        let log = staging::existing_log(&pipeline).await?;
        let destinations = match self.against {
            Against::Source => self.against_source(&pipeline, &log, &chosen).await?,
            Against::Staging => self.against_staging(&pipeline, &log, &chosen).await?,
        };
        let report = Report { pipeline: &pipeline.name, against: self.against.as_str(), destinations };
        match self.json {
            true => output.json(&report.for_programs())?,
            false => output.data(pipeline.origin.hide(&report.for_people()))?,
        }
        match report.is_equal() {
            true => Ok(()),
            false => Err(Failure::Told(ErrorKind::Data)),
        }
    }

    /// The destinations that are asked for; none named: all.
    fn chosen<'p>(&self, pipeline: &'p Pipeline) -> Result<Vec<&'p Destination>, Error> {
        let names: Vec<_> = pipeline.destinations.iter().map(|it| it.writing.destination.as_str()).collect();
        if let Some(name) = self.destination.iter().find(|name| !names.contains(&name.as_str())) {
            let hint = match pipeline_file::closest(name, &names) {
                Some(closest) => pipeline_file::did_you_mean(closest),
                None => format!("choose from: {}", names.join(", ")),
            };
            return Err(Error::config(format!("the pipeline has no destination `{name}`")).hint(hint));
        }
        let is_chosen = |it: &&Destination| {
            self.destination.is_empty() || self.destination.contains(&it.writing.destination)
        };
        Ok(pipeline.destinations.iter().filter(is_chosen).collect())
    }

    async fn against_source(
        &self,
        pipeline: &Pipeline,
        log: &Log,
        chosen: &[&Destination],
    ) -> Result<Vec<OfDestination>, Failure> {
        let original = pipeline.source.compared(&pipeline.home)?.ok_or_else(|| {
            Error::config(format!("a source of {} cannot be asked for its records", pipeline.source.system()))
                .hint("compare with what is staged of it: --against staging")
        })?;
        log.refresh().await?;
        let mut offered = original.streams(&log.cursor()).await?;
        self.check_streams("the source has", &offered)?;
        offered.retain(|offered| self.takes(&offered.stream));
        for offered in &mut offered {
            // One that goes on beside a new initial sync is as good as ever.
            let open = log.syncing().get(&offered.stream).map(|open| open.former != Former::Current);
            if open == Some(true) {
                offered.why_not.get_or_insert_with(|| "its initial sync is not complete".to_owned());
            }
        }
        let mut reports = Vec::new();
        for destination in chosen {
            let mut report = OfDestination::new(destination);
            if pipeline.transforms.is_some() || destination.transforms.is_some() {
                report.why_not.get_or_insert_with(|| TRANSFORMED.to_owned());
            }
            if let (None, Some(replica)) = (&report.why_not, self.replica(pipeline, destination)?) {
                let confirming = Confirming::new(log, original.as_ref(), replica.as_ref(), destination.live);
                let (_, mark) = Marks::open(log, &destination.writing.destination).await?;
                for offered in offered.iter().filter(|offered| is_given(mark.as_ref(), &offered.stream)) {
                    let compared = self.compare_with_source(original.as_ref(), offered, &confirming);
                    report.streams.push(compared.await?);
                }
            }
            reports.push(report);
        }
        Ok(reports)
    }

    async fn compare_with_source(
        &self,
        original: &dyn Original,
        offered: &Offered,
        confirming: &Confirming<'_>,
    ) -> Result<OfStream, Error> {
        /// A table that is altered meanwhile is described anew.
        const ATTEMPTS: usize = 4;
        let stream = &offered.stream;
        let mut attempt = 1;
        loop {
            let standing = confirming.replica().standing().await?;
            let why_not = match &standing {
                None => Some("nothing has been written to the destination yet".to_owned()),
                Some(standing) => {
                    confirming.check(standing).await?;
                    offered.why_not.clone().or_else(|| why_not(standing, stream))
                }
            };
            if let Some(why) = why_not {
                return Ok(OfStream::not_compared(stream, why));
            }
            let compared = async {
                let (table, copy) =
                    (original.table(stream).await?, confirming.replica().table(stream).await?);
                Comparison::new(stream, table, copy, self.limit).run(Some(confirming)).await
            };
            match compared.await {
                Err(error) if error.kind().is_transient() && attempt < ATTEMPTS => {
                    tracing::info!(%stream, %error, "the stream is compared again");
                    attempt += 1;
                }
                compared => return compared,
            }
        }
    }

    async fn against_staging(
        &self,
        pipeline: &Pipeline,
        log: &Log,
        chosen: &[&Destination],
    ) -> Result<Vec<OfDestination>, Failure> {
        let (selection, stop) = (streams::select(log, &self.stream).await?, stop_on_signals()?);
        let mut reports = Vec::new();
        for destination in chosen {
            let mut report = OfDestination::new(destination);
            if let (None, Some(replica)) = (&report.why_not, self.replica(pipeline, destination)?) {
                let (_, mark) = Marks::open(log, &destination.writing.destination).await?;
                let mut streams = log.streams().await?;
                streams.retain(|stream| selection.takes(stream) && is_given(mark.as_ref(), stream));
                let from = mark.as_ref().map_or(0, |mark| mark.from);
                let cut_off = log.streams_cut_off().await?;
                streams.retain(|stream| !cut_off.contains(stream));
                let replayed = Replayed::make(pipeline, log, destination, from, streams).await?;
                report.streams = tokio::select! {
                    biased;
                    () = stop.stopped() => return Err(Error::unavailable("it was interrupted").into()),
                    streams = replayed.compare_with(replica.as_ref(), self.limit, &stop) => streams?,
                };
                let cut_off = cut_off
                    .iter()
                    .filter(|stream| selection.takes(stream) && is_given(mark.as_ref(), stream));
                let why = "the log does not keep all of it any more, and it has no key";
                report.streams.extend(cut_off.map(|stream| OfStream::not_compared(stream, why.to_owned())));
            }
            reports.push(report);
        }
        Ok(reports)
    }

    fn replica(
        &self,
        pipeline: &Pipeline,
        destination: &Destination,
    ) -> Result<Option<Box<dyn Replica>>, Error> {
        destination.system.compared(&pipeline.home, &destination.writing)
    }

    fn takes(&self, stream: &StreamName) -> bool {
        self.stream.is_empty() || self.stream.iter().any(|name| name == stream.as_str())
    }

    fn check_streams(&self, whose: &str, offered: &[Offered]) -> Result<(), Error> {
        let known: Vec<_> = offered.iter().map(|offered| offered.stream.as_str()).collect();
        match self.stream.iter().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(streams::unknown(whose, name, &known)),
            None => Ok(()),
        }
    }
}
