//! The chain of commits, from the first that is kept to the last, and everything that they name.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use futures::TryStreamExt;

use super::{Inspection, Problem, Range, Says, found};
use crate::{
    Digest, Result, Time,
    change::ChangeBatch,
    log::{Commit, commit::Segment, layout::VolumeRef, names, segment, volume::damaged},
    schema::{StreamName, StreamSchema},
};

const RESTORE: &str = "restore it from a backup";

const UNREADABLE: &str = "nothing of it or after it is delivered to a destination that has not come past it";

/// The end of what has been walked so far.
struct Trail {
    /// The number of the next commit.
    next: u64,
    /// The hash of the one before; `None` after a gap.
    hash: Option<Digest>,
    time: Option<Time>,
    watermark: Option<Time>,
    range: Option<Range>,
}

/// What became of a step.
enum Step {
    /// The commits up to this one have been looked at.
    Done,
    /// They are elsewhere by now.
    Again,
    /// There is none.
    End,
}

impl Inspection {
    pub(super) async fn commits(&mut self) -> Result<()> {
        let layout = self.log.layout();
        self.findings.base = layout.base_sequence();
        let first = layout.base_sequence().max(1);
        let mut trail = Trail { next: first, hash: None, time: None, watermark: None, range: None };
        if first == 1 {
            trail.hash = Some(Digest::ZERO);
        }
        loop {
            let layout = self.log.layout();
            if trail.next < layout.base_sequence() {
                // What was to be looked at next has been dropped meanwhile: the log begins later now.
                self.begin_anew(layout.base_sequence(), &mut trail);
            }
            let volume = layout.covers(trail.next).then(|| layout.volume_of(trail.next).cloned()).flatten();
            let step = match volume {
                Some(volume) => self.volume(&volume, &mut trail).await?,
                None => self.own_object(&mut trail).await?,
            };
            if let Step::End = step {
                break;
            }
        }
        self.end_range(&mut trail);
        self.findings.head = trail.next.saturating_sub(1);
        // What is left is said of commits that are not kept, or that never were.
        let beyond = self.claims.split_off(&trail.next);
        for (sequence, claims) in beyond {
            for claim in claims {
                self.findings.is_wrong(
                    claim.object.as_ref(),
                    &format!("it names commit {sequence}, but the log ends at commit {}", trail.next - 1),
                    "the newest commits are gone, or the staging store was restored from an older backup: a destination that has them \
                     refuses to go on",
                    "restore the newest commits (`log/`) from a backup, or begin again with empty destinations",
                );
            }
        }
        Ok(())
    }

    /// Goes on at the commit that now stands for all before it.
    fn begin_anew(&mut self, base: u64, trail: &mut Trail) {
        self.end_range(trail);
        self.findings.base = base;
        self.claims = self.claims.split_off(&base);
        (trail.next, trail.hash, trail.time, trail.watermark) = (base, None, None, None);
    }

    /// Looks at a volume, and at its commits that come next.
    async fn volume(&mut self, volume: &VolumeRef, trail: &mut Trail) -> Result<Step> {
        let opened = match self.log.volume(volume).await {
            Ok(Some(opened)) => opened,
            Ok(None) if self.newer_layout().await?.is_some() => return Ok(Step::Again),
            outcome => {
                let error = match outcome {
                    Err(error) => found(error)?,
                    Ok(_) => damaged(volume, "it is missing"),
                };
                self.findings.add(Problem::of_error(&volume.name, &error, UNREADABLE));
                self.skip_to(volume.last, trail);
                // The card in the layout tells how it goes on after it.
                trail.hash = Some(volume.head);
                (trail.time, trail.watermark) = (Some(volume.time), Some(volume.watermark));
                return Ok(Step::Done);
            }
        };
        self.findings.objects += 1;
        let mut damaged = BTreeSet::new();
        for segment in opened.segments() {
            match self.segment(segment).await? {
                Verdict::Whole => continue,
                Verdict::Damaged => {}
                Verdict::Missing if self.newer_layout().await?.is_some() => return Ok(Step::Again),
                Verdict::Missing => self.is_missing(segment),
            }
            damaged.insert(segment.name.clone());
        }
        self.name(&volume.name);
        opened.segments().iter().for_each(|segment| self.name(&segment.name));
        while trail.next <= volume.last {
            let (of, next) = (opened.clone(), trail.next);
            let page = match self.log.world().compute(move || of.page_of(next)).await? {
                Ok(page) => page,
                Err(error) => {
                    self.findings.add(Problem::of_error(&volume.name, &found(error)?, UNREADABLE));
                    self.skip_to(volume.last, trail);
                    return Ok(Step::Done);
                }
            };
            for commit in page.iter().filter(|commit| commit.sequence() >= next) {
                self.follow(commit, &volume.name, trail);
                let mut is_whole = self.check_places(commit, &volume.name);
                for segment in &commit.header().segments {
                    if damaged.contains(&segment.name) {
                        self.findings.lose(&segment.stream, commit.sequence(), segment.rows);
                        is_whole = false;
                    }
                }
                self.pass(commit, is_whole, trail);
            }
            if trail.next <= next {
                self.findings.is_wrong(&volume.name, "it misses a commit", UNREADABLE, RESTORE);
                self.skip_to(volume.last, trail);
            }
        }
        Ok(Step::Done)
    }

