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
    /// Those of them that tell all of their record, and nothing else of it matters.
    pub(super) records: Bits,
    /// Those of them that bring a record from another key as it was there.
    pub(super) moves: Bits,
}

/// A record under one key, from its last image on.
#[derive(Debug, Default)]
struct Life {
    /// The change that tells all of it.
    image: Option<u64>,
    /// What came after it, or came here in part.
    changes: Vec<u64>,
    /// The change with which the record came and displaced another.
    came_by: Option<u64>,
    /// The change with which another record came and displaced it.
    displaced_by: Option<u64>,
    /// The change with which it left.
    left_by: u64,
}

impl Life {
    fn first(&self) -> Option<u64> {
        self.image.or(self.changes.first().copied())
    }

    /// Whether it displaced `other`, and has begun before that left.
    fn stands_in_the_way_of(&self, other: &Self) -> bool {
        self.came_by.is_some()
            && self.came_by == other.displaced_by
            && self.first().is_some_and(|first| first < other.left_by)
    }
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
        let (mut left, mut arrivals, mut last) = (Vec::new(), Vec::new(), 0);
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
                Effect::Image => {
                    let came_by = here.and_then(|life| life.came_by);
                    here = Some(Life { image: Some(index), came_by, ..Life::default() });
                }
                Effect::Changes => here.get_or_insert_default().changes.push(index),
                Effect::ArrivesWhole | Effect::ArrivesInPart => {
                    let came_by = here.is_some().then_some(index);
                    displaced.extend(here.take().map(|life| Life { displaced_by: Some(index), ..life }));
                    here = Some(match effect {
                        Effect::ArrivesWhole => Life { image: Some(index), came_by, ..Life::default() },
                        _ => Life { changes: vec![index], came_by, ..Life::default() },
                    });
                    arrivals.extend((effect == Effect::ArrivesInPart).then_some(index));
                }
                Effect::Gone => drop(displaced.pop_front().or_else(|| here.take())),
                Effect::Leaves => {
                    let leaves = displaced.pop_front().or_else(|| here.take());
                    let matters = self.moves.contains(index);
                    left.extend(leaves.filter(|_| matters).map(|life| Life { left_by: index, ..life }));
                }
            }
        }
        let mut more = false;
        for life in here.iter().chain(&left) {
            for index in life.image.iter().chain(&life.changes) {
                more |= self.kept.insert(*index) && arrivals.contains(index) && self.moves.insert(*index);
            }
        }
        for life in here.iter().chain(&left) {
            if let Some(arrival) = life.came_by
                && left.iter().any(|other| life.stands_in_the_way_of(other))
            {
                // As an image it would take the other's place.
                self.kept.insert(arrival);
                more |= self.moves.insert(arrival);
            }
        }
        match here.and_then(|life| life.image) {
            Some(image) if left.is_empty() => drop(self.records.insert(image)),
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
