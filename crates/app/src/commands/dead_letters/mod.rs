//! `tidemark dead-letters`

mod listing;
mod seeing_to;

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tidemark_engine::{
    Error, Result,
    log::{DeadLetter, LetterId, Log},
};

use crate::{
    cli::EXIT_CODES,
    failure::Failure,
    output::Output,
    pipeline_file::{self, Destination, Pipeline},
    staging,
};

/// List, show, retry or discard changes that a destination could not take
///
/// A destination with `on_error: dead-letter` goes on without a change that it cannot take, and without what comes later of the same
/// key. `list` names all of these, `show` tells everything of one. When the cause is gone, `retry` has them written, in order;
/// `discard` has them forgotten, and what was held behind them written. A running pipeline sees to either within seconds; if none
/// runs, this command does, or the next run where the log is in object storage.
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct DeadLetters {
    /// The pipeline file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What to do
    #[arg(value_enum, value_name = "ACTION")]
    action: Action,
    /// Which letters, as they are listed: `42-7`
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// Only of this destination
    #[arg(long, value_name = "DESTINATION")]
    destination: Option<String>,
    /// All letters: for `discard`, which must be told
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

const EXAMPLES: &str = "\
Examples:
  tidemark dead-letters pipeline.yaml list
  tidemark dead-letters pipeline.yaml show 42-7
  tidemark dead-letters pipeline.yaml retry
  tidemark dead-letters pipeline.yaml discard 42-7 --destination warehouse";

/// What to do with dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Action {
    /// One line a letter: destination, id, stream, operation, since when, and why
    List,
    /// Everything there is to know of one, its change included
    Show,
    /// Write them after all; without ids: all of them
    Retry,
    /// Forget them, and write what was held behind them
    Discard,
}

/// The letters of one destination.
struct Kept<'p> {
    destination: &'p Destination,
    letters: Vec<DeadLetter>,
}

impl Kept<'_> {
    fn name(&self) -> &str {
        &self.destination.writing.destination
    }
}

impl DeadLetters {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let pipeline = pipeline_file::load(&self.file)?;
        let ids = self.ids.iter().map(|id| id.parse()).collect::<Result<Vec<LetterId>>>()?;
        self.check(&ids)?;
        let log = staging::existing_log(&pipeline).await?;
        let boxes = self.boxes(&pipeline, &log, &ids).await?;
        match self.action {
            Action::List if self.json => output.json(&listing::for_programs(&boxes)),
            Action::List => output.data(listing::for_people(&boxes)),
            Action::Show => self.show(&log, &boxes, output).await,
            Action::Retry | Action::Discard => self.see_to(&pipeline, &log, boxes, &ids, output).await,
        }
    }

    fn check(&self, ids: &[LetterId]) -> Result<()> {
        match self.action {
            Action::Show if ids.len() != 1 => {
                Err(Error::config("`show` is about one letter").hint("give its id, as it is listed"))
            }
            Action::Discard if ids.is_empty() && !self.all => {
                Err(Error::config("`discard` was not told which letters")
                    .hint("give their ids, as they are listed, or `--all`"))
            }
            _ => Ok(()),
        }
    }

    /// The letters that are asked about, by destination; in the order in which they are played.
    async fn boxes<'p>(&self, pipeline: &'p Pipeline, log: &Log, ids: &[LetterId]) -> Result<Vec<Kept<'p>>> {
        let destinations = match &self.destination {
            None => pipeline.destinations.iter().collect(),
            Some(name) => vec![pipeline.destination(name)?],
        };
        let mut boxes = Vec::new();
        for destination in destinations {
            let letters = log.dead_letters(&destination.writing.destination).await?.into_values();
            let wanted = letters.filter(|it| !it.discarded && (ids.is_empty() || ids.contains(&it.id)));
            let mut letters = wanted.collect::<Vec<_>>();
            letters.sort_by_key(DeadLetter::order);
            boxes.push(Kept { destination, letters });
        }
        let is_there = |id: &&LetterId| boxes.iter().flat_map(|it| &it.letters).any(|it| &it.id == *id);
        match ids.iter().find(|id| !is_there(id)) {
            None => Ok(boxes),
            Some(id) => Err(Error::config(format!("there is no dead letter `{id}`"))
                .hint("see what `tidemark dead-letters FILE list` tells")),
        }
    }

    async fn show(&self, log: &Log, boxes: &[Kept<'_>], output: &Output) -> Result<(), Failure> {
        let mut found = boxes.iter().flat_map(|it| it.letters.iter().map(move |letter| (it.name(), letter)));
        let (Some((name, letter)), other) = (found.next(), found.next()) else { return Ok(()) };
        if let Some((other, _)) = other {
            let message = format!("destinations `{name}` and `{other}` both have a letter `{}`", letter.id);
            return Err(Error::config(message).hint("choose one with `--destination`").into());
        }
        let change = match log.is_dropped(letter.id.sequence) {
            true => None,
            false => Some(listing::change(log, letter).await?),
        };
        match self.json {
            true => output.data(listing::letter_for_programs(name, letter, change.as_deref())),
            false => {
                let change = change
                    .as_deref()
                    .unwrap_or("the log does not keep it any more: it can only be discarded");
                output.data(listing::letter_for_people(name, letter, change))
            }
        }
    }
}
