//! How far back to look again, as people write it.

use std::time::Duration;

use crate::{config::Interval, polling::Overlap};

/// Reads `5m`, or `100`.
pub(super) fn parse(text: &str) -> Option<Overlap> {
    match text.parse() {
        Ok(steps) => Some(Overlap::Steps(steps)),
        Err(_) => Interval::parse(text).map(|Interval(span)| Overlap::Time(span)),
    }
}

/// None at all: what has the greatest mark itself is looked at again all the same.
pub(super) const NONE: Overlap = Overlap::Time(Duration::ZERO);
