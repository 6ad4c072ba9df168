//! The changes of commits as a destination is given them: those that meet an initial sync wait for its end.
//!
//! While a stream's first initial sync is incomplete, only the records it reads are played. The commit that completes it also plays
//! the stream's changes since it began, except for those that the chunks' snapshots have already. So a destination keeps one
//! position, whatever is being read, and may stop and go on at any commit.
//!
//! A later generation leaves alone what a destination has. Its records, and what waited for them, go into a shadow once it is
//! complete ([`Anew`](crate::write::Anew)); until then the former generation goes on, or stays as it is where changes of it are
//! wanting.

use std::{collections::BTreeMap, sync::Arc};

use futures::{Stream, StreamExt, TryStreamExt, future, stream, stream::BoxStream};

use super::{Commit, Former, Log, Selection, Syncing, generation::Generation};
use crate::{
    Result,
    read::Phase,
    schema::StreamName,
    write::{Delivery, WriteMode},
};

#[cfg(test)]
pub(super) mod tests;

/// How a destination takes what the log holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Playing {
    /// It began after this commit.
    pub from: u64,
    /// What it does with changes.
    pub mode: WriteMode,
    /// Into shadows: the commit after which each stream's began. The generation that begins right after it is its first, whatever
    /// there was before.
    pub shadows: Option<Arc<BTreeMap<StreamName, u64>>>,
}

/// What becomes of a stream while a generation of it is incomplete, and with the commit that completes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    /// The generation's records are played as they come; changes wait for its completion.
    InPlace,
    /// The former generation goes on; the new one is played elsewhere.
    Beside,
    /// Nothing is played of the stream.
    Paused,
}

impl Playing {
    /// As a destination takes it that began after commit `from`.
    pub fn new(from: u64, mode: WriteMode) -> Self {
        Self { from, mode, shadows: None }
    }

    /// The commit after which the shadow of `stream` began, where that is what is played into.
    pub(crate) fn shadow_of(&self, stream: &StreamName) -> Option<u64> {
        self.shadows.as_ref()?.get(stream).copied()
    }

    fn flow(&self, stream: &StreamName, generation: &Syncing) -> Flow {
        let from = self.shadow_of(stream);
        if from.is_some_and(|from| generation.since == from + 1) {
            return Flow::InPlace;
        }
        match (self.mode, generation.former) {
            (WriteMode::Replace, _) => Flow::Paused,
            (_, Former::Nothing) | (WriteMode::Append, Former::Stale) => Flow::InPlace,
            (_, Former::Stale) => Flow::Paused,
            (_, Former::Current) => Flow::Beside,
        }
    }

    /// Whether the completion of `generation` asks for a shadow to be filled with it.
    pub(crate) fn fills_anew(&self, stream: &StreamName, generation: &Syncing) -> bool {
        self.mode != WriteMode::Append && self.flow(stream, generation) != Flow::InPlace
    }

    /// Whether `commit` begins a stream anew in place: what there was of it is void.
    pub(crate) fn begins_in_place<'c>(&self, commit: &'c Commit) -> impl Iterator<Item = &'c StreamName> {
        let header = commit.header();
        let here = header.syncing.iter().chain(&header.completed);
        let here = here.filter(move |(_, generation)| generation.since == header.sequence);
        let playing = self.clone();
        here.filter(move |(stream, generation)| playing.flow(stream, generation) == Flow::InPlace)
            .map(|(stream, _)| stream)
    }

    /// Whether changes of `stream` in `commit` are played with it.
    fn takes(&self, commit: &Commit, stream: &StreamName, phase: Phase) -> bool {
        let header = commit.header();
        if let Some(open) = header.syncing.get(stream) {
            let flow = self.flow(stream, open);
            return match phase {
                Phase::InitialSync => flow == Flow::InPlace,
                Phase::Changes => flow == Flow::Beside,
            };
        }
        match (header.completed.get(stream).map(|done| self.flow(stream, done)), phase) {
            // Changes of the commit itself are among those that waited.
            (Some(Flow::InPlace), phase) => phase == Phase::InitialSync,
            (Some(Flow::Beside), phase) => phase == Phase::Changes,
            (Some(Flow::Paused), _) => false,
            (None, _) => self.mode != WriteMode::Replace,
        }
    }
}

