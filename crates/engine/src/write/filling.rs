//! Streams that are filled anew: a generation of them is complete that takes the place of the one a destination has.
//!
//! What the generation read, what waited for it, and what came since is played into a shadow, unit by unit between the units of
//! the other streams. The unit with which the shadow stands where the destination does has the two change places.

use std::{collections::BTreeMap, sync::Arc};

use futures::{StreamExt, stream};

use super::{
    Anew, Appetite, Hold, Standing, WriteStrategy, schema_change,
    write_loop::{Run, WriteLoop},
};
use crate::{
    Error, Result,
    log::{Commit, Playing, Selection},
    schema::StreamName,
};

impl WriteLoop {
    /// Where the destination stands with `commit`, which completes generations: their streams are to be filled anew.
    pub(super) fn filled_anew_by(&self, commit: &Commit, anew: &mut BTreeMap<StreamName, Anew>) {
        for (stream, generation) in &commit.header().completed {
            if self.plan.selection.takes(stream) && self.playing().fills_anew(generation) {
                let from = generation.since - 1;
                let until = self.plan.mode.takes_generations_only().then_some(commit.sequence());
                let waits = generation.former == crate::log::Former::Stale;
                let fill = Anew { from, after: from, until, waits, schema: None, time: commit.watermark() };
                anew.insert(stream.clone(), fill);
            }
        }
    }

    /// Whether nothing may be played together with what comes after `commit`: streams are treated in another way from then on.
    pub(super) fn ends_unit(&self, commit: &Commit) -> bool {
        let mut completed = commit.header().completed.iter();
        completed.any(|(stream, generation)| {
            self.plan.selection.takes(stream) && self.playing().fills_anew(generation)
        })
    }

    /// The streams that are to be filled next, together: those that stand at the same place. Not those that failed a while ago.
    pub(super) fn next_to_fill(&self, standing: &Standing, run: &Run<'_>) -> Option<(Anew, Vec<StreamName>)> {
        let fillable = || standing.anew.iter().filter(|(stream, _)| !run.refused.contains(*stream));
        let (_, least) = fillable().min_by_key(|(_, anew)| anew.after)?;
        let alike = fillable().filter(|(_, anew)| {
            (anew.from, anew.after, anew.until) == (least.from, least.after, least.until)
        });
        Some((least.clone(), alike.map(|(stream, _)| stream.clone()).collect()))
    }

    /// Plays the next commits into the shadows of `streams`, which stand as `anew` says. With the last of them they take their
    /// places, and what they were held for is void.
    pub(super) async fn fill(
        &self,
        strategy: &mut dyn WriteStrategy,
        standing: Standing,
        (anew, streams): (Anew, Vec<StreamName>),
        run: &mut Run<'_>,
    ) -> Result<Standing> {
        let last = anew.until.unwrap_or(standing.position.sequence).min(standing.position.sequence);
        let commits = self.commits_to_fill(&anew, last, self.appetite(strategy)).await?;
        let after = commits.last().map_or(last, |commit| commit.sequence());
        let mut end = standing.clone();
        let mut schemas = BTreeMap::new();
        for stream in &streams {
            let schema = standing.anew.get(stream).and_then(|anew| anew.schema);
            schemas.extend(schema.map(|schema| (stream.clone(), schema)));
        }
        commits.iter().for_each(|commit| schema_change::note(&self.plan, commit, &mut schemas));
        for stream in &streams {
            let schema = schemas.get(stream).copied();
            if after >= last {
                end.anew.remove(stream);
                end.held.remove(stream);
                end.schemas.remove(stream);
                end.schemas.extend(schema.map(|schema| (stream.clone(), schema)));
            } else if let Some(anew) = end.anew.get_mut(stream) {
                (anew.after, anew.schema) = (after, schema);
            }
        }
        let bases = schema_change::bases(&self.log, &schemas).await?;
        let selection = Selection { streams: streams.clone(), ..Selection::default() };
        let playing = Playing { from: anew.from, is_shadow: true, ..self.playing() };
        let commits = stream::iter(commits).map(Ok);
        if after >= last {
            run.letters.void_by(&streams, anew.from).await?;
        }
        match self.apply_as(strategy, (&standing, &end), commits, (&selection, playing, bases), run).await {
            Ok(()) => {
                if after >= last {
                    for stream in &streams {
                        tracing::info!(destination = %self.destination, %stream, "the stream was filled anew");
                    }
                }
                Ok(end)
            }
            Err(error) => match self.bury(error, playing, run).await? {
                None => self.open_holding(strategy, standing.held, run).await,
                Some(error) => self.refuse_to_fill(strategy, standing, error, run).await,
            },
        }
    }

    /// The commits that follow `anew`, as many as `appetite` takes, up to `last`.
    async fn commits_to_fill(&self, anew: &Anew, last: u64, appetite: Appetite) -> Result<Vec<Arc<Commit>>> {
        let mut commits = Vec::new();
        let (mut rows, mut bytes) = (0, 0);
        let mut position = self.log.position(anew.after).await?;
        while position.sequence < last && rows < appetite.rows && bytes < appetite.bytes {
            let commit = self.log.commit_after(&position).await?;
            rows += commit.rows();
            bytes += commit.staged_bytes();
            position = commit.position();
            commits.push(commit);
        }
        Ok(commits)
    }

    /// Holds the stream whose shadow failed; it is tried again when held streams are.
    async fn refuse_to_fill(
        &self,
        strategy: &mut dyn WriteStrategy,
        standing: Standing,
        error: Error,
        run: &mut Run<'_>,
    ) -> Result<Standing> {
        let Some(stream) = super::holding::held_by(&error).cloned() else { return Err(error) };
        let destination = &self.destination;
        tracing::error!(%destination, %stream, %error, hint = error.hint_text(), "the stream cannot be filled anew");
        let mut held = standing.held;
        let after = held.get(&stream).map_or(standing.position.sequence, |hold| hold.after);
        held.insert(stream.clone(), Hold::new(after, &error));
        run.refused.insert(stream);
        self.open_holding(strategy, held, run).await
    }
}
