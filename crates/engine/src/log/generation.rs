//! A generation that is complete: what a commit says with [`SyncStep::Done`], and all that led there.

use std::{collections::BTreeMap, sync::Arc};

use futures::TryStreamExt;

use super::{
    Commit, Log, Selection, SyncStep, Syncing,
    chunks::{Chunk, Chunks},
};
use crate::{Error, Result, schema::StreamName};

/// The complete generation of a stream.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) stream: StreamName,
    /// The commit it began in.
    pub(super) since: u64,
    pub(super) chunks: Chunks,
}

impl Log {
    /// The generations that `commit` completes, of the streams in `selection`.
    pub(super) async fn completed_by(
        &self,
        commit: &Arc<Commit>,
        selection: &Selection,
    ) -> Result<Vec<Generation>> {
        let done = self.done_in(commit, selection).await?;
        let Some(since) = done.values().map(|syncing| syncing.since).min() else { return Ok(Vec::new()) };
        let mut chunks: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let mut commits = std::pin::pin!(self.commits(since, commit.clone()));
        while let Some(commit) = commits.try_next().await? {
            for step in &commit.header().steps {
                if let SyncStep::Chunk { stream, generation, range, point } = step
                    && done.get(stream).is_some_and(|syncing| syncing.generation == *generation)
                {
                    let chunk = Chunk { range: range.clone(), point: point.clone() };
                    chunks.entry(stream.clone()).or_default().push(chunk);
                }
            }
        }
        let generations = done.into_iter().map(|(stream, Syncing { since, .. })| {
            let chunks = Chunks::new(&stream, chunks.remove(&stream).unwrap_or_default())?;
            Ok(Generation { stream, since, chunks })
        });
        generations.collect()
    }

    /// What `commit` completes, and since when it was under way. A stream of which another generation begins in the same commit
    /// goes on waiting.
    async fn done_in(
        &self,
        commit: &Arc<Commit>,
        selection: &Selection,
    ) -> Result<BTreeMap<StreamName, Syncing>> {
        let header = commit.header();
        let steps = header.steps.iter();
        let done = steps.filter_map(|step| match step {
            SyncStep::Done { stream, generation } => Some((stream, *generation)),
            _ => None,
        });
        let done: BTreeMap<_, _> = done
            .filter(|(stream, _)| selection.takes(stream) && !header.syncing.contains_key(*stream))
            .collect();
        if done.is_empty() {
            return Ok(BTreeMap::new());
        }
        let before = match header.sequence {
            1 => BTreeMap::new(),
            sequence => {
                let before = self.commit(sequence - 1).await?;
                self.check_follows(commit, &before.position())?;
                before.header().syncing.clone()
            }
        };
        let begun = |(stream, generation): (&StreamName, u64)| {
            let begins = SyncStep::Begin { stream: stream.clone(), generation };
            let here = header.steps.contains(&begins);
            let here = here.then_some(Syncing { generation, since: header.sequence });
            let syncing =
                here.or_else(|| before.get(stream).copied().filter(|it| it.generation == generation));
            let syncing = syncing.ok_or_else(|| {
                Error::internal(format!(
                    "commit {} completes an initial sync of stream `{stream}` that did not begin",
                    header.sequence
                ))
            })?;
            Ok((stream.clone(), syncing))
        };
        done.into_iter().map(begun).collect()
    }
}