    /// Looks at the next commit, which is an object of its own.
    async fn own_object(&mut self, trail: &mut Trail) -> Result<Step> {
        let sequence = trail.next;
        let object = names::commit(sequence).to_string();
        let commit = match self.log.find_object(sequence).await {
            Ok(Some(commit)) => commit,
            Ok(None) => {
                if self.newer_layout().await?.is_some_and(|layout| layout.covers(sequence)) {
                    return Ok(Step::Again);
                }
                let Some(later) = self.next_listed(sequence).await? else { return Ok(Step::End) };
                if self.log.layout().covers(sequence) {
                    return Ok(Step::Again);
                }
                for missing in sequence..later {
                    self.findings.is_wrong(
                        names::commit(missing).as_ref(),
                        "it is missing, although there are later commits",
                        UNREADABLE,
                        "restore it from a backup, or the newest entry of `layout/` if it was folded",
                    );
                }
                self.skip_to(later - 1, trail);
                return Ok(Step::Done);
            }
            Err(error) => {
                self.findings.add(Problem::of_error(&object, &found(error)?, UNREADABLE));
                self.skip_to(sequence, trail);
                return Ok(Step::Done);
            }
        };
        self.findings.objects += 1;
        let mut is_whole = true;
        for segment in &commit.header().segments {
            self.name(&segment.name);
            match self.segment(segment).await? {
                Verdict::Whole => continue,
                Verdict::Damaged => {}
                Verdict::Missing => {
                    if self.newer_layout().await?.is_some_and(|layout| layout.covers(sequence)) {
                        return Ok(Step::Again);
                    }
                    self.is_missing(segment);
                }
            }
            self.findings.lose(&segment.stream, sequence, segment.rows);
            is_whole = false;
        }
        self.name(&object);
        self.follow(&commit, &object, trail);
        is_whole &= self.check_places(&commit, &object);
        is_whole &= self.frames(&commit, &object).await?;
        self.pass(&commit, is_whole, trail);
        Ok(Step::Done)
    }

    /// The next commit after `sequence` that has an object of its own.
    async fn next_listed(&self, sequence: u64) -> Result<Option<u64>> {
        let store = self.log.store();
        let mut next = None;
        for folder in store.folders(&names::commits()).await? {
            let objects = store.objects(&folder).await?;
            let later = objects.iter().filter_map(names::number).filter(|number| *number > sequence);
            next = later.chain(next).min();
        }
        Ok(next)
    }

    /// Checks that `commit` follows upon the one before it, and what others say of it.
    fn follow(&mut self, commit: &Commit, object: &str, trail: &mut Trail) {
        let header = commit.header();
        if trail.hash.is_some_and(|hash| hash != header.previous) {
            self.findings.is_wrong(
                object,
                &format!("commit {} does not follow upon the one before it", header.sequence),
                UNREADABLE,
                "the staging store was changed or restored in part: restore all of it from one backup",
            );
            self.end_range(trail);
        }
        let goes_back = trail.time.is_some_and(|time| header.time <= time)
            || trail.watermark.is_some_and(|watermark| header.watermark < watermark);
        if goes_back {
            self.findings.is_wrong(
                object,
                &format!("the times of commit {} are before those of the one before it", header.sequence),
                "moments are not found in it as they should be",
                "restore all of the staging store from one backup",
            );
        }
        for claim in self.claims.remove(&header.sequence).unwrap_or_default() {
            let what = match claim.says {
                Says::Hash(hash) if hash != commit.hash() => {
                    format!("it names another commit {} than stands in the log", header.sequence)
                }
                // The base has its number from a commit that had other changes.
                Says::Holds(_) if header.sequence == self.findings.base => continue,
                Says::Holds(ordinal)
                    if commit
                        .transactions()
                        .is_ok_and(|them| them.last().is_none_or(|last| ordinal >= last.end)) =>
                {
                    format!("it names a change that commit {} does not have", header.sequence)
                }
                _ => continue,
            };
            self.findings.is_wrong(
                claim.object.as_ref(),
                &what,
                "it belongs to another log, or the staging store was restored from another backup",
                "restore all of the staging store from one backup",
            );
        }
    }

    /// Checks that a commit's counts agree.
    fn check_places(&mut self, commit: &Commit, object: &str) -> bool {
        let header = commit.header();
        let counted: u64 = header.frames.iter().map(|frame| frame.rows).sum::<u64>()
            + header.segments.iter().map(|segment| segment.rows).sum::<u64>();
        let fits = header.segments.iter().all(|segment| segment.skip + segment.rows <= segment.total());
        let transactions = commit.transactions().ok();
        // Changes that were not to be staged leave gaps in the numbers, and so does a base.
        let ascends = transactions.as_ref().is_some_and(|transactions| {
            let end = transactions.last().map_or(0, |last| last.end);
            transactions.is_sorted_by(|a, b| a.end <= b.end && a.watermark <= b.watermark)
                && end >= header.rows
        });
        let is_sound = counted == header.rows && fits && ascends;
        if !is_sound {
            self.findings.is_wrong(
                object,
                &format!("the counts of commit {} do not agree", header.sequence),
                UNREADABLE,
                RESTORE,
            );
        }
        is_sound
    }

