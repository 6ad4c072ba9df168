//! What is known of a stream's records, so that a source without a log can be compared with what it was: every key, with a hash of its
//! record. A record that is new or has changed is told from one that is not, and after a look at all of them, which are gone.
//!
//! It stands in objects beside the log. Entries are sorted by key, in runs of parts; what a page changed is a new run, and runs become
//! one before there are many. Objects are never changed, so a cursor that names some is as good after a crash as it was.
//!
//! ```text
//! let mut known = Known::open(states, stream, cursor.known, memory).await?;
//! known.begin_sweep();
//! while let Some(page) = source.page().await? {
//!     let standings = known.compare(page.fingerprints()).await?;          // emit what is new or has changed
//!     lane.boundary(cursor_with(known.record().await?), None).await?;     // in one commit with that it is known
//! }
//! let vanished = known.end_sweep().await?;                                // too many? then `void_sweep`, and nothing vanishes
//! while let keys @ [_, ..] = known.vanished(1_000).await? {               // emit a delete for each
//!     known.forget(keys).await?;
//!     lane.boundary(cursor_with(known.record().await?), None).await?;
//! }
//! // And once the last boundary is durable:
//! known.tidy().await?;
//! ```
//!
//! | Question | File |
//! |---|---|
//! | How is a record told from another? | `fingerprints` |
//! | What does a cursor say? | `reference` |
//! | What is in an object? | `part` |
//! | Which objects are in memory? | `shelf` |
//! | How do runs become one? | `runs`, `merge` |
//! | What has vanished? | `sweep`, `marks` |

mod fingerprints;
mod marks;
pub mod measured;
mod merge;
mod part;
mod reference;
mod runs;
mod shelf;
mod sweep;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use tidemark_engine::{
    Error, Result,
    log::{StateObject, States},
    schema::StreamName,
};

use fingerprints::Sorted;
pub(crate) use fingerprints::{Fingerprints, RowHash, Standing};
use part::{PartWriter, Scan, Unreadable};
pub(crate) use reference::KnownRef;
use runs::Run;
use shelf::Shelf;
use sweep::{Sweep, Unseen};

/// Comparing a key takes about as long as something else with so many bytes.
const EFFORT: usize = 256;
/// Keys that are counted at once.
const COUNTED: usize = 8_192;

/// What is known of one stream's records.
///
/// A call that failed, or was dropped before it returned, leaves it without what it had seen: it takes no more, and has to be opened again
/// from the last durable cursor.
#[derive(Debug)]
pub(crate) struct Known {
    shelf: Shelf,
    /// Bytes of a part.
    target: usize,
    /// Oldest first.
    runs: Vec<Run>,
    /// What no run says yet.
    pending: BTreeMap<Vec<u8>, Option<RowHash>>,
    records: u64,
    sweep: Sweep,
    is_broken: bool,
}

impl Known {
    /// What `reference` names, within about `memory` bytes, and one bit for each key during a sweep.
    ///
    /// Where keys come in no order and not everything fits into memory, each comparison reads most of what is known: then it is
    /// worth comparing many records at once.
    pub(crate) async fn open(
        states: States,
        stream: StreamName,
        reference: KnownRef,
        memory: usize,
    ) -> Result<Self> {
        Self::in_parts(states, stream, reference, memory / 2, (memory / 32).clamp(64 << 10, 4 << 20)).await
    }

    /// The same with parts of about `target` bytes, of which those stay in memory that have `room`.
    async fn in_parts(
        states: States,
        stream: StreamName,
        reference: KnownRef,
        room: usize,
        target: usize,
    ) -> Result<Self> {
        let shelf = Shelf::new(states, stream, room);
        let mut runs = Vec::new();
        for run in reference.runs {
            runs.push(Run::open(run, &shelf).await?);
        }
        Ok(Self {
            shelf,
            target,
            runs,
            pending: BTreeMap::new(),
            records: reference.records,
            sweep: Sweep::Rests,
            is_broken: false,
        })
    }

    /// How many keys are known.
    pub(crate) fn records(&self) -> u64 {
        self.records
    }

    /// How each record stands to what is known, in the order of the records; from now on it is known so. What there is of a key twice is
    /// compared in turn.
    pub(crate) async fn compare(&mut self, records: Fingerprints) -> Result<Vec<Standing>> {
        self.enter()?;
        let outcome = self.judge(records).await;
        self.leave(outcome)
    }

