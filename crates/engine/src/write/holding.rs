//! Streams that fail at a destination while the others go on: held where they are, and tried again from time to time.

use std::{collections::BTreeMap, time::Duration};

use futures::{FutureExt, future::BoxFuture};

use super::{Hold, Standing, WriteLoop, WriteStrategy, filling::cut_short, write_loop::Run};
use crate::{Error, ErrorKind, Result, log::Selection, schema::StreamName, world::World};

#[cfg(test)]
mod tests;

/// Held streams are tried again this often, besides at the start: a person may have done what the error asked for.
const EVERY: Duration = Duration::from_secs(5 * 60);

/// When held streams are tried again.
pub(super) struct Revival {
    world: World,
    next: BoxFuture<'static, ()>,
}

impl Revival {
    /// At once, for the first time.
    pub(super) fn due(world: World) -> Self {
        Self { world, next: std::future::ready(()).boxed() }
    }

    /// Returns when it is time, and then not before long.
    pub(super) async fn wait(&mut self) {
        (&mut self.next).await;
        self.put_off();
    }

    /// At once.
    pub(super) fn hurry(&mut self) {
        self.next = std::future::ready(()).boxed();
    }

    /// Not before long.
    fn put_off(&mut self) {
        let world = self.world.clone();
        self.next = async move { world.sleep(EVERY).await }.boxed();
    }
}

impl WriteLoop {
    /// Holds the stream that `error` is of, from `standing` on. What the destination refused it has not taken, so the hold becomes
    /// durable with the next unit. Any other error comes back as it is.
    pub(super) async fn hold(
        &self,
        strategy: &mut dyn WriteStrategy,
        standing: Standing,
        error: Error,
        run: &mut Run<'_>,
    ) -> Result<Standing> {
        let stream = match held_by(&error) {
            Some(stream) if !standing.held.contains_key(stream) => stream.clone(),
            _ => return Err(error),
        };
        let destination = &self.destination;
        tracing::error!(%destination, %stream, %error, hint = error.hint_text(), "the stream is held, the others go on");
        if standing.held.is_empty() {
            run.revival.put_off();
        }
        let mut held = standing.held;
        held.insert(stream, Hold::new(standing.position.sequence, &error));
        self.open_holding(strategy, held, run).await
    }

    /// Tries every held stream again: it is given all that it has missed, and goes on with the others.
    pub(super) async fn revive(
        &self,
        strategy: &mut dyn WriteStrategy,
        standing: Standing,
        run: &mut Run<'_>,
    ) -> Result<Standing> {
        run.refused.clear();
        let mut standing = standing;
        // A stream whose changes wait for its new generation is held no more when that has come.
        for stream in standing
            .held
            .keys()
            .filter(|stream| !standing.anew.get(*stream).is_some_and(|anew| anew.waits))
            .cloned()
            .collect::<Vec<_>>()
        {
            if !self.stop.is_stopped() {
                standing = self.play_up(strategy, standing, &stream, run).await?;
            }
        }
        Ok(standing)
    }

    async fn play_up(
        &self,
        strategy: &mut dyn WriteStrategy,
        standing: Standing,
        stream: &StreamName,
        run: &mut Run<'_>,
    ) -> Result<Standing> {
        let mut standing = standing;
        loop {
            let mut end = standing.clone();
            let Some(hold) = end.held.remove(stream) else { return Ok(standing) };
            if hold.after >= standing.position.sequence || !self.plan.selection.takes(stream) {
                return Ok(standing);
            }
            let first = match self.log.next_after(hold.after) {
                Ok(first) => first,
                Err(error) => {
                    let error = cut_short(error, stream);
                    let mut held = standing.held;
                    held.insert(stream.clone(), Hold::new(hold.after, &error));
                    return self.open_holding(strategy, held, run).await;
                }
            };
            if hold.was_brought
                && !standing.anew.contains_key(stream)
                && let Some(anew) =
                    self.missed_generation(stream, hold.after, standing.position.sequence).await?
            {
                standing.anew.insert(stream.clone(), anew);
                return Ok(standing);
            }
            let last = self.log.commit(standing.position.sequence).await?;
            let missed = self.log.commits(first, last);
            let alone = Selection { streams: vec![stream.clone()], ..Selection::default() };
            let error = match self.apply(strategy, (&standing, &end), missed, &alone, run).await {
                Ok(()) => {
                    tracing::info!(destination = %self.destination, %stream, "the stream is held no more");
                    return Ok(end);
                }
                Err(error) => self.bury(error, &self.playing(), run).await?,
            };
            let mut held = standing.held;
            let Some(error) = error else {
                standing = self.open_holding(strategy, held, run).await?;
                continue;
            };
            if held_by(&error) != Some(stream) {
                // What passes says nothing of the stream.
                run.revival.hurry();
                return Err(error);
            }
            let hold = Hold { was_brought: hold.was_brought, ..Hold::new(hold.after, &error) };
            held.insert(stream.clone(), hold);
            return self.open_holding(strategy, held, run).await;
        }
    }

    /// Opens the destination again, after a failure, to go on without the streams in `held`.
    pub(super) async fn open_holding(
        &self,
        strategy: &mut dyn WriteStrategy,
        held: BTreeMap<StreamName, Hold>,
        run: &mut Run<'_>,
    ) -> Result<Standing> {
        let standing = Standing { held, ..self.open(strategy, run).await? };
        run.note(&standing, 0).await;
        Ok(standing)
    }

    /// The end of a run is no success while streams are held.
    pub(super) fn told_of_holds(&self, standing: &Standing) -> Result<()> {
        // One that only has to catch up goes on with the next run.
        let mut held = standing.held.iter().filter(|(_, hold)| !hold.was_brought);
        let Some((stream, hold)) = held.next() else { return Ok(()) };
        Err(hold.error(stream).context(format_args!("destination `{}`", self.destination)))
    }
}

/// The stream that is held because of `error`. A defect of ours may be of all streams, and an outage passes.
pub(super) fn held_by(error: &Error) -> Option<&StreamName> {
    let holds = !error.kind().is_transient() && error.kind() != ErrorKind::Internal;
    error.stream().filter(|_| holds)
}
