//! `tidemark changes`

use std::{path::PathBuf, time::Duration};

use clap::Args;
use futures::{StreamExt, TryStreamExt};
use tidemark_engine::{
    Error,
    change::{Refused, Reshape},
    log::{Log, Moment, Selection},
    schema::StreamName,
    write::Delivery,
};

use crate::{
    change_line::{ChangeLine, Style},
    cli::EXIT_CODES,
    failure::Failure,
    moments,
    output::Output,
    pipeline_file,
    running::stop_on_signals,
    staging, streams,
};

/// List the changes in the staging log
///
/// One line a change, in the log's order: its place (commit and ordinal), operation, stream and values. Operations are `r`
/// (read by the initial sync), `c` (created), `u` (updated), `d` (deleted) and `t` (truncated).
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Changes {
    /// The pipeline file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only this stream; may be given more than once
    #[arg(long, value_name = "STREAM")]
    stream: Vec<String>,
    /// Begin after this moment: `beginning`, a time, a commit (`seq:42`), a place in the source (`source:16/B374D848`)
    #[arg(long, value_name = "MOMENT", default_value_t = Moment::Beginning)]
    from: Moment,
    /// End with this moment
    #[arg(long, value_name = "MOMENT", conflicts_with = "follow")]
    until: Option<Moment>,
    /// Show what this destination is given: what its transforms make of the changes
    #[arg(long, value_name = "DESTINATION")]
    through: Option<String>,
    /// Go on with changes as they are staged
    #[arg(long)]
    follow: bool,
    /// Print a JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

const EXAMPLES: &str = "\
Examples:
  tidemark changes pipeline.yaml --stream flights --from 2013-01-02T00:00:00Z
  tidemark changes pipeline.yaml --follow --json | jq .values
  tidemark changes pipeline.yaml --through warehouse";

/// How often to look for commits of another process.
const LOOK: Duration = Duration::from_millis(200);

impl Changes {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let pipeline = pipeline_file::load(&self.file)?;
        let reshape = match &self.through {
            Some(name) => pipeline.destination(name)?.plan().reshape,
            None => None,
        };
        let log = staging::existing_log(&pipeline).await?;
        let selection = match self.follow {
            // A stream may come to be while we wait for it.
            true => Selection {
                streams: self.stream.iter().map(StreamName::new).collect(),
                ..Selection::default()
            },
            false => streams::select(&log, &self.stream).await?,
        };
        let stop = stop_on_signals()?;
        let from = moments::seek(&log, &pipeline.source, &self.from).await?;
        let mut next = log.next_after(from)?;
        let last = match &self.until {
            Some(moment) => moments::seek(&log, &pipeline.source, moment).await?,
            None => log.head().sequence,
        };
        loop {
            let end = if self.follow { log.head().sequence } else { last };
            while next <= end && !stop.is_stopped() {
                self.print(&log, next, (&selection, reshape.as_deref()), output).await?;
                next += 1;
            }
            if !self.follow || stop.is_stopped() {
                return Ok(());
            }
            tokio::select! {
                () = stop.stopped() => {}
                () = log.world().sleep(LOOK) => log.refresh().await?,
            }
        }
    }

    /// Prints the changes of one commit, batch by batch.
    async fn print(
        &self,
        log: &Log,
        sequence: u64,
        (selection, reshape): (&Selection, Option<&dyn Reshape>),
        output: &Output,
    ) -> Result<(), Failure> {
        let commit = log.commit(sequence).await?;
        let style = if self.json { Style::Json } else { Style::Text };
        let mut deliveries = log.deliveries(vec![commit.clone()], selection).boxed();
        while let Some(delivery) = deliveries.try_next().await? {
            let mut left = Some(delivery);
            while let Some(delivery) = left.take() {
                let (given, refused) = match reshape {
                    Some(reshape) => through(delivery, reshape)?,
                    None => (Some(delivery), None),
                };
                if let Some(delivery) = given {
                    let line = ChangeLine::new(log.id(), commit.time(), &delivery, style);
                    let lines = (0..delivery.changes.rows()).map(|row| line.of(row));
                    output.data(lines.collect::<Result<Vec<_>, _>>()?.join("\n"))?;
                }
                if let Some((delivery, error, rest)) = refused {
                    output.data(
                        ChangeLine::new(log.id(), commit.time(), &delivery, style).of_refused(&error)?,
                    )?;
                    left = rest;
                }
            }
        }
        Ok(())
    }
}

/// A change that is refused, why, and what comes after it.
type Stopped = (Delivery, Error, Option<Delivery>);

/// What `reshape` makes of `delivery`, up to the first change that it refuses.
fn through(delivery: Delivery, reshape: &dyn Reshape) -> Result<(Option<Delivery>, Option<Stopped>), Error> {
    let part = |from: usize, rows: usize| Delivery {
        changes: delivery.changes.slice(from, rows),
        ..delivery.clone()
    };
    let made = |delivery: Delivery| -> Result<Option<Delivery>, Refused> {
        let changes = reshape.changes(delivery.changes.clone())?;
        Ok((changes.rows() > 0).then_some(Delivery { changes, ..delivery }))
    };
    match made(delivery.clone()) {
        Ok(made) => Ok((made, None)),
        Err(Refused { row: Some(row), error }) => {
            let before = if row > 0 { made(part(0, row)).map_err(|refused| *refused.error)? } else { None };
            let behind = delivery.changes.rows() - row - 1;
            let rest = (behind > 0).then(|| part(row + 1, behind));
            Ok((before, Some((part(row, 1), *error, rest))))
        }
        Err(Refused { row: None, error }) => Err(*error),
    }
}
