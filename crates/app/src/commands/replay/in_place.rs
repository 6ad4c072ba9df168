//! A replay straight into a destination that `run` leaves alone.

use tidemark_engine::{
    Error, Result, Stop,
    log::{Ledger, Log, Mark, Marks},
    write::{Plan, WriteLoop},
};
use tokio::sync::watch;

use super::{INTERRUPTED, Played, Replay, range::Range};
use crate::{
    pipeline_file::{Destination, Pipeline},
    running::{Watched, watch as watch_progress},
};

/// What the destination last said of itself.
pub(super) async fn mark(
    replay: &Replay,
    pipeline: &Pipeline,
    log: &Log,
    destination: &Destination,
) -> Result<Option<Mark>> {
    let (_, mark) = Marks::open(log, &replay.to).await?;
    // A destination that was removed to be filled anew has nothing to continue.
    Ok(mark.filter(|_| !destination.system.place(&pipeline.home.folder).is_missing()))
}

pub(super) async fn play(
    replay: &Replay,
    pipeline: &Pipeline,
    log: &Log,
    destination: &Destination,
    range: &Range,
    stop: &Stop,
) -> Result<Played> {
    let mark = mark(replay, pipeline, log, destination).await?;
    check_continues(&replay.to, mark.as_ref(), range)?;
    let mut strategy =
        destination.system.strategy(&pipeline.home, &destination.writing, Ledger::new(log, &replay.to))?;
    let (_horizon, last) = watch::channel(Some(range.last));
    let plan = Plan { on_error: destination.on_error, ..range.plan.clone() };
    let write_loop = WriteLoop::new(log.clone(), &replay.to, plan, last, stop.clone());
    let progress = write_loop.progress();
    let destinations = vec![(replay.to.clone(), progress.clone())];
    let watched = Watched { log: log.clone(), read: None, destinations };
    tokio::select! {
        played = write_loop.run(strategy.as_mut()) => played?,
        never = watch_progress(watched) => match never {},
    }
    let outcome = if stop.is_stopped() { INTERRUPTED } else { "done" };
    Ok(Played { rows: progress.rows(), sequence: progress.sequence(), outcome })
}

/// A destination holds one range of the log: it can be continued, not mixed with another.
fn check_continues(name: &str, mark: Option<&Mark>, range: &Range) -> Result<()> {
    // One that was refused at its beginning holds nothing.
    let Some(mark) = mark.filter(|mark| mark.position.sequence > 0) else { return Ok(()) };
    if let Some(moment) = &mark.as_of {
        return Err(Error::config(format!(
            "`{name}` shows the source as of {moment}, from which nothing goes on"
        ))
        .hint("give `--as-of` again with another moment, or replay into a new destination"));
    }
    let Plan { from, selection, .. } = &range.plan;
    if mark.note != range.plan.note {
        return Err(Error::config(format!("`{name}` has been filled with another `--where`"))
            .hint("give the same `--where` to continue it, or replay into a new destination"));
    }
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
