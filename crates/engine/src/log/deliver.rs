//! The changes of commits, as they were staged.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use futures::{StreamExt, stream, stream::BoxStream};

use super::{
    Commit, Log,
    commit::{Frame, Segment},
    frame, segment,
};
use crate::{
    Error, Result,
    change::ChangeBatch,
    codec::Batches,
    read::Phase,
    schema::{StreamName, StreamSchema},
    write::{Delivery, Watermarks},
};

/// Which changes of a commit to deliver.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only these streams; empty: all.
    pub streams: Vec<StreamName>,
    /// But none of these.
    pub except: BTreeSet<StreamName>,
}

impl Selection {
    /// Whether it takes changes of `stream`.
    pub fn takes(&self, stream: &StreamName) -> bool {
        (self.streams.is_empty() || self.streams.contains(stream)) && !self.except.contains(stream)
    }
}

/// Something that still has to be read.
enum Pending {
    Frame(Arc<Commit>, Frame),
    Segment(Arc<Commit>, Segment),
    Rest(Box<OpenSegment>),
    Ready(Box<Delivery>),
}

/// A segment in the middle of being read.
struct OpenSegment {
    commit: Arc<Commit>,
    segment: Segment,
    schema: Arc<StreamSchema>,
    batches: Batches,
    rows: u64,
}

impl Log {
    /// The changes of `commits`, in the order they were staged, read and verified one after another as they are asked for.
    pub fn deliveries(
        &self,
        commits: Vec<Arc<Commit>>,
        selection: &Selection,
    ) -> BoxStream<'static, Result<Delivery>> {
        self.changes_of(&commits, |stream, _| selection.takes(stream))
    }

    /// Those of the streams and phases that `takes` names.
    pub(super) fn changes_of(
        &self,
        commits: &[Arc<Commit>],
        takes: impl Fn(&StreamName, Phase) -> bool,
    ) -> BoxStream<'static, Result<Delivery>> {
        let mut pending = VecDeque::new();
        for commit in commits {
            let header = commit.header();
            let frames = header.frames.iter().filter(|frame| takes(&frame.stream, frame.phase));
            pending.extend(frames.map(|frame| Pending::Frame(commit.clone(), frame.clone())));
            let segments = header.segments.iter().filter(|segment| takes(&segment.stream, segment.phase));
            pending.extend(segments.map(|segment| Pending::Segment(commit.clone(), segment.clone())));
        }
        self.deliver(pending)
    }

    /// The changes of one frame of `commit`.
    pub(super) fn changes_of_frame(
        &self,
        commit: &Arc<Commit>,
        frame: &Frame,
    ) -> BoxStream<'static, Result<Delivery>> {
        self.deliver([Pending::Frame(commit.clone(), frame.clone())].into())
    }

    /// The changes of `commit` in one segment.
    pub(super) fn changes_of_segment(
        &self,
        commit: &Arc<Commit>,
        segment: &Segment,
    ) -> BoxStream<'static, Result<Delivery>> {
        self.deliver([Pending::Segment(commit.clone(), segment.clone())].into())
    }

    fn deliver(&self, pending: VecDeque<Pending>) -> BoxStream<'static, Result<Delivery>> {
        let deliveries = stream::try_unfold((self.clone(), pending), |(log, mut pending)| async move {
            let delivery = log.next_delivery(&mut pending).await?;
            Ok(delivery.map(|delivery| (delivery, (log, pending))))
        });
        deliveries.boxed()
    }

    async fn next_delivery(&self, pending: &mut VecDeque<Pending>) -> Result<Option<Delivery>> {
        while let Some(next) = pending.pop_front() {
            match next {
                Pending::Ready(delivery) => return Ok(Some(*delivery)),
                Pending::Frame(commit, frame) => {
                    let ready = self.read_frame(&commit, frame).await?.into_iter().rev();
                    ready.for_each(|delivery| pending.push_front(Pending::Ready(Box::new(delivery))));
                }
                Pending::Segment(commit, segment) if segment.of.is_some() => {
                    let ready = self.read_slice(&commit, &segment).await?.into_iter().rev();
                    ready.for_each(|delivery| pending.push_front(Pending::Ready(Box::new(delivery))));
                }
                Pending::Segment(commit, segment) => {
                    let open = self.open_segment(&commit, segment).await?;
                    pending.push_front(Pending::Rest(Box::new(open)));
                }
                Pending::Rest(mut open) => {
                    let (next, mut open) = self.world().compute(move || (open.batches.next(), open)).await?;
                    let Some(record) = next else {
                        open.check_rows()?;
                        continue;
                    };
                    let batch = ChangeBatch::from_record_batch(open.schema.clone(), &record?)?;
                    open.rows += batch.rows() as u64;
                    let changes = batch.shifted_by(open.segment.first_ordinal)?;
                    let (commit, phase) = (open.commit.clone(), open.segment.phase);
                    pending.push_front(Pending::Rest(open));
                    return delivery(&commit, phase, changes).map(Some);
                }
            }
        }
        Ok(None)
    }

    async fn open_segment(&self, commit: &Arc<Commit>, segment: Segment) -> Result<OpenSegment> {
        let schema = self.0.schemas.get(self.store(), &segment.stream, segment.schema).await?;
        let bytes = self.segment(commit.sequence(), &segment).await?;
        let batches = segment::read(&segment, bytes)?;
        Ok(OpenSegment { commit: commit.clone(), segment, schema, batches, rows: 0 })
    }

    async fn read_slice(&self, commit: &Arc<Commit>, segment: &Segment) -> Result<Vec<Delivery>> {
        let schema = self.0.schemas.get(self.store(), &segment.stream, segment.schema).await?;
        let slices = self.slice(commit.sequence(), segment, &schema).await?.into_iter();
        let changes = slices.map(|slice| slice.shifted_by(segment.first_ordinal));
        changes.map(|changes| delivery(commit, segment.phase, changes?)).collect()
    }

    async fn read_frame(&self, commit: &Arc<Commit>, frame: Frame) -> Result<Vec<Delivery>> {
        let sequence = commit.sequence();
        let schema = self.0.schemas.get(self.store(), &frame.stream, frame.schema).await?;
        let bytes = commit
            .section(frame.offset, frame.length)
            .ok_or_else(|| Error::conflict(format!("commit {sequence} of the log misses a frame")))?;
        let phase = frame.phase;
        let batches =
            self.world().compute_on(bytes.len(), move || frame::read(&frame, &schema, bytes)).await??;
        batches.into_iter().map(|changes| delivery(commit, phase, changes)).collect()
    }
}

fn delivery(commit: &Commit, phase: Phase, changes: ChangeBatch) -> Result<Delivery> {
    let sequence = commit.sequence();
    let ordinals = changes.ordinals().map_or(&[][..], |ordinals| ordinals.values());
    let watermarks = match (ordinals.iter().min(), ordinals.iter().max()) {
        (Some(first), Some(last)) => Watermarks::of(commit, *first, *last)?,
        _ => Watermarks::all(commit.watermark()),
    };
    Ok(Delivery { sequence, played: sequence, phase, watermarks, changes })
}

impl OpenSegment {
    /// A segment whose digest is right can still have been named with the wrong count.
    fn check_rows(&self) -> Result<()> {
        let Self { segment, rows, .. } = self;
        if *rows == segment.rows {
            return Ok(());
        }
        let message =
            format!("the segment `{}` holds {rows} changes instead of {}", segment.name, segment.rows);
        Err(Error::conflict(message))
    }
}
