//! Streams that are filled anew: a generation of them is complete that takes the place of the one a destination has.
//!
//! What the generation read, what waited for it, and what came since is played into a shadow, unit by unit between the units of
//! the other streams. The unit with which the shadow stands where the destination does has the two change places.

use std::{collections::BTreeMap, sync::Arc};

use futures::{StreamExt, stream};

use super::{
    Anew, Appetite, Hold, SchemaPolicy, Standing, WriteStrategy,
    gathering::HELD_BYTES,
    holding::held_by,
    schema_change,
    write_loop::{Run, WriteLoop},
};
use crate::{
    Error, Result,
    log::{Commit, Former, Playing, Selection},
    schema::StreamName,
};

/// `error` of `stream`, of which changes are not kept any more that it needs.
pub(super) fn cut_short(error: Error, stream: &StreamName) -> Error {
    error.of_stream(stream).hint(format!(
        "have it read anew: `tidemark resync FILE --stream {stream}`; then it is filled anew here"
    ))
}

/// Streams that are filled together.
pub(super) struct Filling {
    /// Which, and the commit after which each began.
    streams: BTreeMap<StreamName, u64>,
    /// The last commit that all of their shadows have.
    after: u64,
    /// The last commit to play before others join them.
    pause: u64,
    /// The last commit to play.
    last: u64,
}

impl WriteLoop {
    /// Where the destination stands with `commit`, which completes generations: their streams are to be filled anew.
    pub(super) fn filled_anew_by(&self, commit: &Commit, anew: &mut BTreeMap<StreamName, Anew>) {
        for (stream, generation) in &commit.header().completed {
            if self.plan.selection.takes(stream) && self.playing().fills_anew(stream, generation) {
                let from = generation.since - 1;
                // The former generation may have been on its way out already.
                let waited = anew.get(stream).is_some_and(|anew| anew.waits);
                let waits = waited || generation.former == Former::Stale;
                // What keeps what was must have everything since in its own place, whenever the shadow is ready.
                let alone =
                    self.plan.mode.takes_generations_only() || (waits && self.plan.mode.keeps_what_was());
                let until = alone.then_some(commit.sequence());
                let fill = Anew { from, after: from, until, waits, schema: None, time: commit.watermark() };
                anew.insert(stream.clone(), fill);
            }
        }
    }

    /// How `stream` is to be filled that is held after commit `after`: by the last generation that was completed since, if there is
    /// one. Of a stream that was brought here as of some earlier moment nobody has noted that yet.
    pub(super) async fn missed_generation(
        &self,
        stream: &StreamName,
        after: u64,
        last: u64,
    ) -> Result<Option<Anew>> {
        let mut anew = BTreeMap::new();
        for sequence in self.log.next_after(after)?..=last {
            self.filled_anew_by(self.log.commit(sequence).await?.as_ref(), &mut anew);
        }
        Ok(anew.remove(stream))
    }

    /// Whether nothing may be played together with what comes after `commit`: streams are treated in another way from then on.
    pub(super) fn ends_unit(&self, commit: &Commit) -> bool {
        let mut completed = commit.header().completed.iter();
        completed.any(|(stream, generation)| {
            self.plan.selection.takes(stream) && self.playing().fills_anew(stream, generation)
        })
    }

    /// Whether nothing that came before may be played together with `commit`: a stream keeps to another schema from there on.
    pub(super) fn begins_unit(&self, commit: &Commit) -> bool {
        let keeps_schemas = self.plan.schema_change != SchemaPolicy::Evolve;
        keeps_schemas && self.playing().begins_in_place(commit).next().is_some()
    }

    /// The streams that are to be filled next, together: those that stand at the same place. Not those that failed a while ago.
    pub(super) fn next_to_fill(&self, standing: &Standing, run: &Run<'_>) -> Option<Filling> {
        let fillable = || standing.anew.iter().filter(|(stream, _)| !run.refused.contains(*stream));
        let (_, least) = fillable().min_by_key(|(_, anew)| (anew.after, anew.until))?;
        let alike = fillable().filter(|(_, anew)| (anew.after, anew.until) == (least.after, least.until));
        let streams = alike.map(|(stream, anew)| (stream.clone(), anew.from)).collect();
        // Up to where the next ones stand: from there on all go together, and the log is read once.
        let next = fillable().map(|(_, anew)| anew.after).filter(|after| *after > least.after).min();
        let last = least.until.unwrap_or(standing.position.sequence).min(standing.position.sequence);
        Some(Filling { streams, after: least.after, pause: next.unwrap_or(last).min(last), last })
    }

