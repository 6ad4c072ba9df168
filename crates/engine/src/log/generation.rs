//! A generation that is complete: what a commit says with [`SyncStep::Done`], and all that led there.

use std::{collections::BTreeMap, sync::Arc};

use futures::TryStreamExt;

use super::{
    Commit, Log, SyncStep, Syncing,
    chunks::{Chunk, Chunks},
};
use crate::{Result, schema::StreamName};

/// The complete generation of a stream.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) stream: StreamName,
    /// The commit it began in.
    pub(super) since: u64,
    pub(super) chunks: Chunks,
}

impl Log {
    /// The generations that `commit` completes, those that are `wanted`.
    pub(super) async fn completed_by(
        &self,
        commit: &Arc<Commit>,
        wanted: impl Fn(&StreamName, &Syncing) -> bool,
    ) -> Result<Vec<Generation>> {
        let done = commit.header().completed.iter().filter(|(stream, generation)| wanted(stream, generation));
        let done: BTreeMap<_, _> = done.map(|(stream, syncing)| (stream.clone(), *syncing)).collect();
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
}