    /// Decodes what a commit holds itself.
    async fn frames(&mut self, commit: &Arc<Commit>, object: &str) -> Result<bool> {
        let mut is_whole = true;
        for frame in &commit.header().frames {
            let is_sound = match self.schema(&frame.stream, frame.schema).await? {
                None => false,
                Some(_) => {
                    let read: Result<Vec<_>> = self.log.changes_of_frame(commit, frame).try_collect().await;
                    match read {
                        Ok(_) => true,
                        Err(error) => {
                            self.findings.add(Problem::of_error(object, &found(error)?, UNREADABLE));
                            false
                        }
                    }
                }
            };
            if !is_sound {
                self.findings.lose(&frame.stream, commit.sequence(), frame.rows);
                is_whole = false;
            }
        }
        Ok(is_whole)
    }

    /// Reads and decodes all of a segment.
    async fn segment(&mut self, segment: &Segment) -> Result<Verdict> {
        let (path, log) = (segment.path()?, self.log.clone());
        let schema = self.schema(&segment.stream, segment.schema).await?;
        let bytes = match log.store().get(&path).await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(Verdict::Missing),
            Err(error) => {
                self.findings.add(Problem::of_error(&segment.name, &found(error)?, UNREADABLE));
                return Ok(Verdict::Damaged);
            }
        };
        self.findings.objects += 1;
        let Some(schema) = schema else { return Ok(Verdict::Damaged) };
        let of = segment.clone();
        match log.world().compute(move || decode(&of, &schema, bytes)).await? {
            Ok(()) => Ok(Verdict::Whole),
            Err(what) => {
                self.findings.is_wrong(&segment.name, &what, UNREADABLE, RESTORE);
                Ok(Verdict::Damaged)
            }
        }
    }

    fn is_missing(&mut self, segment: &Segment) {
        self.findings.is_wrong(&segment.name, "it is missing", UNREADABLE, RESTORE);
    }

    async fn schema(&mut self, stream: &StreamName, digest: Digest) -> Result<Option<Arc<StreamSchema>>> {
        let path = names::schema(stream, digest);
        self.name(path.as_ref());
        match self.log.0.schemas.get(self.log.store(), stream, digest).await {
            Ok(schema) => Ok(Some(schema)),
            Err(error) => {
                let means = "no change that was made under it can be read";
                self.findings.add(Problem::of_error(path.as_ref(), &found(error)?, means));
                Ok(None)
            }
        }
    }

    /// Goes on after `commit`.
    fn pass(&mut self, commit: &Commit, is_whole: bool, trail: &mut Trail) {
        let header = commit.header();
        trail.next = header.sequence + 1;
        trail.hash = Some(commit.hash());
        (trail.time, trail.watermark) = (Some(header.time), Some(header.watermark));
        if !is_whole {
            return self.end_range(trail);
        }
        self.findings.changes += header.rows;
        let range = trail.range.get_or_insert(Range {
            first: header.sequence,
            last: header.sequence,
            from: header.time,
            until: header.time,
            changes: 0,
        });
        (range.last, range.until) = (header.sequence, header.time);
        range.changes += header.rows;
    }

    /// Goes on after `last`, of which nothing is known.
    fn skip_to(&mut self, last: u64, trail: &mut Trail) {
        self.end_range(trail);
        let first = trail.next;
        trail.next = last + 1;
        (trail.hash, trail.time, trail.watermark) = (None, None, None);
        // What others say of these cannot be looked up.
        self.claims.retain(|sequence, _| !(first..=last).contains(sequence));
    }

    fn end_range(&mut self, trail: &mut Trail) {
        self.findings.readable.extend(trail.range.take());
    }
}

/// What a segment is.
enum Verdict {
    Whole,
    Damaged,
    Missing,
}

/// Decodes every change of a segment; fails with what is wrong.
fn decode(segment: &Segment, schema: &Arc<StreamSchema>, bytes: Bytes) -> Result<(), String> {
    if bytes.len() as u64 != segment.bytes || Digest::of(&bytes) != segment.digest {
        return Err("its content is not what was written".to_owned());
    }
    let batches = segment::read(segment, bytes).map_err(|error| error.to_string())?;
    let mut rows = 0;
    for batch in batches {
        let batch = batch.and_then(|batch| ChangeBatch::from_record_batch(schema.clone(), &batch));
        rows += batch.map_err(|error| error.to_string())?.rows() as u64;
    }
    match rows == segment.total() {
        true => Ok(()),
        false => Err(format!("it holds {rows} changes instead of {}", segment.total())),
    }
}
