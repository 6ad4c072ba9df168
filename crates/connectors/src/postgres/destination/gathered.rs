//! Changes of one stream on their way into its table: gathered over commits, so that each trip to the server is worth it.

use std::sync::Arc;

use tidemark_engine::{
    Error, LogId,
    change::{ChangeBatch, Op},
    write::{Delivery, WriteMode},
};

use super::{
    ahead::runs,
    bulk::{Copied, add_missing, copy},
    failure::{Failure, Result},
    history::{self, Displaced},
    merge::{Merged, merge},
    parking::Parking,
    piece::Piece,
    stepwise,
    suspect::{Gathered, search},
    table::Table,
    writer::Writer,
};

/// A stream's changes are applied when there are this many of them.
const MOST_ROWS: usize = 10_000;
/// Or when all that is gathered takes this much memory.
pub(super) const MOST_BYTES: usize = 8 << 20;
/// Up to this many changes go each by itself, by prepared statements that are sent together: a work table would take longer.
pub(super) const FEW: usize = 16;

/// How many of `changes` may be merged at once.
pub(super) fn most_rows(changes: &ChangeBatch) -> usize {
    (MOST_BYTES * changes.rows().max(1) / changes.byte_size().max(1)).clamp(1, MOST_ROWS)
}

/// What is known of a stream while a destination is open.
pub(super) struct Stream {
    pub(super) table: Arc<Table>,
    /// The newest commit of the log that the table had seen before this unit.
    pub(super) applied: Option<u64>,
    /// The newest commit of this unit that concerns it.
    pub(super) seen: Option<u64>,
    /// Whether this unit holds rows of its initial sync.
    pub(super) has_loaded: bool,
    pub(super) parking: Parking,
    pub(super) displaced: Displaced,
    /// Whether records that come to be are copied straight into the table.
    copies: bool,
    gathered: Vec<Delivery>,
    rows: usize,
    bytes: usize,
}

impl Stream {
    pub(super) fn new(table: Table, applied: Option<u64>) -> Self {
        Self {
            table: Arc::new(table),
            applied,
            seen: None,
            has_loaded: false,
            parking: Parking::default(),
            displaced: Displaced::default(),
            copies: true,
            gathered: Vec::new(),
            rows: 0,
            bytes: 0,
        }
    }

    /// How much memory the gathered changes take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Notes that the commit `played` concerns the stream.
    pub(super) fn see(&mut self, played: u64) {
        self.seen = self.seen.max(Some(played));
    }

    /// Notes that the commit `played` brings rows of its initial sync.
    pub(super) fn load(&mut self, played: u64) {
        self.see(played);
        self.has_loaded = true;
    }

    /// Adds changes, and applies what is gathered when that is enough.
    pub(super) async fn add(
        &mut self,
        writer: &mut Writer,
        log: &LogId,
        mode: WriteMode,
        delivery: Delivery,
    ) -> Result<()> {
        let Delivery { sequence, played, phase, watermarks, changes } = delivery;
        let most = most_rows(&changes);
        let mut start = 0;
        while start < changes.rows() {
            let rows = (changes.rows() - start).min(most).min(MOST_ROWS - self.rows);
            let part = changes.slice(start, rows);
            start += rows;
            self.rows += rows;
            self.bytes += part.byte_size();
            self.gathered.push(Delivery {
                sequence,
                played,
                phase,
                watermarks: watermarks.clone(),
                changes: part,
            });
            if self.rows >= MOST_ROWS || self.bytes >= MOST_BYTES {
                self.flush(writer, log, mode).await?;
            }
        }
        Ok(())
    }

    /// Applies what is gathered. The failure is that of the stream.
    pub(super) async fn flush(&mut self, writer: &mut Writer, log: &LogId, mode: WriteMode) -> Result<()> {
        let gathered = std::mem::take(&mut self.gathered);
        (self.rows, self.bytes) = (0, 0);
        if gathered.is_empty() {
            return Ok(());
        }
        let table = self.table.clone();
        let doing = format!("cannot write to table `{}`", table.id);
        let applied = match writer.suspects {
            false => self.apply(writer, log, mode, gathered).await,
            true => {
                let mut suspects = Gathered::new(self, log, mode, gathered);
                search(writer, &mut suspects, &doing, &table.stream).await
            }
        };
        applied.map_err(|failure| failure.of_stream(doing, &table.stream))
    }

