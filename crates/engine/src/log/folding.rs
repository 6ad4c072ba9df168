//! Folding: what becomes of many small commits. Their changes go into segments of the staging format, which every other tool can
//! read, what is left of them into a volume; then the layout says so, and the commits' own objects are needed no more.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
};

use arrow_array::{ArrayRef, RecordBatch, TimestampMicrosecondArray, UInt64Array};
use arrow_schema::{Field, Schema, SchemaRef};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use object_store::path::Path;

use super::{
    Commit, Log,
    clearing::after,
    commit::Segment,
    layout::{Doomed, Fence, Fenced, Layout, LayoutWriter, VolumeRef},
    names::{self, FoldedName},
    segment::put_segment,
    volume::{Binding, Piece},
};
use crate::{
    Digest, Error, Result, Stop, Time,
    change::ChangeBatch,
    codec::{Encoder, Format, conform, union},
    read::Phase,
    schema::{StreamName, StreamSchema},
    write::Delivery,
};

/// A volume is full when its commits have come to this number,
const FULL_COMMITS: u64 = 8_192;
/// to this many bytes besides their changes,
const FULL_BYTES: u64 = 8 << 20;
/// or their changes to this many in memory.
const FULL_WEIGHT: u64 = 16 << 20;
/// A segment that is smaller is folded with the commits' own changes.
const SMALL_SEGMENT: u64 = 256 << 10;
/// A segment of folded changes is ended at about this size.
pub(super) const SEGMENT_BYTES: usize = 4 << 20;
/// Objects are removed so long after nothing needs them: commits, which a reader finds again by itself,
const COMMITS_STAY: i64 = 15_000_000;
/// and what may be read for a while, microseconds.
pub(super) const OTHERS_STAY: i64 = 600_000_000;

/// Commits that are read at once.
const AT_ONCE: usize = 8;

/// The columns that folded changes have besides their own, for readers who have no commits.
const SEQUENCE: &str = "_tidemark_sequence";
const TIME: &str = "_tidemark_time";

impl Layout {
    /// The last volumes, which are to be folded again together with `new` commits: each that is small beside what comes after it, so
    /// that a commit is folded a few times at most, as long as all of them fill no volume.
    fn folded_again(&self, new: u64) -> &[VolumeRef] {
        let (mut commits, mut weight, mut plain) = (0, 0, 0);
        let mut begin = self.volumes.len();
        for volume in self.volumes.iter().rev() {
            let more = volume.last - volume.first + 1;
            let is_small = more <= 2 * (new + commits);
            (commits, weight, plain) = (commits + more, weight + volume.weight, plain + volume.plain);
            if !is_small || commits > FULL_COMMITS / 2 || weight > FULL_WEIGHT / 2 || plain > FULL_BYTES / 2 {
                break;
            }
            begin -= 1;
        }
        &self.volumes[begin..]
    }
}

impl Log {
    /// How many commits are not folded; the newest never is.
    pub(super) fn unfolded(&self) -> u64 {
        self.head().sequence.saturating_sub(1).saturating_sub(self.layout().folded())
    }

