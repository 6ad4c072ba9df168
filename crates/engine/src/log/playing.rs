//! The changes of commits as a destination is given them: those that meet an initial sync wait for its end.
//!
//! While a stream's initial sync is incomplete, only the records it reads are played. The commit that completes it also plays
//! the stream's changes since it began, except for those that the chunks' snapshots have already. So a destination keeps one
//! position, whatever is being read, and may stop and go on at any commit.

use std::sync::Arc;

use futures::{Stream, StreamExt, TryStreamExt, future, stream, stream::BoxStream};

use super::{Commit, Log, Selection, generation::Generation};
use crate::{Result, read::Phase, schema::StreamName, write::Delivery};

#[cfg(test)]
mod tests;

impl Log {
    /// What `commits` bring a destination that began after commit `from`, read and verified as it is asked for. `commits`
    /// follow upon one another.
    pub fn played(
        &self,
        commits: impl Stream<Item = Result<Arc<Commit>>> + Send + 'static,
        selection: &Selection,
        from: u64,
    ) -> BoxStream<'static, Result<Delivery>> {
        let (log, selection) = (self.clone(), selection.clone());
        commits
            .and_then(move |commit| {
                let (log, selection) = (log.clone(), selection.clone());
                async move { log.play(commit, &selection, from).await }
            })
            .try_flatten()
            .boxed()
    }

    async fn play(
        &self,
        commit: Arc<Commit>,
        selection: &Selection,
        from: u64,
    ) -> Result<BoxStream<'static, Result<Delivery>>> {
        let completed = self.completed_by(&commit, selection).await?;
        let syncing = &commit.header().syncing;
        let waits = |stream: &StreamName| {
            syncing.contains_key(stream) || completed.iter().any(|generation| &generation.stream == stream)
        };
        let at_once = self.changes_of(std::slice::from_ref(&commit), |stream, phase| {
            selection.takes(stream) && (phase == Phase::InitialSync || !waits(stream))
        });
        Ok(at_once.chain(self.waited(completed, commit, from)).boxed())
    }

    /// The changes that waited for the generations `completed` by the commit `last`: one walk over the log for all of them, with
    /// one commit in memory at a time.
    fn waited(
        &self,
        completed: Vec<Generation>,
        last: Arc<Commit>,
        from: u64,
    ) -> BoxStream<'static, Result<Delivery>> {
        let Some(since) = completed.iter().map(|generation| generation.since).min() else {
            return stream::empty().boxed();
        };
        let (log, completed, played) = (self.clone(), Arc::new(completed), last.sequence());
        let commits = self.commits(since.max(from + 1), last);
        let sifted = commits.map_ok(move |commit| log.waited_in(&commit, &completed, played)).try_flatten();
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
    pub(crate) fn commits(
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
    Ok(sifted.map(|changes| Delivery { played, changes, ..*delivery }).collect())
}
