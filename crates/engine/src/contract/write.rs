//! What every write strategy promises, whatever its system.

use futures::stream;

use super::samples::numbered_rows;
use crate::{
    Digest, ErrorKind, LogId, Position,
    change::ChangeBatch,
    read::Phase,
    write::{Delivery, Standing, Unit, WriteStrategy},
};

/// A log that exists in tests alone.
pub fn log() -> LogId {
    LogId::new("testlog00000")
}

/// Where a destination stands after commit `sequence` of [`log`].
pub fn position(sequence: u64) -> Position {
    let hash = if sequence == 0 { Digest::ZERO } else { Digest::of(&sequence.to_be_bytes()) };
    Position { log: log(), sequence, hash }
}

/// The same, with no stream held.
pub fn standing(sequence: u64) -> Standing {
    position(sequence).into()
}

/// Changes of commit `sequence`, played with it.
pub fn delivery(sequence: u64, changes: ChangeBatch) -> Delivery {
    Delivery { sequence, played: sequence, phase: Phase::Changes, changes }
}

/// The commits of [`log`] after `begin` up to `end`, all with `batches` in the last.
pub fn unit(begin: u64, end: u64, batches: Vec<ChangeBatch>) -> Unit {
    let deliveries = batches.into_iter().map(move |changes| Ok(delivery(end, changes)));
    Unit::new(position(begin), position(end), stream::iter(deliveries.collect::<Vec<_>>()))
}

/// Runs the whole suite. Every call of `connect` gives a strategy, as a process of its own would have it, for the same
/// destination, which is empty at first.
pub async fn all<S: WriteStrategy>(connect: impl Fn() -> S) {
    let log = log();
    let rows = |sequence: u64, rows: usize| {
        let first = i64::try_from(sequence).expect("a sample is small") * 1_000;
        unit(sequence - 1, sequence, vec![numbered_rows("contract", first, rows).numbered_from(0)])
    };

    let mut first = connect();
    assert_eq!(first.open(&log).await.unwrap(), None, "a new destination stands nowhere");
    first.apply(&mut rows(1, 10)).await.unwrap();
    assert_eq!(connect().open(&log).await.unwrap(), Some(standing(1)), "the position moves with the data");

    // That `open` took the destination for another process.
    let error = first.apply(&mut rows(2, 10)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "a predecessor fails: {error}");
    assert_eq!(first.open(&log).await.unwrap(), Some(standing(1)), "and changes nothing");

    let error = first.apply(&mut rows(1, 10)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "a unit must begin where the destination stands: {error}");
    assert_eq!(first.open(&log).await.unwrap(), Some(standing(1)));

    first.apply(&mut unit(1, 2, Vec::new())).await.unwrap();
    assert_eq!(
        first.open(&log).await.unwrap(),
        Some(standing(2)),
        "a unit without changes moves the position"
    );

    let broken = crate::Error::conflict("the segment is damaged");
    let changes = numbered_rows("contract", 9_000, 10).numbered_from(0);
    let whole = Ok(delivery(3, changes));
    let mut unit = Unit::new(position(2), position(3), stream::iter([whole, Err(broken)]));
    let error = first.apply(&mut unit).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "an error of the log comes through as it is: {error}");
    assert_eq!(first.open(&log).await.unwrap(), Some(standing(2)), "and nothing of the unit has happened");
    first.apply(&mut rows(3, 10)).await.unwrap();
    first.close().await.unwrap();
    assert_eq!(connect().open(&log).await.unwrap(), Some(standing(3)));
}