    /// Applies `gathered`, which follow upon what has been applied.
    pub(super) async fn apply(
        &mut self,
        writer: &mut Writer,
        log: &LogId,
        mode: WriteMode,
        gathered: Vec<Delivery>,
    ) -> Result<()> {
        match mode {
            WriteMode::Append => self.append(writer, log, gathered).await,
            WriteMode::History => {
                history::write(writer, &self.table, log, gathered, &mut self.displaced).await
            }
            _ if self.table.key.is_empty() => Err(self.keyless()),
            _ => self.mirror(writer, gathered).await,
        }
    }

    /// Forgets displaced rows: the unit is over.
    pub(super) async fn end_unit(&mut self, writer: &mut Writer) -> Result<()> {
        self.displaced.forget();
        self.parking.forget(writer, &self.table).await
    }

    /// What cannot be told apart by a key is as its initial sync shows it: nothing else is played.
    fn keyless(&self) -> Failure {
        let stream = &self.table.stream;
        Error::internal(format!("stream `{stream}` has no key, and was given changes all the same")).into()
    }

    /// Whether the table has seen what is played with commit `played`.
    pub(super) fn is_replayed(&self, played: u64) -> bool {
        self.applied.is_some_and(|applied| played <= applied)
    }

    async fn append(&self, writer: &mut Writer, log: &LogId, gathered: Vec<Delivery>) -> Result<()> {
        let may_be_there =
            writer.retries || gathered.iter().any(|delivery| self.is_replayed(delivery.played));
        let piece = |Delivery { sequence, watermarks, changes, .. }| Piece {
            table: self.table.clone(),
            log: log.clone(),
            sequence,
            watermarks,
            changes,
            mode: WriteMode::Append,
        };
        let pieces = gathered.into_iter().map(piece).collect::<Vec<_>>();
        if !may_be_there && copy(writer, &pieces).await? == Copied::All {
            return Ok(());
        }
        add_missing(writer, &pieces).await
    }

    /// A truncate is a barrier; what lies between two of them is merged.
    async fn mirror(&mut self, writer: &mut Writer, gathered: Vec<Delivery>) -> Result<()> {
        let mut between = Vec::new();
        for Delivery { played, changes, .. } in gathered {
            let ops = (0..changes.rows()).map(|row| changes.op(row)).collect::<Result<Vec<_>, _>>()?;
            for (start, rows, truncates) in runs(ops.len(), |row| ops[row] == Op::Truncate) {
                if truncates {
                    self.merge(writer, std::mem::take(&mut between)).await?;
                    self.step(writer, played, &changes.slice(start, 1)).await?;
                } else {
                    between.push((played, changes.slice(start, rows)));
                }
            }
        }
        self.merge(writer, between).await
    }

    async fn merge(&mut self, writer: &mut Writer, between: Vec<(u64, ChangeBatch)>) -> Result<()> {
        let rows = between.iter().map(|(_, changes)| changes.rows()).sum::<usize>();
        if rows > FEW && self.parking.is_empty() {
            let batches = between.iter().map(|(_, changes)| changes.clone()).collect::<Vec<_>>();
            let may_be_there = writer.retries || between.iter().any(|(played, _)| self.is_replayed(*played));
            let copies = self.copies && self.table.made && !may_be_there;
            match merge(writer, &self.table, &batches, copies).await? {
                Merged::Yes => return Ok(()),
                Merged::WithoutCopy => {
                    // It may well be so again: a record that comes anew may be there as deleted.
                    self.copies = false;
                    return Ok(());
                }
                Merged::No => {}
            }
        }
        for (played, changes) in &between {
            self.step(writer, *played, changes).await?;
        }
        Ok(())
    }

    async fn step(&mut self, writer: &mut Writer, played: u64, changes: &ChangeBatch) -> Result<()> {
        let replayed = self.is_replayed(played) && !writer.retries;
        stepwise::apply(writer, &self.table, changes, replayed, &mut self.parking).await
    }
}
