//! What is played from a base on is what is played from the beginning on.

mod history;
mod shapes;
mod tables;

use std::{collections::BTreeMap, sync::Arc};

use futures::{StreamExt, TryStreamExt, stream};

use crate::{
    Stop,
    codec::Format,
    log::{Commit, LayoutWriter, Log, Playing, Selection, names},
    read::Phase,
    schema::StreamName,
    write::{Delivery, WriteMode},
};

/// So little that a handful of traces is too much.
const TRACE_BYTES: usize = 256;

/// Has `log` begin with the base up to commit `upper`.
async fn put_base(log: &Log, upper: u64) -> Arc<Commit> {
    let mut writer = LayoutWriter::open(log).await.unwrap();
    let base = log.base_within(upper, &writer, (Format::Arrow, &Stop::new()), TRACE_BYTES).await.unwrap();
    let left = log.store().objects(&names::all_scratch()).await.unwrap();
    assert!(left.is_empty(), "nothing is left of the traces");
    writer.put(|layout| layout.base = Some(base), &Stop::new()).await.unwrap();
    log.commit(upper).await.unwrap()
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
            Phase::InitialSync => *records += segment.rows,
            Phase::Changes => *changes += segment.rows,
        }
    }
    counts
}