impl Log {
    /// What `commits` bring a destination, read and verified as it is asked for. `commits` follow upon one another.
    pub fn played(
        &self,
        commits: impl Stream<Item = Result<Arc<Commit>>> + Send + 'static,
        selection: &Selection,
        playing: Playing,
    ) -> BoxStream<'static, Result<Delivery>> {
        let (log, selection) = (self.clone(), selection.clone());
        commits
            .and_then(move |commit| {
                let (log, selection, playing) = (log.clone(), selection.clone(), playing.clone());
                async move { log.play(commit, &selection, playing).await }
            })
            .try_flatten()
            .boxed()
    }

    /// What the changes of `commit` with ordinals below `end` bring a destination that has everything before it. Generations that
    /// the commit completes are not complete before its end.
    pub fn played_up_to(
        &self,
        commit: &Arc<Commit>,
        end: u64,
        selection: &Selection,
        playing: Playing,
    ) -> BoxStream<'static, Result<Delivery>> {
        let header = commit.header();
        let is_being_read = |stream: &StreamName| {
            header.syncing.contains_key(stream) || header.completed.contains_key(stream)
        };
        let changes = self.changes_of(std::slice::from_ref(commit), |stream, phase| {
            let of_generation = phase == Phase::InitialSync && is_being_read(stream);
            selection.takes(stream) && !of_generation && playing.takes(commit, stream, phase)
        });
        let up_to = move |delivery: Delivery| future::ready(delivery.up_to(end));
        changes.try_filter_map(up_to).boxed()
    }

    /// What `commit` brings a destination.
    pub(super) async fn play(
        &self,
        commit: Arc<Commit>,
        selection: &Selection,
        playing: Playing,
    ) -> Result<BoxStream<'static, Result<Delivery>>> {
        let completed = |stream: &StreamName, generation: &Syncing| {
            selection.takes(stream) && playing.flow(stream, generation) == Flow::InPlace
        };
        let completed = self.completed_by(&commit, completed).await?;
        let at_once = self.changes_of(std::slice::from_ref(&commit), |stream, phase| {
            selection.takes(stream) && playing.takes(&commit, stream, phase)
        });
        Ok(at_once.chain(self.waited(completed, commit, playing)).boxed())
    }

    /// The changes that waited for the generations `completed` by the commit `last`: one walk over the log for all of them, with
    /// one commit in memory at a time.
    fn waited(
        &self,
        completed: Vec<Generation>,
        last: Arc<Commit>,
        playing: Playing,
    ) -> BoxStream<'static, Result<Delivery>> {
        let Some(since) = completed.iter().map(|generation| generation.since).min() else {
            return stream::empty().boxed();
        };
        let (log, completed, played) = (self.clone(), Arc::new(completed), last.sequence());
        let commits = self.commits(since.max(playing.from + 1), last);
        let replaces = playing.mode == WriteMode::Replace;
        let sifted = commits.map_ok(move |commit| log.waited_in(&commit, &completed, played)).try_flatten();
        // What cannot be told apart by a key is as its snapshot shows it.
        let sifted =
            sifted.try_filter(move |it| future::ready(!replaces || !it.changes.schema().key().is_empty()));
        sifted.boxed()
    }

    fn waited_in(
        &self,
        commit: &Arc<Commit>,
        completed: &Arc<Vec<Generation>>,
        played: u64,
    ) -> BoxStream<'static, Result<Delivery>> {
        let sequence = commit.sequence();
        let waited = self.changes_of(std::slice::from_ref(commit), |stream, phase| {
            phase == Phase::Changes && completed.iter().any(|it| &it.stream == stream && it.since <= sequence)
        });
        let (log, completed) = (self.clone(), completed.clone());
        let sifted = waited.and_then(move |delivery| {
            let (log, completed) = (log.clone(), completed.clone());
            async move { log.world().compute(move || sift(&delivery, &completed, played)).await? }
        });
        sifted.map_ok(|deliveries| stream::iter(deliveries).map(Ok)).try_flatten().boxed()
    }

    /// The commits from `first` up to `last`, one at a time, each verified to follow upon the one before.
    pub fn commits(
        &self,
        first: u64,
        last: Arc<Commit>,
    ) -> impl Stream<Item = Result<Arc<Commit>>> + Send + 'static + use<> {
        let sequences = stream::iter(first..=last.sequence()).map(Ok);
        let log = self.clone();
        let read = sequences.and_then(move |sequence| {
            let (log, last) = (log.clone(), last.clone());
            async move { if sequence == last.sequence() { Ok(last) } else { log.commit(sequence).await } }
        });
        let log = self.clone();
        let mut before = None;
        read.and_then(move |commit: Arc<Commit>| {
            let before = before.replace(commit.position());
            let follows = before.map_or(Ok(()), |before| log.check_follows(&commit, &before));
            future::ready(follows.map(|()| commit))
        })
    }
}

/// What of `delivery` its stream's snapshots do not have.
fn sift(delivery: &Delivery, completed: &[Generation], played: u64) -> Result<Vec<Delivery>> {
    let stream = delivery.changes.schema().stream();
    let Some(generation) = completed.iter().find(|generation| &generation.stream == stream) else {
        return Ok(Vec::new());
    };
    let sifted = generation.chunks.sift(&delivery.changes)?.into_iter();
    Ok(sifted.map(|changes| Delivery { played, changes, ..delivery.clone() }).collect())
}
