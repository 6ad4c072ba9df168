//! The segments of a base.

use std::{collections::BTreeMap, sync::Arc};

use arrow_array::new_null_array;
use arrow_schema::SchemaRef;

use super::picking::{Part, Picked};
use crate::{
    Digest, Error, Result, Stop, Time,
    change::{ChangeBatch, Op},
    codec::{Encoder, Format, conform, union},
    log::{
        Commit, Log,
        commit::Segment,
        folding::{SEGMENT_BYTES, dated},
        layout::LayoutWriter,
        names::{self, FoldedName},
        segment::put_segment,
    },
    read::Phase,
    schema::{StreamName, StreamSchema},
};

/// Bytes that are being encoded at once, over all streams.
const OPEN_BYTES: usize = 32 << 20;

/// Writes the records of each stream, and the changes of others.
pub(super) struct Writing<'a> {
    log: &'a Log,
    /// Of the commit that the base takes the place of: its number, when it was recorded, and its watermark.
    sequence: u64,
    time: Time,
    watermark: Time,
    writer: &'a LayoutWriter,
    format: Format,
    stop: &'a Stop,
    begun: u64,
    open: BTreeMap<(StreamName, bool), Open>,
    /// What is durable, of each stream the records first.
    finished: BTreeMap<(StreamName, bool), Vec<Segment>>,
}

/// A segment that is being filled.
struct Open {
    schema: Arc<StreamSchema>,
    columns: SchemaRef,
    encoder: Box<dyn Encoder>,
    rows: u64,
}

impl<'a> Writing<'a> {
    pub(super) fn new(
        log: &'a Log,
        last: &Commit,
        writer: &'a LayoutWriter,
        (format, stop): (Format, &'a Stop),
    ) -> Self {
        Self {
            log,
            sequence: last.sequence(),
            time: last.time(),
            watermark: last.watermark(),
            writer,
            format,
            stop,
            begun: 0,
            open: BTreeMap::new(),
            finished: BTreeMap::new(),
        }
    }

    pub(super) async fn write(&mut self, picked: Picked) -> Result<()> {
        if let Some(records) = picked.records {
            self.add(records, false).await?;
        }
        if let Some(changes) = picked.changes {
            self.add(changes, true).await?;
        }
        let open: usize = self.open.values().map(|open| open.encoder.size()).sum();
        let largest = self.open.iter().max_by_key(|(_, open)| open.encoder.size());
        if open > OPEN_BYTES
            && let Some((key, _)) = largest
        {
            self.end(&key.clone()).await?;
        }
        Ok(())
    }

    async fn add(&mut self, part: Part, are_changes: bool) -> Result<()> {
        let schema = part.changes.schema().clone();
        let key = (schema.stream().clone(), are_changes);
        let record = dated(part.sequence, &part.changes, part.times.into_iter().map(Ok))?;
        let mut columns = record.schema();
        if let Some(open) = self.open.get(&key) {
            let is_alike = open.schema.digest() == schema.digest();
            if !is_alike || conform(&record, &open.columns).is_none() || open.encoder.size() >= SEGMENT_BYTES
            {
                if is_alike {
                    columns = union([&open.columns, &columns].into_iter());
                }
                self.end(&key).await?;
            }
        }
        let mut open = match self.open.remove(&key) {
            Some(open) => open,
            None => {
                let encoder = self.format.codec().encode(columns.clone())?;
                Open { schema, columns, encoder, rows: 0 }
            }
        };
        let alike = conform(&record, &open.columns)
            .ok_or_else(|| Error::internal("changes of one schema differ in a column's type"))?;
        let written = self.log.world().compute(move || {
            open.encoder.write(&alike)?;
            open.rows += alike.num_rows() as u64;
            Ok::<_, Error>(open)
        });
        self.open.insert(key, written.await??);
        Ok(())
    }

    /// Ends a segment and makes it durable.
    async fn end(&mut self, key: &(StreamName, bool)) -> Result<()> {
        let Some(Open { schema, encoder, rows, .. }) = self.open.remove(key) else { return Ok(()) };
        let phase = if key.1 { Phase::Changes } else { Phase::InitialSync };
        let name = names::folded_segment(&FoldedName {
            stream: schema.stream(),
            phase,
            time: self.time,
            layout: self.writer.next_number(),
            number: self.begun,
            writer: self.writer.name(),
            extension: self.format.codec().extension(),
        });
        self.begun += 1;
        let (bytes, digest): (u64, Digest) = put_segment(self.log, &name, encoder, self.stop).await?;
        self.finished.entry(key.clone()).or_default().push(Segment {
            stream: schema.stream().clone(),
            schema: schema.digest(),
            phase,
            format: self.format,
            name: name.to_string(),
            rows,
            skip: 0,
            of: None,
            bytes,
            digest,
            first_ordinal: 0,
        });
        Ok(())
    }

    /// Makes everything durable. Each stream that has nothing under its newest schema, of `schemas`, begins with a truncate under
    /// that: so it is known wherever it is played, even where it is empty. The ordinals of those are their numbers among `schemas`, from
    /// `first` on.
    pub(super) async fn finish(mut self, schemas: &[Arc<StreamSchema>], first: u64) -> Result<Vec<Segment>> {
        self.end_all().await?;
        let mut segments = std::mem::take(&mut self.finished);
        for (ordinal, schema) in (first..).zip(schemas) {
            let of_stream = |are_changes| (schema.stream().clone(), are_changes);
            let all = [false, true].map(of_stream);
            let mut written = all.iter().filter_map(|key| segments.get(key)).flatten();
            if written.any(|segment| segment.schema == schema.digest()) {
                continue;
            }
            let changes = truncate(schema)?.numbered_from(ordinal);
            self.add(Part { sequence: self.sequence, changes, times: vec![self.watermark] }, false).await?;
            self.end_all().await?;
            for (key, begin) in std::mem::take(&mut self.finished) {
                segments.entry(key).or_default().splice(0..0, begin);
            }
        }
        Ok(segments.into_values().flatten().collect())
    }

    async fn end_all(&mut self) -> Result<()> {
        while let Some(key) = self.open.keys().next().cloned() {
            self.end(&key).await?;
        }
        Ok(())
    }
}

/// A truncate under `schema`.
fn truncate(schema: &Arc<StreamSchema>) -> Result<ChangeBatch> {
    let nothing = schema.fields().iter().map(|field| new_null_array(&field.kind.arrow(), 1));
    ChangeBatch::uniform(schema.clone(), Op::Truncate, nothing.collect())
}