    /// Plays the next commits into the shadows of the streams of `filling`. With the last of them they take their places, and what
    /// they were held for is void.
    pub(super) async fn fill(
        &self,
        strategy: &mut dyn WriteStrategy,
        standing: Standing,
        filling: Filling,
        run: &mut Run<'_>,
    ) -> Result<Standing> {
        let commits = match self.commits_to_fill(&filling, self.appetite(strategy)).await {
            // The others have nothing to do with it.
            Err(error) if self.log.is_dropped(filling.after) => {
                let streams = filling.streams.keys().cloned().collect::<Vec<_>>();
                let Some(stream) = streams.first() else { return Err(error) };
                let error = cut_short(error, stream);
                return self.refuse_to_fill(strategy, standing, (&streams, error), run).await;
            }
            commits => commits?,
        };
        let Filling { streams: begun, last, pause, .. } = filling;
        let after = commits.last().map_or(pause, |commit| commit.sequence());
        let streams = begun.keys().cloned().collect::<Vec<_>>();
        let mut end = standing.clone();
        let mut schemas = BTreeMap::new();
        for stream in &streams {
            let schema = standing.anew.get(stream).and_then(|anew| anew.schema);
            schemas.extend(schema.map(|schema| (stream.clone(), schema)));
        }
        let selection = Selection { streams: streams.clone(), ..Selection::default() };
        let playing = Playing { shadows: Some(Arc::new(begun)), ..self.playing() };
        for commit in &commits {
            schema_change::note(&self.plan, &playing, commit, &mut schemas);
        }
        for stream in &streams {
            let schema = schemas.get(stream).copied();
            if after >= last {
                end.anew.remove(stream);
                end.held.remove(stream);
                if last < standing.position.sequence && !self.plan.mode.takes_generations_only() {
                    end.held.insert(stream.clone(), Hold::to_catch_up(last));
                    run.revival.hurry();
                }
                end.schemas.remove(stream);
                end.schemas.extend(schema.map(|schema| (stream.clone(), schema)));
            } else if let Some(anew) = end.anew.get_mut(stream) {
                (anew.after, anew.schema) = (after, schema);
            }
        }
        let bases = schema_change::bases(&self.log, &schemas, self.plan.reshape.as_deref()).await?;
        let commits = stream::iter(commits).map(Ok);
        if after >= last {
            run.letters.void_by(&standing, &streams).await?;
        }
        let how = (&selection, playing.clone(), bases);
        match self.apply_as(strategy, (&standing, &end), commits, how, run).await {
            Ok(()) => {
                if after >= last {
                    for stream in &streams {
                        tracing::info!(destination = %self.destination, %stream, "the stream was filled anew");
                    }
                }
                Ok(end)
            }
            Err(error) => match self.bury(error, &playing, run).await? {
                None => self.open_holding(strategy, standing.held, run).await,
                Some(error) => self.refuse_to_fill(strategy, standing, (&streams, error), run).await,
            },
        }
    }

    /// The commits that are played next, as many as `appetite` takes.
    async fn commits_to_fill(&self, filling: &Filling, appetite: Appetite) -> Result<Vec<Arc<Commit>>> {
        let mut commits = Vec::new();
        let (mut rows, mut bytes, mut held) = (0, 0, 0);
        // Those that begin need nothing from before, and it may be dropped.
        let begin = filling.streams.values().all(|from| *from == filling.after);
        let mut position = if begin { None } else { Some(self.log.position(filling.after).await?) };
        let mut after = filling.after;
        while after < filling.pause && rows < appetite.rows && bytes < appetite.bytes && held < HELD_BYTES {
            let commit = match &position {
                Some(position) => self.log.commit_after(position).await?,
                None => self.log.commit(after + 1).await?,
            };
            rows += commit.rows();
            bytes += commit.staged_bytes();
            held += commit.held_bytes();
            after = commit.sequence();
            position = Some(commit.position());
            commits.push(commit);
        }
        Ok(commits)
    }

    /// Holds the stream whose shadow failed; it is tried again when held streams are.
    async fn refuse_to_fill(
        &self,
        strategy: &mut dyn WriteStrategy,
        standing: Standing,
        (streams, error): (&[StreamName], Error),
        run: &mut Run<'_>,
    ) -> Result<Standing> {
        let Some(named) = held_by(&error) else { return Err(error) };
        // A row that is still referred to is named by the table that refers, and that one has done nothing.
        let stream = streams.iter().find(|stream| *stream == named).or(streams.first());
        let Some(stream) = stream.cloned() else { return Err(error) };
        let destination = &self.destination;
        tracing::error!(%destination, %stream, %error, hint = error.hint_text(), "the stream cannot be filled anew");
        let mut held = standing.held;
        let after = held.get(&stream).map_or(standing.position.sequence, |hold| hold.after);
        held.insert(stream.clone(), Hold::new(after, &error));
        run.refused.insert(stream);
        self.open_holding(strategy, held, run).await
    }
}
