//! The base: one commit that stands for all commits up to it, so that those can be dropped.
//!
//! It holds just as much as a mirror needs that begins with it: of each record the changes that still matter, each as it was staged
//! and under its own schema. Nothing is merged: a full image makes everything before it of its record void, and so does a
//! deletion; an update that leaves columns as they are goes on top of what came before it. So most records are one image. Those
//! stand in the base as records of an initial sync; the changes of the others follow, in the order they were made.
//!
//! The changes are read twice, exactly as a mirror is given them, and numbered: first to find out which of them matter, then to
//! write those. In between a change is a [`Trace`](traces::Trace) of 29 bytes; traces are spread by key, and those that do not fit
//! into memory wait in the store.
//!
//! | Question | Module |
//! |---|---|
//! | Which changes does it stand for? | `scope` |
//! | What does a change mean to its key? | `traces` |
//! | Where do traces wait? | `scratch` |
//! | Which changes still matter? | `survivors`, `bits` |
//! | What becomes of those? | `picking`, `writing` |

mod bits;
mod picking;
mod scope;
mod scratch;
mod survivors;
mod traces;
mod writing;

#[cfg(test)]
mod tests;

use futures::TryStreamExt;

use super::{
    Log, SegmentSettings, SyncStep, Syncing, Transaction,
    commit::{Header, Segment},
    sync::{Former, KeyRange},
};
use crate::{Digest, Error, Result};
use picking::Picker;
use scope::Scope;
use scratch::Scratch;
use survivors::Survivors;
use traces::Tracer;
use writing::Writing;

/// Bytes of traces in memory.
const TRACE_BYTES: usize = 32 << 20;

/// A base in the making: the commit, without an object of its own yet. Its segments are durable.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) header: Header,
    /// The hash of the commit whose place it takes: the next one follows upon it.
    pub(super) hash: Digest,
    pub(super) transactions: Vec<Transaction>,
}

impl Log {
    /// The base that stands for everything up to commit `upper`, after which no initial sync is under way. `first` is the oldest
    /// commit there is: the first of all, or the base before. Its segments are written by `segments`.
    pub(super) async fn base(&self, first: u64, upper: u64, segments: SegmentSettings) -> Result<Base> {
        self.base_within(first, upper, segments, TRACE_BYTES).await
    }

    async fn base_within(
        &self,
        first: u64,
        upper: u64,
        segments: SegmentSettings,
        trace_bytes: usize,
    ) -> Result<Base> {
        let scope = Scope::of(self, first, upper).await?;
        let mut scratch = Scratch::new(self, scope.rows, trace_bytes);
        let found = self.survivors(&scope, &mut scratch).await;
        scratch.clear().await?;
        let segments = self.write_survivors(&scope, found?, segments).await?;
        Ok(scope.base(segments))
    }

    async fn survivors(&self, scope: &Scope, scratch: &mut Scratch) -> Result<Survivors> {
        let mut tracer = Tracer::default();
        let mut changes = scope.changes(self);
        while let Some(delivery) = changes.try_next().await? {
            let traced = self.world().compute(move || {
                let traces = tracer.trace(&delivery)?;
                Ok::<_, Error>((tracer, traces))
            });
            let traces;
            (tracer, traces) = traced.await??;
            scratch.add(traces).await?;
        }
        Survivors::find(self.world(), tracer, scratch).await
    }

    async fn write_survivors(
        &self,
        scope: &Scope,
        survivors: Survivors,
        segments: SegmentSettings,
    ) -> Result<Vec<Segment>> {
        let mut picker = Picker::new(survivors);
        let mut writing = Writing::new(segments);
        let mut changes = scope.changes(self);
        while let Some(delivery) = changes.try_next().await? {
            let picked = self.world().compute(move || {
                let picked = picker.pick(&delivery)?;
                Ok::<_, Error>((picker, picked))
            });
            let picked_ones;
            (picker, picked_ones) = picked.await??;
            writing.write(picked_ones).await?;
        }
        picker.check()?;
        writing.finish().await
    }
}

impl Scope {
    /// The commit whose changes stand in `segments`.
    fn base(&self, segments: Vec<Segment>) -> Base {
        let last = self.last.header();
        let rows = segments.iter().map(|segment| segment.rows).sum();
        let generation_of = |stream| self.generations.get(stream).map_or(1, |syncing| syncing.generation);
        let streams = || self.streams.keys().map(|stream| (stream.clone(), generation_of(stream)));
        let steps = streams().flat_map(|(stream, generation)| {
            [
                SyncStep::Begin { stream: stream.clone(), generation, former: Former::Nothing },
                // The least of all points: none of the changes beside the records is among them.
                SyncStep::Chunk {
                    stream: stream.clone(),
                    generation,
                    range: KeyRange::default(),
                    point: Vec::new(),
                },
                SyncStep::Done { stream, generation },
            ]
        });
        let completed = streams().map(|(stream, generation)| {
            (stream, Syncing { generation, since: last.sequence, former: Former::Nothing })
        });
        let header = Header {
            steps: steps.collect(),
            completed: completed.collect(),
            schemas: self.schemas.clone(),
            schemas_at: if self.schemas.is_empty() { 0 } else { last.sequence },
            rows,
            transactions: 1,
            frames: Vec::new(),
            segments,
            ..last.clone()
        };
        let transactions = vec![Transaction { end: rows, watermark: last.watermark }];
        Base { header, hash: self.last.hash(), transactions }
    }
}