    /// Forgets these keys, whose records the source has no longer; which of them were known.
    pub(crate) async fn forget(&mut self, keys: &[Vec<u8>]) -> Result<Vec<bool>> {
        self.enter()?;
        let outcome = self.strike(keys).await;
        self.leave(outcome)
    }

    /// Makes durable what has come to be known and what was forgotten: this is what a cursor names then. Where nothing has changed,
    /// nothing is written.
    pub(crate) async fn record(&mut self) -> Result<KnownRef> {
        self.enter()?;
        let outcome = self.write_down().await;
        self.leave(outcome)
    }

    /// Begins a look at all records: those compared from now on are seen. One that was under way is void.
    pub(crate) fn begin_sweep(&mut self) {
        self.sweep = Sweep::Sees(marks::Marked::new());
    }

    /// Ends the look at all records; how many keys are known of which no record was seen. They remain known until they are forgotten.
    pub(crate) async fn end_sweep(&mut self) -> Result<u64> {
        self.enter()?;
        let outcome = self.count_vanished().await;
        self.leave(outcome)
    }

    /// The next keys that the last sweep has not seen, up to `most` and in their order; none when that were all.
    pub(crate) async fn vanished(&mut self, most: usize) -> Result<Vec<Vec<u8>>> {
        self.enter()?;
        let outcome = match &mut self.sweep {
            Sweep::Tells(unseen) => unseen.next(&mut self.shelf, most).await,
            Sweep::Rests | Sweep::Sees(_) => Ok(Vec::new()),
        };
        if outcome.as_ref().is_ok_and(Vec::is_empty) && matches!(self.sweep, Sweep::Tells(_)) {
            self.sweep = Sweep::Rests;
        }
        self.leave(outcome)
    }

    /// Makes the last sweep void: nothing vanishes.
    pub(crate) fn void_sweep(&mut self) {
        self.sweep = Sweep::Rests;
    }

    /// Removes objects that hold nothing any more. To be called when a cursor with the last [`record`](Self::record) is durable.
    pub(crate) async fn tidy(&mut self) -> Result<()> {
        let runs = self.runs.iter().flat_map(Run::objects);
        let kept: Vec<StateObject> = runs.chain(self.sweep.objects()).cloned().collect();
        self.shelf.keep_only(&kept).await
    }

    async fn judge(&mut self, records: Fingerprints) -> Result<Vec<Standing>> {
        let bytes = records.len() * EFFORT;
        let sorted = self.shelf.world().compute_on(bytes, move || Arc::new(Sorted::new(records))).await?;
        let found = self.look_up(&sorted).await?;
        let (mut pending, mut known) = (std::mem::take(&mut self.pending), self.records);
        let judged = self.shelf.world().compute_on(bytes, move || {
            let mut standings = vec![Standing::Same; found.len()];
            for (at, found) in found.into_iter().enumerate() {
                let (key, (index, row)) = (sorted.key(at), sorted.row(at));
                let before = if pending.is_empty() { found } else { *pending.get(key).unwrap_or(&found) };
                standings[index] = match before {
                    Some(before) if before == row => continue,
                    Some(_) => Standing::Changed,
                    None => Standing::New,
                };
                known += u64::from(before.is_none());
                pending.insert(key.to_vec(), Some(row));
            }
            (standings, pending, known)
        });
        let standings;
        (standings, self.pending, self.records) = judged.await?;
        Ok(standings)
    }

    async fn strike(&mut self, keys: &[Vec<u8>]) -> Result<Vec<bool>> {
        let mut prints = Fingerprints::default();
        keys.iter().for_each(|key| prints.push(key, RowHash(0)));
        let sorted = Arc::new(Sorted::new(prints));
        let found = self.look_up(&sorted).await?;
        let mut was_known = vec![false; keys.len()];
        for (at, found) in found.into_iter().enumerate() {
            let (key, (index, _)) = (sorted.key(at), sorted.row(at));
            if self.pending.get(key).unwrap_or(&found).is_some() {
                was_known[index] = true;
                self.records = self.records.saturating_sub(1);
                self.pending.insert(key.to_vec(), None);
            }
        }
        Ok(was_known)
    }