    /// Folds the next commits, as many as fill one volume; small volumes before are folded again with them. `false` when there is
    /// nothing to fold.
    pub(crate) async fn fold(&self, writer: &mut LayoutWriter, format: Format, stop: &Stop) -> Result<bool> {
        let layout = writer.layout().clone();
        let last = self.head().sequence.saturating_sub(1);
        if last <= layout.folded() {
            return Ok(false);
        }
        let again = layout.folded_again(last - layout.folded());
        let first = again.first().map_or(layout.folded() + 1, |volume| volume.first);
        let mut fold = Fold::new(self, writer, format, stop);
        let filled = self.fill(&mut fold, (first, last), layout.folded()).await;
        let made = fold.made();
        let folded = match filled {
            Ok(true) => fold.finish().await.map_err(Some),
            Ok(false) => Err(None),
            Err(error) => Err(Some(error)),
        };
        let folded = match folded {
            Ok(folded) => folded,
            Err(error) => {
                self.abandon(&made).await;
                return error.map_or(Ok(false), Err);
            }
        };
        let is_whole = folded.volume.first == first && folded.volume.last > layout.folded();
        if !is_whole {
            return Err(Error::internal("a volume does not hold the commits that it is to stand for"));
        }
        let mut replaced = Vec::new();
        for volume in again {
            replaced.extend(self.replaced_by(volume, &folded).await?);
        }
        let reaches_the_end = folded.volume.last == last;
        let held = folded.held;
        let now = self.world().now();
        let commits = (layout.folded() + 1, folded.volume.last);
        let kept = layout.volumes.len() - again.len();
        let put = writer.put(
            move |layout| {
                layout.volumes.truncate(kept);
                layout.volumes.push(folded.volume);
                layout.fences.extend(folded.fences);
                let commits =
                    Doomed { from: after(now, COMMITS_STAY), commits: Some(commits), objects: Vec::new() };
                layout.doomed.push(commits);
                let objects: Vec<_> = replaced.into_iter().chain(folded.replaced).collect();
                if !objects.is_empty() {
                    layout.doomed.push(Doomed { from: after(now, OTHERS_STAY), commits: None, objects });
                }
            },
            stop,
        );
        put.await?;
        // What was counted twice, or not at all, counts no more when everything is folded.
        let less = |bytes: u64| Some(if reaches_the_end { 0 } else { bytes.saturating_sub(held) });
        let _ = self.0.unfolded.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        Ok(true)
    }

    /// Adds commits to `fold` until it is full, but all of those up to `folded`, which are folded again, and one more. `false` when it is
    /// stopped before.
    async fn fill(&self, fold: &mut Fold<'_>, (first, last): (u64, u64), folded: u64) -> Result<bool> {
        let mut before = self.position(first - 1).await?;
        let mut former = match first {
            1 => None,
            _ => Some(self.commit(first - 1).await?.header().writer.clone()),
        };
        let log = self.clone();
        let read = stream::iter(first..=last).map(move |sequence| {
            let log = log.clone();
            async move { log.commit(sequence).await }.boxed()
        });
        let mut commits = std::pin::pin!(read.buffered(AT_ONCE));
        while let Some(commit) = commits.try_next().await? {
            if fold.stop.is_stopped() {
                return Ok(false);
            }
            self.check_follows(&commit, &before)?;
            before = commit.position();
            if commit.header().begins && commit.sequence() > folded {
                let object = Fenced::Commit(commit.sequence());
                fold.fences.extend(former.map(|against| Fence { object, against }));
            }
            former = Some(commit.header().writer.clone());
            if commit.sequence() > folded {
                fold.held += commit.held_bytes();
            }
            fold.add(&commit).await?;
            if fold.is_full() && commit.sequence() > folded {
                break;
            }
        }
        Ok(true)
    }

    /// Removes what a fold has made that nobody will ever name. What cannot be removed now is found as garbage later.
    pub(super) async fn abandon(&self, made: &[Path]) {
        for path in made {
            if let Err(error) = self.store().delete(path).await {
                tracing::debug!(%error, "cannot remove what was folded in vain");
            }
        }
    }

    /// The objects of `volume` that the one does not need which takes its place.
    async fn replaced_by(&self, volume: &VolumeRef, folded: &Folded) -> Result<Vec<String>> {
        let missing = || Error::conflict(format!("the volume `{}` is missing", volume.name));
        let opened = self.volume(volume).await?.ok_or_else(missing)?;
        let kept: BTreeSet<_> = folded.segments.iter().collect();
        let segments = opened.segments().iter().map(|segment| &segment.name);
        let gone = segments.filter(|name| !kept.contains(name)).chain([&volume.name]);
        Ok(gone.cloned().collect())
    }
}

/// A fold under way.
struct Fold<'a> {
    log: &'a Log,
    format: Format,
    stop: &'a Stop,
    /// The entry of the layout that it is for, and who will write that.
    layout: u64,
    writer: &'a str,
    binding: Binding,
    /// Every segment of the volume; of those that are open, what is known.
    segments: Vec<Segment>,
    open: BTreeMap<(StreamName, Phase), Open>,
    /// Segments whose changes have gone into others.
    replaced: Vec<String>,
    fences: Vec<Fence>,
    weight: u64,
    begun: u64,
    /// Bytes of the commits that are folded for the first time.
    held: u64,
}

