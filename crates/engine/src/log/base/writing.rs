//! The segments of a base.

use std::{collections::BTreeMap, sync::Arc};

use super::picking::Picked;
use crate::{
    Result,
    change::ChangeBatch,
    log::{SegmentSettings, SegmentWriter, commit::Segment},
    read::Phase,
    schema::StreamName,
};

/// Bytes that are being encoded at once, over all streams.
const OPEN_BYTES: usize = 32 << 20;

/// Writes the records and the changes of each stream.
pub(super) struct Writing {
    settings: Arc<SegmentSettings>,
    /// Of each stream the records come first.
    writers: BTreeMap<(StreamName, bool), SegmentWriter>,
}

impl Writing {
    pub(super) fn new(settings: SegmentSettings) -> Self {
        Self { settings: Arc::new(settings), writers: BTreeMap::new() }
    }

    pub(super) async fn write(&mut self, picked: Picked) -> Result<()> {
        let Picked { records, changes } = picked;
        if let Some(records) = records {
            self.add(records, Phase::InitialSync).await?;
        }
        if let Some(changes) = changes {
            self.add(changes, Phase::Changes).await?;
        }
        Ok(())
    }

    async fn add(&mut self, changes: ChangeBatch, phase: Phase) -> Result<()> {
        let key = (changes.schema().stream().clone(), phase == Phase::Changes);
        let begin = || SegmentWriter::new(self.settings.clone(), phase);
        self.writers.entry(key).or_insert_with(begin).write(changes).await?;
        let open: usize = self.writers.values().map(SegmentWriter::open_size).sum();
        if open > OPEN_BYTES
            && let Some(largest) = self.writers.values_mut().max_by_key(|writer| writer.open_size())
        {
            largest.end_open().await?;
        }
        Ok(())
    }

    /// Makes everything durable.
    pub(super) async fn finish(self) -> Result<Vec<Segment>> {
        let mut segments = Vec::new();
        for writer in self.writers.into_values() {
            segments.extend(writer.finish().await?);
        }
        Ok(segments)
    }
}
