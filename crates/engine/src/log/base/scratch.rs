//! Traces, spread by their keys, so that those of one key meet: in memory, and in the store what is too much for it.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;

use super::traces::{TRACE, Trace};
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
        if self.held > self.most { self.spill().await } else { Ok(()) }
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
        let Partition { held, spilled } = &self.partitions[partition];
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
