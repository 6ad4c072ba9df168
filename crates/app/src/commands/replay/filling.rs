//! A replay that nobody sees before it is complete: a hidden destination is filled, and then takes the place of the one that is
//! meant.

use tidemark_connectors::config::Writing;
use tidemark_engine::{
    Error, Result, Stop,
    log::{Ledger, Log, Mark, MarkState, Marks},
    schema::StreamName,
    write::{Plan, Standing, Takeover, WriteLoop, WriteMode, WriteStrategy},
};
use tokio::sync::watch;

use super::{INTERRUPTED, Played, Replay, range::Range};
use crate::{
    pipeline_file::{Destination, Pipeline},
    running::{Watched, hidden, watch as watch_progress},
};

pub(super) async fn fill(
    replay: &Replay,
    pipeline: &Pipeline,
    log: &Log,
    destination: &Destination,
    range: &Range,
    stop: &Stop,
) -> Result<Played> {
    check_no_letters(replay, log, destination, range).await?;
    let writing = Writing { shadow: true, adopt: false, ..destination.writing.clone() };
    let name = hidden(&replay.to);
    let mut strategy = destination.system.strategy(&pipeline.home, &writing, Ledger::new(log, &name))?;
    let rules = format!("{}{}", rules(destination), range.plan.note);
    discard_another(log, &name, range, &rules, strategy.as_mut()).await?;

    let (_horizon, last) = watch::channel(Some(range.last));
    let plan = Plan { note: rules, ..range.plan.clone() };
    let write_loop = WriteLoop::new(log.clone(), &name, plan, last, stop.clone());
    let progress = write_loop.progress();
    let destinations = vec![(replay.to.clone(), progress.clone())];
    let watched = Watched { log: log.clone(), read: None, destinations };
    tokio::select! {
        played = write_loop.run(strategy.as_mut()) => played?,
        never = watch_progress(watched) => match never {},
    }
    let rows = progress.rows();
    if stop.is_stopped() {
        return Ok(Played { rows, sequence: progress.sequence(), outcome: INTERRUPTED });
    }
    let start = log.position(range.plan.from).await?;
    let standing = strategy.open(log.id()).await?.unwrap_or_else(|| start.into());
    let streams = range.plan.selection.streams.clone();
    let adds = range.plan.mode == WriteMode::Append;
    let takeover = Takeover { standing: standing.clone(), streams, goes_on: destination.live, adds };
    if !destination.live {
        // Said before it is true: should this process end between the two, nothing goes on from the wrong place.
        note(replay, log, range, &standing, rows).await?;
    }
    strategy.take_place(&takeover).await?;
    strategy.close().await?;
    Marks::remove(log, &name).await?;
    let outcome = if destination.live { "filled anew; `run` goes on from there" } else { "done" };
    Ok(Played { rows, sequence: standing.position.sequence, outcome })
}

/// What was left out as a dead letter would come with what is filled, and then again: that has to be decided first.
async fn check_no_letters(
    replay: &Replay,
    log: &Log,
    destination: &Destination,
    range: &Range,
) -> Result<()> {
    if range.plan.mode == WriteMode::Append {
        return Ok(());
    }
    let letters = log.dead_letters(&replay.to).await?;
    let of_these = letters.values().filter(|letter| range.plan.selection.takes(&letter.stream));
    match of_these.count() {
        0 => Ok(()),
        count => {
            let (name, system) = (&replay.to, destination.system.system());
            Err(Error::config(format!(
                "`{name}` ({system}) has {count} dead letters of what is to be filled anew"
            ))
            .hint(
                "remove their cause, then `tidemark dead-letters FILE retry`, or `discard`, and replay again",
            ))
        }
    }
}

/// What else decides what a destination comes to hold: a replay under other rules is another one.
fn rules(destination: &Destination) -> String {
    let Destination { writing, schema_change, on_truncate, transforms, .. } = destination;
    let transforms = transforms.as_ref().map_or(String::new(), |it| format!(" {}", it.fingerprint()));
    let table = writing.table.of(&StreamName::new("{stream}"));
    format!("{} {schema_change:?} {on_truncate:?} {table}{transforms}", writing.mode.as_str())
}

/// Forgets what a former replay left behind, unless this one goes on with it.
async fn discard_another(
    log: &Log,
    name: &str,
    range: &Range,
    rules: &str,
    strategy: &mut dyn WriteStrategy,
) -> Result<()> {
    let Some(standing) = strategy.open(log.id()).await? else { return Ok(()) };
    let (_, mark) = Marks::open(log, name).await?;
    let plan = &range.plan;
    let is_same = mark.is_some_and(|mark| {
        mark.from == plan.from && mark.streams == plan.selection.streams && mark.note == rules
    });
    let is_part = standing.position.sequence <= range.last
        && (standing.beyond.is_none()
            || (standing.beyond, standing.position.sequence) == (plan.beyond, range.last))
        && &standing.position.log == log.id()
        && !log.is_dropped(standing.position.sequence);
    if is_same && is_part {
        tracing::info!(commit = standing.position.sequence, "going on with the replay that was interrupted");
        return Ok(());
    }
    tracing::info!("an earlier replay that was interrupted is discarded");
    strategy.abandon().await?;
    Marks::remove(log, name).await
}

/// Says of the destination, which nobody else writes to, what it shows now.
async fn note(replay: &Replay, log: &Log, range: &Range, standing: &Standing, rows: u64) -> Result<()> {
    let (mut marks, _) = Marks::open(log, &replay.to).await?;
    let mark = Mark {
        position: standing.position.clone(),
        held: Default::default(),
        anew: Default::default(),
        from: range.plan.from,
        as_of: replay.as_of.as_ref().map(ToString::to_string),
        note: String::new(),
        streams: range.plan.selection.streams.clone(),
        rows,
        time: log.world().now(),
        state: MarkState::Stopped,
    };
    marks.add(&mark).await
}
