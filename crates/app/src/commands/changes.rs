//! `tidemark changes`

use std::{path::PathBuf, time::Duration};

use clap::Args;
use futures::{StreamExt, TryStreamExt};
use tidemark_engine::{
    log::{Log, Moment, Selection},
    schema::StreamName,
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
  tidemark changes pipeline.yaml --follow --json | jq .values";

/// How often to look for commits of another process.
const LOOK: Duration = Duration::from_millis(200);

impl Changes {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let pipeline = pipeline_file::load(&self.file)?;
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
                self.print(&log, next, &selection, output).await?;
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
        selection: &Selection,
        output: &Output,
    ) -> Result<(), Failure> {
        let commit = log.commit(sequence).await?;
        let style = if self.json { Style::Json } else { Style::Text };
        let mut deliveries = log.deliveries(vec![commit.clone()], selection).boxed();
        while let Some(delivery) = deliveries.try_next().await? {
            let line = ChangeLine::new(log.id(), commit.time(), &delivery, style);
            let mut lines = Vec::with_capacity(delivery.changes.rows());
            for row in 0..delivery.changes.rows() {
                lines.push(line.of(row)?);
            }
            output.data(lines.join("\n"))?;
        }
        Ok(())
    }
}
