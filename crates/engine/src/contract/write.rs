//! What every write strategy promises, whatever its system.

use std::collections::BTreeMap;

use futures::stream;

use super::samples::numbered_rows;
use crate::{
    Digest, ErrorKind, LogId, Position, Time,
    change::ChangeBatch,
    read::Phase,
    schema::StreamName,
    write::{Delivery, Hold, Standing, Unit, Watermarks, WriteStrategy},
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
    let watermarks = Watermarks::all(Time::from_micros(1_700_000_000_000_000 + sequence.cast_signed()));
    Delivery { sequence, played: sequence, phase: Phase::Changes, watermarks, changes }
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
    a_stream_is_held_and_plays_up(connect()).await;
}

/// The destination stands after commit 3.
async fn a_stream_is_held_and_plays_up<S: WriteStrategy>(mut destination: S) {
    let log = log();
    let error = crate::Error::data("a value does not fit").hint("make it fit");
    let held: BTreeMap<_, _> = [(StreamName::new("held"), Hold::new(3, &error))].into();
    let with_hold = |sequence| Standing { held: held.clone(), ..standing(sequence) };
    let changes =
        |stream, first, sequence| Ok(delivery(sequence, numbered_rows(stream, first, 5).numbered_from(0)));

    destination.open(&log).await.unwrap();
    let others = stream::iter([changes("contract", 20_000, 4), changes("contract", 20_100, 5)]);
    destination.apply(&mut Unit::new(standing(3), with_hold(5), others)).await.unwrap();
    assert_eq!(destination.open(&log).await.unwrap(), Some(with_hold(5)), "holds move with the position");

    // What it has missed comes from commits before the unit's.
    let missed = stream::iter([changes("held", 0, 4), changes("held", 100, 5)]);
    destination.apply(&mut Unit::new(with_hold(5), standing(5), missed)).await.unwrap();
    assert_eq!(destination.open(&log).await.unwrap(), Some(standing(5)), "and without it");

    // So do changes that waited for an initial sync.
    let waited = Delivery { played: 6, ..delivery(2, numbered_rows("held", 200, 5).numbered_from(50)) };
    let unit = stream::iter([changes("held", 300, 6), Ok(waited)]);
    destination.apply(&mut Unit::new(standing(5), standing(6), unit)).await.unwrap();
    assert_eq!(destination.open(&log).await.unwrap(), Some(standing(6)));
}