    /// What the runs say of each key, all of which are seen.
    async fn look_up(&mut self, keys: &Arc<Sorted>) -> Result<Vec<Option<RowHash>>> {
        let mut found = vec![None; keys.len()];
        for run in &self.runs {
            let mut begin = 0;
            for of in &run.parts {
                begin = keys.first(begin, |key| key >= of.first.as_slice());
                let end = keys.first(begin, |key| key > of.last.as_slice());
                if begin == end {
                    continue;
                }
                let mut scan = Scan::new(self.shelf.part(of).await?);
                let marks =
                    self.sweep.marked().map(|marked| marked.remove(&of.object.name).unwrap_or_default());
                let keys = keys.clone();
                let sought = self.shelf.world().compute_on((end - begin) * EFFORT, move || {
                    let (mut hits, mut marks) = (Vec::new(), marks);
                    for at in begin..end {
                        if scan.seek(keys.key(at))? {
                            hits.push((at, scan.row()));
                            marks.iter_mut().for_each(|marks| marks.set(scan.number()));
                        }
                    }
                    Ok((hits, marks))
                });
                let sought: Result<_, Unreadable> = sought.await?;
                let (hits, marks) = sought.map_err(|unreadable| self.shelf.unreadable(unreadable))?;
                hits.into_iter().for_each(|(at, row)| found[at] = row);
                if let (Some(marked), Some(marks)) = (self.sweep.marked(), marks) {
                    marked.insert(of.object.name.clone(), marks);
                }
                begin = end;
            }
        }
        Ok(found)
    }

    async fn write_down(&mut self) -> Result<KnownRef> {
        if !self.pending.is_empty() {
            self.add_run().await?;
            while let Some(from) = runs::ripe(&self.runs, self.target) {
                let marked = self.sweep.marked();
                let merged =
                    runs::merge(&self.runs[from..], from == 0, self.target, &mut self.shelf, marked).await?;
                self.runs.truncate(from);
                // Nothing may be left: then nothing is what is known.
                self.runs.extend(Some(merged).filter(|run| !run.parts.is_empty()));
            }
        }
        Ok(KnownRef { runs: self.runs.iter().map(Run::reference).collect(), records: self.records })
    }

    /// Makes a run of what is pending.
    async fn add_run(&mut self) -> Result<()> {
        // Where there is nothing older, nothing needs to be said of what is gone.
        let (is_seen, is_oldest) = (self.sweep.marked().is_some(), self.runs.is_empty());
        let (mut draft, mut parts) = (PartWriter::default(), Vec::new());
        let mut pending = std::mem::take(&mut self.pending).into_iter();
        loop {
            let (target, bytes) = (self.target, pending.len() * EFFORT);
            let filled = self.shelf.world().compute_on(bytes, move || {
                while draft.size() < target
                    && let Some((key, row)) = pending.next()
                {
                    if row.is_some() || !is_oldest {
                        draft.add(&key, row, is_seen);
                    }
                }
                (draft, pending)
            });
            (draft, pending) = filled.await?;
            runs::put(&mut draft, &mut parts, &mut self.shelf, self.sweep.marked()).await?;
            if pending.len() == 0 {
                break;
            }
        }
        if !parts.is_empty() {
            self.runs.push(Run::new(parts, &self.shelf).await?);
        }
        Ok(())
    }

    async fn count_vanished(&mut self) -> Result<u64> {
        let Sweep::Sees(marked) = std::mem::take(&mut self.sweep) else { return Ok(0) };
        let parts = self.runs.iter().map(|run| run.parts.clone()).collect();
        let mut unseen = Unseen::new(parts, marked);
        let mut vanished = 0;
        loop {
            let counted = unseen.next(&mut self.shelf, COUNTED).await?.len();
            if counted == 0 {
                break;
            }
            vanished += counted as u64;
        }
        unseen.rewind();
        self.sweep = Sweep::Tells(unseen);
        Ok(vanished)
    }

    /// Begins a call, unless an earlier one has lost something.
    fn enter(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.is_broken, true) {
            false => Ok(()),
            true => Err(Error::unavailable("what is known of a stream was lost: it has to be opened again")),
        }
    }

    fn leave<T>(&mut self, outcome: Result<T>) -> Result<T> {
        self.is_broken = outcome.is_err();
        outcome
    }
}