/// A segment that is being filled.
struct Open {
    schema: Arc<StreamSchema>,
    columns: SchemaRef,
    encoder: Box<dyn Encoder>,
    rows: u64,
    /// Its place among the volume's.
    at: usize,
    name: Path,
}

/// A volume that is durable, but named by no layout.
struct Folded {
    volume: VolumeRef,
    /// The names of its segments.
    segments: Vec<String>,
    replaced: Vec<String>,
    fences: Vec<Fence>,
    held: u64,
}

impl<'a> Fold<'a> {
    fn new(log: &'a Log, writer: &'a LayoutWriter, format: Format, stop: &'a Stop) -> Self {
        Self {
            log,
            format,
            stop,
            layout: writer.next_number(),
            writer: writer.name(),
            binding: Binding::default(),
            segments: Vec::new(),
            open: BTreeMap::new(),
            replaced: Vec::new(),
            fences: Vec::new(),
            weight: 0,
            begun: 0,
            held: 0,
        }
    }

    /// The names of the segments that it has begun.
    fn made(&self) -> Vec<Path> {
        let own = self.segments.iter().map(|segment| Path::from(segment.name.as_str()));
        own.filter(|path| names::meant_for(path) == Some(self.layout)).collect()
    }

    fn is_full(&self) -> bool {
        self.binding.commits() >= FULL_COMMITS
            || self.binding.plain_bytes() >= FULL_BYTES
            || self.weight >= FULL_WEIGHT
    }

    /// Adds the next commit.
    async fn add(&mut self, commit: &Arc<Commit>) -> Result<()> {
        let header = commit.header();
        let mut pieces = Vec::new();
        for frame in &header.frames {
            let mut changes = self.log.changes_of_frame(commit, frame);
            while let Some(delivery) = changes.try_next().await? {
                self.write(commit, &delivery, &mut pieces).await?;
            }
        }
        for segment in &header.segments {
            if segment.of.is_none() && segment.bytes >= SMALL_SEGMENT {
                pieces.push(self.keep(segment));
                continue;
            }
            let mut changes = self.log.changes_of_segment(commit, segment);
            while let Some(delivery) = changes.try_next().await? {
                self.write(commit, &delivery, &mut pieces).await?;
            }
            // Those of a volume are replaced with it.
            if segment.of.is_none() {
                self.replaced.push(segment.name.clone());
            }
        }
        self.binding.add(commit, pieces)
    }

    /// Takes a segment into the volume as it is.
    fn keep(&mut self, segment: &Segment) -> Piece {
        let at = self.segments.len();
        self.segments.push(Segment { first_ordinal: 0, ..segment.clone() });
        Piece { segment: at, skip: 0, rows: segment.rows, first_ordinal: segment.first_ordinal }
    }

    /// Writes changes of `commit` into the open segment of their stream.
    async fn write(&mut self, commit: &Commit, delivery: &Delivery, pieces: &mut Vec<Piece>) -> Result<()> {
        let schema = delivery.changes.schema();
        let times = (0..delivery.changes.rows()).map(|row| delivery.watermark(row));
        let record = dated(commit.sequence(), &delivery.changes, times)?;
        let rows = record.num_rows() as u64;
        self.weight += delivery.changes.byte_size() as u64;
        let key = (schema.stream().clone(), delivery.phase);
        let mut columns = record.schema();
        let fits = |open: &Open| {
            let is_alike = open.schema.digest() == schema.digest();
            is_alike && open.encoder.size() < SEGMENT_BYTES && conform(&record, &open.columns).is_some()
        };
        if self.open.get(&key).is_some_and(|open| !fits(open)) {
            // Columns that some changes have had will come again.
            columns = self.columns_with(&key, schema, &columns);
            self.end(&key).await?;
        }
        let mut open = match self.open.remove(&key) {
            Some(open) => open,
            None => self.begin(commit, schema.clone(), delivery.phase, columns)?,
        };
        let alike = conform(&record, &open.columns)
            .ok_or_else(|| Error::internal("folded changes of one schema differ in a column's type"))?;
        let (skip, at) = (open.rows, open.at);
        let written = self.log.world().compute(move || {
            open.encoder.write(&alike)?;
            open.rows += rows;
            Ok::<_, Error>(open)
        });
        self.open.insert(key, written.await??);
        match pieces.last_mut().filter(|last| last.segment == at && last.skip + last.rows == skip) {
            Some(last) => last.rows += rows,
            None => pieces.push(Piece { segment: at, skip, rows, first_ordinal: 0 }),
        }
        Ok(())
    }

