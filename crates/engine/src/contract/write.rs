//! What every write strategy promises, whatever its system.

use futures::stream;

use super::samples::numbered_rows;
use crate::{
    Digest, ErrorKind, LogId, Position,
    write::{Delivery, Unit, WriteStrategy},
};

/// Runs the whole suite. Every call of `connect` gives a strategy, as a process of its own would have it, for the same
/// destination, which is empty at first.
pub async fn all<S: WriteStrategy>(connect: impl Fn() -> S) {
    let log = LogId::new("contract0000");
    let at = |sequence: u64| Position {
        log: log.clone(),
        sequence,
        hash: if sequence == 0 { Digest::ZERO } else { Digest::of(&sequence.to_le_bytes()) },
    };
    let rows = |sequence: u64, rows: usize| {
        let first = i64::try_from(sequence).expect("a sample is small") * 1_000;
        let changes = numbered_rows("contract", first, rows).numbered_from(0);
        Unit::new(at(sequence - 1), at(sequence), stream::iter([Ok(Delivery { sequence, changes })]))
    };

    let mut first = connect();
    assert_eq!(first.open(&log).await.unwrap(), None, "a new destination stands nowhere");
    first.apply(&mut rows(1, 10)).await.unwrap();
    assert_eq!(connect().open(&log).await.unwrap(), Some(at(1)), "the position moves with the data");

    // That `open` took the destination for another process.
    let error = first.apply(&mut rows(2, 10)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "a predecessor fails: {error}");
    assert_eq!(first.open(&log).await.unwrap(), Some(at(1)), "and changes nothing");

    let error = first.apply(&mut rows(1, 10)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "a unit must begin where the destination stands: {error}");
    assert_eq!(first.open(&log).await.unwrap(), Some(at(1)));

    first.apply(&mut Unit::new(at(1), at(2), stream::empty())).await.unwrap();
    assert_eq!(first.open(&log).await.unwrap(), Some(at(2)), "a unit without changes moves the position");

    let broken = crate::Error::conflict("the segment is damaged");
    let whole = Ok(Delivery { sequence: 3, changes: numbered_rows("contract", 9_000, 10).numbered_from(0) });
    let mut unit = Unit::new(at(2), at(3), stream::iter([whole, Err(broken)]));
    let error = first.apply(&mut unit).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "an error of the log comes through as it is: {error}");
    assert_eq!(first.open(&log).await.unwrap(), Some(at(2)), "and nothing of the unit has happened");
    first.apply(&mut rows(3, 10)).await.unwrap();
    first.close().await.unwrap();
    assert_eq!(connect().open(&log).await.unwrap(), Some(at(3)));
}
