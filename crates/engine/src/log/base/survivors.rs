//! Which changes still matter.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use super::{
    bits::Bits,
    scratch::Scratch,
    traces::{Effect, Trace, Traced, Tracer},
};
use crate::{Digest, Result, schema::StreamName, world::World};

/// The changes that a base holds, of all that were numbered.
#[derive(Debug)]
pub(super) struct Survivors {
    pub(super) streams: Arc<[Traced]>,
    pub(super) numbers: HashMap<StreamName, u32>,
    /// How many changes there are in all, and which.
    pub(super) count: u64,
    pub(super) seen: Digest,
    pub(super) found: Found,
}

/// What is found key by key.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The changes that matter, of streams that are not kept whole.
    pub(super) kept: Bits,
    /// Those of them with which all that matters of their record begins, and which tell all of it.
    pub(super) records: Bits,
}

/// A record under one key, from its last image on.
#[derive(Debug, Default)]
struct Life {
    /// The change that tells all of it.
    image: Option<u64>,
    /// What came after it, or came here in part.
    changes: Vec<u64>,
}

impl Survivors {
    /// Those of the changes that `tracer` has seen and `scratch` has the traces of.
    pub(super) async fn find(world: &World, tracer: Tracer, scratch: &Scratch) -> Result<Self> {
        let ends = Arc::<[u64]>::from(tracer.ends.as_slice());
        let (numbers, streams, count, seen) = tracer.end();
        let (streams, mut found) = (Arc::<[Traced]>::from(streams), Found::default());
        let mut partitions: Vec<_> = (0..scratch.partitions()).collect();
        // What a record was under the key that it left matters when what it is under the new one does. That may be found out after
        // the old key was looked at, so it is looked at again until nothing more comes to light.
        while !partitions.is_empty() {
            let mut again = Vec::new();
            let mut has_more = false;
            for partition in partitions {
                let traces = scratch.load(partition).await?;
                let (ends, streams) = (ends.clone(), streams.clone());
                let looked = world.compute(move || {
                    let (mut more, mut leaves) = (false, false);
                    for traces in traces.chunk_by(|a, b| a.key == b.key) {
                        more |= found.look(traces, &streams, &ends);
                        leaves |= traces.iter().any(|trace| trace.effect == Effect::Leaves);
                    }
                    (found, more, leaves)
                });
                let (more, leaves);
                (found, more, leaves) = looked.await?;
                has_more |= more;
                again.extend(leaves.then_some(partition));
            }
            partitions = if has_more { again } else { Vec::new() };
        }
        Ok(Self { streams, numbers, count, seen, found })
    }
}

impl Found {
    /// Looks at one key, of which `traces` are all there are, in order. Tells whether more came to light that matters under
    /// another key.
    fn look(&mut self, traces: &[Trace], streams: &[Traced], ends: &[u64]) -> bool {
        let (mut here, mut displaced) = (None::<Life>, VecDeque::<Life>::new());
        let (mut left, mut last) = (Vec::new(), 0);
        let mut arrivals = Vec::new();
        for &Trace { index, stream, effect, .. } in traces {
            if index < streams[stream as usize].void {
                continue;
            }
            if !displaced.is_empty() && has_end_between(ends, last, index) {
                // At the end of its transaction nobody is displaced any more.
                displaced.clear();
            }
            last = index;
            match effect {
                Effect::Image => here = Some(Life { image: Some(index), changes: Vec::new() }),
                Effect::Changes => here.get_or_insert_default().changes.push(index),
                Effect::ArrivesWhole | Effect::ArrivesInPart => {
                    displaced.extend(here.take());
                    let is_whole = effect == Effect::ArrivesWhole;
                    let changes = if is_whole { Vec::new() } else { vec![index] };
                    here = Some(Life { image: is_whole.then_some(index), changes });
                    arrivals.extend((!is_whole).then_some(index));
                }
                Effect::Gone | Effect::Leaves => {
                    let gone = displaced.pop_front().or_else(|| here.take());
                    if effect == Effect::Leaves && self.kept.contains(index) {
                        left.extend(gone);
                    }
                }
            }
        }
        let is_record = left.is_empty();
        let mut more = false;
        for life in here.iter().chain(&left) {
            for index in life.image.iter().chain(&life.changes) {
                more |= self.kept.insert(*index) && arrivals.contains(index);
            }
        }
        match here.and_then(|life| life.image) {
            Some(image) if is_record => drop(self.records.insert(image)),
            Some(image) => self.records.remove(image),
            None => {}
        }
        more
    }
}

/// Whether a transaction that moved records ended after the change `before` and not after `after`.
fn has_end_between(ends: &[u64], before: u64, after: u64) -> bool {
    let next = ends.partition_point(|end| *end <= before);
    ends.get(next).is_some_and(|end| *end <= after)
}
