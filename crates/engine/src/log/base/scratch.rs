//! Traces, spread by their keys, so that those of one key meet: in memory, and in the store what is too much for it.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;

use super::traces::{Effect, TRACE, Trace};
use crate::{
    Digest, Error, Result,
    log::{Log, names, store::Created},
};

/// Objects that are written or read at once.
const AT_ONCE: usize = 8;

/// The traces of one base in the making.
pub(super) struct Scratch {
    log: Log,
    /// The name of the folder that it has in the store.
    name: String,
    partitions: Vec<Partition>,
    /// Bytes of traces in memory.
    held: usize,
    most: usize,
    written: u64,
}

/// The traces of some keys.
#[derive(Debug, Default)]
struct Partition {
    held: Vec<Trace>,
    spilled: Vec<Spilled>,
    /// Whether a record of them has moved, as far as that was looked at.
    has_moves: bool,
}

/// An object full of traces.
#[derive(Debug)]
struct Spilled {
    path: Path,
    digest: Digest,
}

impl Scratch {
    /// Room for the traces of about `changes` changes, at most `most` bytes of them in memory.
    pub(super) fn new(log: &Log, changes: u64, most: usize) -> Self {
        let bytes = usize::try_from(changes).unwrap_or(usize::MAX).saturating_mul(size_of::<Trace>());
        let partitions = bytes.div_ceil(most).max(1);
        Self {
            log: log.clone(),
            name: log.world().name(8),
            partitions: std::iter::repeat_with(Partition::default).take(partitions).collect(),
            held: 0,
            most,
            written: 0,
        }
    }

    pub(super) async fn add(&mut self, traces: Vec<Trace>) -> Result<()> {
        self.held += traces.len() * size_of::<Trace>();
        for trace in traces {
            let partition = self.partition_of(&trace);
            self.partitions[partition].held.push(trace);
        }
        if self.held <= self.most {
            return Ok(());
        }
        // All traces of a key are loaded at once in the end: of one that changes all the time that would be too many.
        self.thin().await?;
        if self.held > self.most / 2 { self.spill().await } else { Ok(()) }
    }

    /// Forgets traces in memory that others of them make void.
    async fn thin(&mut self) -> Result<()> {
        let mut partitions = std::mem::take(&mut self.partitions);
        let thinned = self.log.world().compute(move || {
            for Partition { held, has_moves, .. } in &mut partitions {
                *has_moves |= held.iter().any(|trace| trace.effect.is_of_a_move());
                thin(held, *has_moves);
            }
            partitions
        });
        self.partitions = thinned.await?;
        self.held = self.partitions.iter().map(|partition| partition.held.len() * size_of::<Trace>()).sum();
        Ok(())
    }

    fn partition_of(&self, trace: &Trace) -> usize {
        let [a, b, c, d, e, f, g, h, ..] = trace.key;
        let share = u128::from(u64::from_be_bytes([a, b, c, d, e, f, g, h]));
        usize::try_from((share * self.partitions.len() as u128) >> 64).unwrap_or_default()
    }

    /// How many partitions there are: the traces of a key are all in one.
    pub(super) fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// The traces of a partition, by key and in order.
    pub(super) async fn load(&self, partition: usize) -> Result<Vec<Trace>> {
        let Partition { held, spilled, .. } = &self.partitions[partition];
        let parts = stream::iter(spilled).map(|spilled| self.read(spilled)).buffered(AT_ONCE);
        let mut traces: Vec<Trace> = parts.try_concat().await?;
        traces.extend_from_slice(held);
        self.log
            .world()
            .compute(move || {
                traces.sort_unstable();
                traces
            })
            .await
    }

