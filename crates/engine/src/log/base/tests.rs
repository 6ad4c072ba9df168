//! What is played from a base on is what is played from the beginning on.

mod history;
mod shapes;
mod tables;

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicU64},
};

use futures::{StreamExt, TryStreamExt, stream};

use super::Base;
use crate::{
    codec::Format,
    log::{Commit, Log, Origin, Playing, SegmentSettings, Selection, commit::Body, names},
    schema::StreamName,
    write::{Delivery, WriteMode},
};

/// So little that a handful of traces is too much.
const TRACE_BYTES: usize = 256;

/// The base up to commit `upper` of `log`, whose oldest commit is `first`. From here on the log has it in the place of that commit.
async fn put_base(log: &Log, first: u64, upper: u64) -> Arc<Commit> {
    let segments = SegmentSettings {
        log: log.clone(),
        format: Format::Arrow,
        origin: Origin::Base { sequence: upper, layout: 1, writer: log.world().name(8) },
        begun: AtomicU64::new(0),
    };
    let base = log.base_within(first, upper, segments, TRACE_BYTES).await.unwrap();
    let left = log.store().objects(&names::all_scratch()).await.unwrap();
    assert!(left.is_empty(), "nothing is left of the traces");
    let commit = Arc::new(commit(base));
    log.0.recent.remember(&commit);
    commit
}

/// A commit as it would be read.
fn commit(base: Base) -> Commit {
    let Base { header, hash, transactions } = base;
    let sealed = Body::new(&transactions).seal(header.clone()).unwrap();
    let sections = 12 + serde_json::to_vec(&header).unwrap().len();
    Commit::new(header, hash, sealed.body().clone(), sections)
}

/// What a history that begins with commit `first` is given up to commit `last`.
async fn play(log: &Log, first: u64, last: u64) -> Vec<Delivery> {
    let commits = log.commits(first, log.commit(last).await.unwrap());
    let playing = Playing::new(0, WriteMode::Append);
    log.played(commits, &Selection::default(), playing).try_collect().await.unwrap()
}

/// What a fresh destination that mirrors is given by `base` alone.
async fn mirrored(log: &Log, base: &Arc<Commit>) -> Vec<Delivery> {
    let commits = stream::iter([Ok(base.clone())]).boxed();
    let playing = Playing::new(0, WriteMode::Mirror);
    log.played(commits, &Selection::default(), playing).try_collect().await.unwrap()
}

/// How many changes `base` holds of each stream: records, and others.
fn counts(base: &Commit) -> BTreeMap<StreamName, (u64, u64)> {
    let mut counts = BTreeMap::<_, (u64, u64)>::new();
    for segment in &base.header().segments {
        let (records, changes) = counts.entry(segment.stream.clone()).or_default();
        match segment.phase {
            crate::read::Phase::InitialSync => *records += segment.rows,
            crate::read::Phase::Changes => *changes += segment.rows,
        }
    }
    counts
}
