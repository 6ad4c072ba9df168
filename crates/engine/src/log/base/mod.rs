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
    Commit, Log, SyncStep, Syncing, Transaction,
    commit::{Body, Header, Segment},
    layout::{LayoutWriter, VolumeRef},
    names,
    sync::{Former, KeyRange},
    volume::{Binding, Piece},
};
use crate::{Error, Result, Stop, codec::Format};
use picking::Picker;
use scope::Scope;
use scratch::Scratch;
use survivors::Survivors;
use traces::Tracer;
use writing::Writing;

/// Bytes of traces in memory.
const TRACE_BYTES: usize = 32 << 20;

impl Log {
    /// The base that stands for everything up to commit `upper`, after which no initial sync is under way. It is durable, but named
    /// by no layout. An outage of the store only delays it, until `stop`.
    pub(super) async fn base(
        &self,
        upper: u64,
        writer: &LayoutWriter,
        format: Format,
        stop: &Stop,
    ) -> Result<VolumeRef> {
        self.base_within(upper, writer, (format, stop), TRACE_BYTES).await
    }

    async fn base_within(
        &self,
        upper: u64,
        writer: &LayoutWriter,
        (format, stop): (Format, &Stop),
        trace_bytes: usize,
    ) -> Result<VolumeRef> {
        let scope = Scope::of(self, self.oldest().await?, upper).await?;
        let mut scratch = Scratch::new(self, scope.rows, trace_bytes);
        let found = self.survivors(&scope, &mut scratch).await;
        scratch.clear().await?;
        let writing = Writing::new(self, &scope.last, writer, (format, stop));
        let (segments, end) = self.write_survivors(&scope, found?, writing).await?;
        let (commit, pieces) = scope.base(&segments, end)?;
        let (layout, name) = (writer.next_number(), writer.name());
        let bound = move || {
            let mut binding = Binding::default();
            binding.add(&commit, pieces)?;
            binding.finish(segments, 0)
        };
        let (sealed, card) = self.world().compute(bound).await??;
        let path = names::volume(upper, upper, layout, name);
        self.put_own(&path, &sealed.bytes, stop).await?;
        Ok(VolumeRef { name: path.to_string(), ..card })
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
        writing: Writing<'_>,
    ) -> Result<(Vec<Segment>, u64)> {
        let mut schemas = Vec::new();
        for stream in scope.streams.keys() {
            schemas.push(self.schema(stream, scope.schemas[stream]).await?);
        }
        let first = scope.first_ordinal();
        let (mut picker, mut writing) = (Picker::new(survivors, first + schemas.len() as u64), writing);
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
        let end = picker.end()?;
        Ok((writing.finish(&schemas, first).await?, end))
    }
}

impl Scope {
    /// The ordinal of the base's first change. They go on after those of the commit whose place it takes, so that nothing that names
    /// a change of that one, as a dead letter does, names another one of the base.
    fn first_ordinal(&self) -> u64 {
        self.last.rows()
    }

    /// The commit whose changes stand in `segments`, each of which is a piece of it. `end` is the ordinal after the last.
    fn base(&self, segments: &[Segment], end: u64) -> Result<(Commit, Vec<Piece>)> {
        let last = self.last.header();
        let rows = segments.iter().map(|segment| segment.rows).sum();
        let generation_of = |stream| self.generations.get(stream).map_or(1, |syncing| syncing.generation);
        let streams = || self.streams.keys().map(|stream| (stream.clone(), generation_of(stream)));
        let steps = streams().flat_map(|(stream, generation)| {
            [
                SyncStep::Begin { stream: stream.clone(), generation, former: Former::Nothing },
                // The least of all points: the records have none of the changes beside them.
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
            segments: Vec::new(),
            ..last.clone()
        };
        let pieces = segments.iter().enumerate();
        let pieces = pieces.map(|(at, it)| Piece { segment: at, skip: 0, rows: it.rows, first_ordinal: 0 });
        let transaction = Transaction { end, watermark: last.watermark };
        // The next commit follows upon the one whose place it takes.
        let commit = Body::new(&[transaction]).seal(header)?.standing_for(self.last.hash());
        Ok((commit, pieces.collect()))
    }
}