    /// Writes down what is in memory.
    async fn spill(&mut self) -> Result<()> {
        let mut full = Vec::new();
        for (number, partition) in self.partitions.iter_mut().enumerate() {
            if !partition.held.is_empty() {
                let path = names::scratch(&self.name, number, self.written);
                self.written += 1;
                full.push((path, std::mem::take(&mut partition.held), &mut partition.spilled));
            }
        }
        self.held = 0;
        let log = &self.log;
        let written = stream::iter(full).map(async |(path, traces, spilled)| {
            let mut bytes = Vec::with_capacity(traces.len() * TRACE);
            traces.iter().for_each(|trace| trace.write(&mut bytes));
            let digest = Digest::of(&bytes);
            // It is known before it is there: whatever becomes of the put, it is removed in the end.
            spilled.push(Spilled { path: path.clone(), digest });
            let (Created::Yes | Created::Exists) = log.store().create(&path, Bytes::from(bytes)).await?;
            Ok(())
        });
        written.buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn read(&self, spilled: &Spilled) -> Result<Vec<Trace>> {
        let Spilled { path, digest } = spilled;
        // It is nothing but notes of ours: they are made again with the next attempt.
        let damaged = || Error::unavailable(format!("`{path}` is not as it was written"));
        let bytes = self.log.store().get(path).await?.ok_or_else(damaged)?;
        let (traces, rest) = bytes.as_chunks::<TRACE>();
        if Digest::of(&bytes) != *digest || !rest.is_empty() {
            return Err(damaged());
        }
        traces.iter().map(|bytes| Trace::read(bytes).ok_or_else(damaged)).collect()
    }

    /// Removes what it has in the store.
    pub(super) async fn clear(self) -> Result<()> {
        let spilled = self.partitions.iter().flat_map(|partition| &partition.spilled);
        let removed = stream::iter(spilled).map(async |it| self.log.store().delete(&it.path).await);
        removed.buffer_unordered(AT_ONCE).try_collect().await
    }
}

impl Log {
    /// Removes what bases that never came to be have left in the store. The caller is the only one who may make one.
    pub(in crate::log) async fn clear_scratch(&self) -> Result<()> {
        for path in self.store().objects(&names::all_scratch()).await? {
            self.store().delete(&path).await?;
        }
        Ok(())
    }
}

/// Leaves out of `traces` those that have no effect for what comes after them under the same key. An image makes void what came
/// right before it. So does the end of a record, but where records move it may be that of one that was displaced, and then it says
/// nothing of the one that is here.
fn thin(traces: &mut Vec<Trace>, has_moves: bool) {
    traces.sort_unstable();
    let makes_void = |effect| effect == Effect::Image || (effect == Effect::Gone && !has_moves);
    let can_be_void = |effect| makes_void(effect) || effect == Effect::Changes;
    let mut thinned = Vec::<Trace>::new();
    for trace in traces.iter() {
        while makes_void(trace.effect)
            && thinned.pop_if(|last| last.key == trace.key && can_be_void(last.effect)).is_some()
        {}
        thinned.push(*trace);
    }
    *traces = thinned;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{log::Store, world::World};

    fn trace(key: u8, index: u64, effect: Effect) -> Trace {
        Trace { key: [key; 16], index, stream: 0, effect }
    }

    #[test]
    fn what_is_void_is_left_out_and_nothing_else() {
        use Effect::{ArrivesWhole, Changes, Gone, Image, Leaves};
        let left = |effects: &[Effect], has_moves| {
            let traces = (0..).zip(effects).map(|(index, effect)| trace(1, index, *effect));
            let mut traces = traces.collect::<Vec<_>>();
            thin(&mut traces, has_moves);
            traces.iter().map(|trace| trace.effect).collect::<Vec<_>>()
        };
        assert_eq!(left(&[Image, Changes, Image, Changes, Changes], true), [Image, Changes, Changes]);
        assert_eq!(left(&[Image, Gone, Image, Gone], false), [Gone]);
        assert_eq!(left(&[Image, Image, Gone, Image], true), [Image, Gone, Image], "who is gone?");
        let moves = [Image, ArrivesWhole, Image, Leaves, Changes, Image];
        assert_eq!(left(&moves, true), [Image, ArrivesWhole, Image, Leaves, Image]);
        let mut two = vec![trace(1, 0, Image), trace(2, 1, Image), trace(1, 2, Image), trace(2, 3, Changes)];
        thin(&mut two, true);
        assert_eq!(two, [trace(1, 2, Image), trace(2, 1, Image), trace(2, 3, Changes)]);
    }

    #[tokio::test]
    async fn one_key_that_changes_all_the_time_takes_no_room() {
        let log = Log::open_or_create(Store::memory(), "scratch", World::real()).await.unwrap();
        let mut scratch = Scratch::new(&log, 10_000, 4 << 10);
        for index in 0..10_000 {
            scratch.add(vec![trace(7, index, Effect::Image)]).await.unwrap();
        }
        let mut last = None;
        for partition in 0..scratch.partitions() {
            let traces = scratch.load(partition).await.unwrap();
            assert!(traces.len() * size_of::<Trace>() <= 4 << 10, "{}", traces.len());
            last = last.max(traces.last().map(|trace| trace.index));
        }
        assert_eq!(last, Some(9_999));
        scratch.clear().await.unwrap();
    }
}
