//! Changes that are known to fail together: which one does?
//!
//! Stretches of them are applied in source order, each inside a savepoint. One that fails is rolled back and halved, until a
//! single change is left that fails after everything before it went well. Only units that failed before are searched, so that
//! others need no savepoints.

use std::ops::Range;

use async_trait::async_trait;
use tidemark_engine::{
    LogId,
    schema::StreamName,
    write::{Delivery, WriteMode},
};

use super::{
    ahead,
    bulk::Copied,
    failure::{Failure, Result},
    gathered::Stream,
    history::Displaced,
    parking::Parking,
    piece::Piece,
    writer::Writer,
};

/// Changes of one stream that may be applied in stretches.
#[async_trait]
pub(super) trait Suspects: Send {
    /// How many there are.
    fn rows(&self) -> usize;

    /// Applies those in `range`, which follow upon what has been applied.
    async fn attempt(&mut self, writer: &mut Writer, range: Range<usize>) -> Result<()>;

    /// The last attempt was taken back.
    fn take_back(&mut self) {}

    /// The commit and ordinal of the change in `row`.
    fn change(&self, row: usize) -> Option<(u64, u64)>;
}

/// Applies all of `suspects`, changes of `stream`, inside a transaction, or fails over the first that does not go. `doing` says
/// what is being done.
pub(super) async fn search(
    writer: &mut Writer,
    suspects: &mut dyn Suspects,
    doing: &str,
    stream: &StreamName,
) -> Result<()> {
    let mut begin = 0;
    // The ends of stretches, the nearest last, and whether each is known to fail.
    let mut ends = vec![(suspects.rows(), false)];
    while let Some((end, fails)) = ends.last().copied() {
        if begin == end {
            ends.pop();
            continue;
        }
        let until = if fails { begin + (end - begin).div_ceil(2) } else { end };
        match attempt(writer, suspects, begin..until).await? {
            None => begin = until,
            Some(failure) if until - begin == 1 => {
                let failure = failure.of_stream(doing, stream);
                return Err(match (failure, suspects.change(begin)) {
                    (Failure::Known(error), Some((sequence, ordinal))) => {
                        error.of_change(stream, sequence, ordinal).into()
                    }
                    (failure, _) => failure,
                });
            }
            Some(_) if until == end => ends.last_mut().into_iter().for_each(|(_, fails)| *fails = true),
            Some(_) => ends.push((until, true)),
        }
    }
    Ok(())
}

/// Applies a stretch, or takes it back and tells why it failed, where that may be for one of its changes.
async fn attempt(
    writer: &mut Writer,
    suspects: &mut dyn Suspects,
    range: Range<usize>,
) -> Result<Option<Failure>> {
    let scratch = writer.scratch.clone();
    writer.run("SAVEPOINT suspect").await?;
    match suspects.attempt(writer, range).await {
        Ok(()) => {
            writer.run("RELEASE suspect").await?;
            Ok(None)
        }
        Err(failure) if failure.is_of_data() => {
            writer.run("ROLLBACK TO suspect; RELEASE suspect").await?;
            // Work tables that were made since are gone.
            writer.scratch = scratch;
            suspects.take_back();
            Ok(Some(failure))
        }
        Err(failure) => Err(failure),
    }
}

/// Gathered changes of one stream.
pub(super) struct Gathered<'a> {
    stream: &'a mut Stream,
    log: &'a LogId,
    mode: WriteMode,
    deliveries: Vec<Delivery>,
    /// Displaced rows as they were before the last attempt.
    displaced: (Parking, Displaced),
}

impl<'a> Gathered<'a> {
    pub(super) fn new(
        stream: &'a mut Stream,
        log: &'a LogId,
        mode: WriteMode,
        deliveries: Vec<Delivery>,
    ) -> Self {
        let displaced = (stream.parking.clone(), stream.displaced.clone());
        Self { stream, log, mode, deliveries, displaced }
    }
}

#[async_trait]
impl Suspects for Gathered<'_> {
    fn rows(&self) -> usize {
        self.deliveries.iter().map(|delivery| delivery.changes.rows()).sum()
    }

    async fn attempt(&mut self, writer: &mut Writer, range: Range<usize>) -> Result<()> {
        self.displaced = (self.stream.parking.clone(), self.stream.displaced.clone());
        let part = stretch(&self.deliveries, range);
        self.stream.apply(writer, self.log, self.mode, part).await
    }

    fn take_back(&mut self) {
        (self.stream.parking, self.stream.displaced) = self.displaced.clone();
    }

    fn change(&self, row: usize) -> Option<(u64, u64)> {
        let one = stretch(&self.deliveries, row..row + 1);
        let Delivery { sequence, changes, .. } = one.first()?;
        Some((*sequence, changes.ordinals()?.value(0)))
    }
}

/// The changes in `range` of all that `deliveries` hold.
fn stretch(deliveries: &[Delivery], range: Range<usize>) -> Vec<Delivery> {
    let mut first = 0;
    let mut part = Vec::new();
    for delivery in deliveries {
        let rows = delivery.changes.rows();
        let (begin, end) = (range.start.max(first), range.end.min(first + rows));
        if begin < end {
            let changes = delivery.changes.slice(begin - first, end - begin);
            part.push(Delivery { changes, ..delivery.clone() });
        }
        first += rows;
    }
    part
}

/// Rows of an initial sync.
pub(super) struct Loading<'a> {
    piece: &'a Piece,
    /// What came of those that went well.
    pub(super) copied: Copied,
}

impl<'a> Loading<'a> {
    pub(super) fn new(piece: &'a Piece) -> Self {
        Self { piece, copied: Copied::All }
    }
}

#[async_trait]
impl Suspects for Loading<'_> {
    fn rows(&self) -> usize {
        self.piece.changes.rows()
    }

    async fn attempt(&mut self, writer: &mut Writer, range: Range<usize>) -> Result<()> {
        let changes = self.piece.changes.slice(range.start, range.len());
        let part = Piece { changes, ..self.piece.clone() };
        if ahead::load(writer, &part).await? == Copied::SomeAreThere {
            self.copied = Copied::SomeAreThere;
        }
        Ok(())
    }

    fn change(&self, row: usize) -> Option<(u64, u64)> {
        Some((self.piece.sequence, self.piece.changes.ordinals()?.value(row)))
    }
}
