//! How many changes may become dead letters, and how fast: beyond that it is no matter of single records any more.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use crate::{Error, Time, schema::StreamName};

/// So many changes may fail at a destination in so much time. Those behind them do not count.
pub(super) const MOST_AT_ONCE: usize = 100;
const WINDOW: Duration = Duration::from_secs(60);
/// So many dead letters may there be at a destination.
pub(super) const MOST: usize = 10_000;

const HINT: &str =
    "see what `tidemark dead-letters FILE list` tells, remove the cause, and `retry` or `discard` them";

/// Tells when it is too much.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failed: VecDeque<Time>,
    /// How many failed since anything was written: where finding them takes long, they are no fewer for it.
    on_end: usize,
    /// Streams that were too much: nothing of them becomes a dead letter until a person has done something.
    tripped: BTreeSet<StreamName>,
}

impl Breaker {
    /// Whether one more change of `stream` may become a dead letter beside `letters` others; the error to hold it with otherwise.
    pub(super) fn admit(&mut self, stream: &StreamName, letters: usize, now: Time) -> Result<(), Error> {
        let is_recent =
            |time: &Time| *time <= now && u128::from(now.micros_since(*time)) < WINDOW.as_micros();
        self.failed.retain(is_recent);
        if self.failed.len() >= MOST_AT_ONCE || self.on_end >= MOST_AT_ONCE {
            self.tripped.insert(stream.clone());
        }
        if letters >= MOST {
            return Err(too_many(stream));
        }
        if self.tripped.contains(stream) {
            let error = Error::data(format!(
                "more than {MOST_AT_ONCE} changes could not be written on end, or within a minute, and now another of stream `{stream}`"
            ));
            return Err(error.hint(HINT).of_stream(stream));
        }
        self.failed.push_back(now);
        self.on_end += 1;
        Ok(())
    }

    /// Notes that something was written.
    pub(super) fn passed(&mut self) {
        self.on_end = 0;
    }

    /// Begins anew: somebody has seen to it.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

/// That there is no room for more letters.
pub(super) fn too_many(stream: &StreamName) -> Error {
    let error = Error::data(format!(
        "the destination has {MOST} dead letters, and now another change of stream `{stream}` cannot be written"
    ));
    error.hint(HINT).of_stream(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_hundred_within_a_minute_are_enough() {
        let (mut breaker, a, b) = (Breaker::default(), StreamName::new("a"), StreamName::new("b"));
        for _ in 0..MOST_AT_ONCE {
            breaker.admit(&a, 0, at(0)).unwrap();
        }
        let error = breaker.admit(&a, 0, at(59)).unwrap_err();
        assert_eq!((error.stream(), error.change()), (Some(&a), None));
        assert!(breaker.admit(&a, 0, at(600)).is_err(), "it stays so until somebody has seen to it");
        breaker.passed();
        assert!(breaker.admit(&b, 0, at(600)).is_ok(), "of another stream a minute later it is one");
        breaker.reset();
        assert!(breaker.admit(&a, 0, at(601)).is_ok());
    }

    #[test]
    fn a_hundred_on_end_are_enough_however_slowly_they_are_found() {
        let (mut breaker, a) = (Breaker::default(), StreamName::new("a"));
        for number in 0..MOST_AT_ONCE {
            breaker.admit(&a, 0, at(number as i64 * 100)).unwrap();
        }
        assert!(breaker.admit(&a, 0, at(1_000_000)).is_err());
    }

    #[test]
    fn they_may_be_many_when_they_come_slowly_until_there_are_too_many() {
        let (mut breaker, a) = (Breaker::default(), StreamName::new("a"));
        for letters in 0..MOST {
            breaker.admit(&a, letters, at(letters as i64)).unwrap();
            breaker.passed();
        }
        assert!(breaker.admit(&a, MOST, at(1_000_000)).is_err());
        assert!(breaker.admit(&a, MOST - 1, at(1_000_000)).is_ok(), "there is room again");
    }
}