    /// `columns` and, under the same schema, those of the open segment.
    fn columns_with(
        &self,
        key: &(StreamName, Phase),
        schema: &StreamSchema,
        columns: &SchemaRef,
    ) -> SchemaRef {
        let former = self.open.get(key).filter(|open| open.schema.digest() == schema.digest());
        union(former.map(|open| &open.columns).into_iter().chain([columns]))
    }

    fn begin(
        &mut self,
        commit: &Commit,
        schema: Arc<StreamSchema>,
        phase: Phase,
        columns: SchemaRef,
    ) -> Result<Open> {
        let name = names::folded_segment(&FoldedName {
            stream: schema.stream(),
            phase,
            time: commit.time(),
            layout: self.layout,
            number: self.begun,
            writer: self.writer,
            extension: self.format.codec().extension(),
        });
        self.begun += 1;
        let at = self.segments.len();
        self.segments.push(Segment {
            stream: schema.stream().clone(),
            schema: schema.digest(),
            phase,
            format: self.format,
            name: name.to_string(),
            rows: 0,
            skip: 0,
            of: None,
            bytes: 0,
            digest: Digest::ZERO,
            first_ordinal: 0,
        });
        let encoder = self.format.codec().encode(columns.clone())?;
        Ok(Open { schema, columns, encoder, rows: 0, at, name })
    }

    /// Ends a segment and makes it durable.
    async fn end(&mut self, key: &(StreamName, Phase)) -> Result<()> {
        let Some(Open { encoder, rows, at, name, .. }) = self.open.remove(key) else { return Ok(()) };
        let (bytes, digest) = put_segment(self.log, &name, encoder, self.stop).await?;
        let segment = self.segments.get_mut(at);
        let segment = segment.ok_or_else(|| Error::internal("a folded segment has no place"))?;
        (segment.rows, segment.of) = (rows, Some(rows));
        (segment.bytes, segment.digest) = (bytes, digest);
        Ok(())
    }

    /// Makes everything durable.
    async fn finish(mut self) -> Result<Folded> {
        let open: Vec<_> = self.open.keys().cloned().collect();
        for key in open {
            self.end(&key).await?;
        }
        let Self { log, stop, layout, writer, binding, segments, replaced, fences, weight, held, .. } = self;
        let names = segments.iter().map(|segment| segment.name.clone()).collect();
        let (sealed, card) = log.world().compute(move || binding.finish(segments, weight)).await??;
        let path = names::volume(card.first, card.last, layout, writer);
        let volume = VolumeRef { name: path.to_string(), ..card };
        log.put_own(&path, &sealed.bytes, stop).await?;
        Ok(Folded { volume, segments: names, replaced, fences, held })
    }
}

/// The changes as they are stored, with the commit they came in and the times they count as made.
pub(super) fn dated(
    sequence: u64,
    changes: &ChangeBatch,
    times: impl Iterator<Item = Result<Time>>,
) -> Result<RecordBatch> {
    let record = changes.to_record_batch()?;
    let times = times.map(|time| time.map(Time::as_micros)).collect::<Result<Vec<_>>>()?;
    let times = TimestampMicrosecondArray::from(times).with_timezone("UTC");
    let sequences = UInt64Array::from_value(sequence, record.num_rows());
    let own: [(&str, ArrayRef); 2] = [(SEQUENCE, Arc::new(sequences)), (TIME, Arc::new(times))];
    let mut fields: Vec<Arc<Field>> = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for (name, array) in own {
        fields.push(Arc::new(Field::new(name, array.data_type().clone(), false)));
        arrays.push(array);
    }
    fields.extend(record.schema_ref().fields().iter().cloned());
    arrays.extend(record.columns().iter().cloned());
    let dated = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays);
    dated.map_err(|error| Error::internal("folded changes have no record batch").source(error))
}
