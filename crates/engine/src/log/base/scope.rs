//! What a base stands for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};

use crate::{
    Digest, Error, Result,
    log::{Commit, Log, Playing, Selection, Syncing},
    schema::StreamName,
    write::{Delivery, WriteMode},
};

/// The changes up to a commit, in as far as a mirror would be given them.
#[derive(Debug)]
pub(super) struct Scope {
    /// The last commit.
    pub(super) last: Arc<Commit>,
    /// The newest schema of every stream up to it.
    pub(super) schemas: BTreeMap<StreamName, Digest>,
    /// The streams that have a key, and the commit with which each begins: that of its last generation, the oldest of all where it has
    /// none. The others are left out: of what has no key nothing ever makes anything void. So are those that the base before left out,
    /// whatever key they have by now, until they are read anew: what was dropped of them is in no base.
    pub(super) streams: BTreeMap<StreamName, u64>,
    /// The last generation of each stream.
    pub(super) generations: BTreeMap<StreamName, Syncing>,
    /// How many changes the commits hold, at most.
    pub(super) rows: u64,
}

impl Scope {
    pub(super) async fn of(log: &Log, first: u64, upper: u64) -> Result<Self> {
        let last = log.commit(upper).await?;
        if let Some(stream) = last.syncing().keys().next() {
            return Err(Error::internal(format!(
                "commit {upper} cannot be a base: an initial sync of stream `{stream}` is under way"
            )));
        }
        let (mut generations, mut rows) = (BTreeMap::new(), 0);
        let mut commits = std::pin::pin!(log.commits(first, last.clone()));
        while let Some(commit) = commits.try_next().await? {
            rows += commit.rows();
            let completed = commit.header().completed.iter();
            generations.extend(completed.map(|(stream, syncing)| (stream.clone(), *syncing)));
        }
        let schemas = log.schemas_after(&last).await?;
        let cut_off = match log.begins_after() {
            Some(base) if base == first => log.commit(base).await?.left_out(),
            _ => BTreeSet::new(),
        };
        let mut streams = BTreeMap::new();
        for (stream, digest) in &schemas {
            let is_cut_off = cut_off.contains(stream) && !generations.contains_key(stream);
            if !is_cut_off && !log.schema(stream, *digest).await?.key().is_empty() {
                let begin = generations.get(stream).map_or(first, |syncing: &Syncing| syncing.since);
                streams.insert(stream.clone(), begin);
            }
        }
        Ok(Self { last, schemas, streams, generations, rows })
    }

    /// The changes, in an order that is always the same.
    pub(super) fn changes(&self, log: &Log) -> BoxStream<'static, Result<Delivery>> {
        let Some(first) = self.streams.values().min().copied() else { return stream::empty().boxed() };
        // Each generation is played as one that fills a shadow: whatever there was before it.
        let shadows = self.generations.iter().map(|(stream, syncing)| (stream.clone(), syncing.since - 1));
        let shadows = Some(Arc::new(shadows.collect()));
        let playing = Playing { shadows, ..Playing::new(0, WriteMode::Mirror) };
        let mut to_come =
            self.streams.iter().map(|(stream, begin)| (*begin, stream.clone())).collect::<Vec<_>>();
        to_come.sort_by(|a, b| b.cmp(a));
        let mut begun = Arc::new(Selection::default());
        let commits = log.commits(first, self.last.clone()).map_ok(move |commit| {
            while to_come.last().is_some_and(|(begin, _)| *begin <= commit.sequence()) {
                let stream = to_come.pop().map(|(_, stream)| stream);
                Arc::make_mut(&mut begun).streams.extend(stream);
            }
            (commit, begun.clone())
        });
        let log = log.clone();
        let played = commits.and_then(move |(commit, begun)| {
            let (log, playing) = (log.clone(), playing.clone());
            async move { log.play(commit, &begun, playing).await }
        });
        played.try_flatten().boxed()
    }
}
