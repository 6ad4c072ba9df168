//! Which records a watermark's sweep asks for.
//!
//! SQLite compares what it holds: numbers by size, texts byte by byte, and every text is beyond every number. A mark is a text whose meaning
//! is looked at ([`compare`]). So the database is asked for somewhat more than what has reached the mark, in a way that an index helps with, and
//! what has not is left out when it comes.

use std::cmp::Ordering;

use rusqlite::types::Value;
use tidemark_engine::Result;

use super::query::Query;
use crate::{
    polling::compare,
    records::{self, Moment},
    sqlite::identifier::quote,
};

/// Two days: as far as the same moment may be written apart by offsets from UTC.
const APART: i64 = 2 * 86_400_000_000;
const DAY: i64 = 86_400_000_000;

/// What a mark asks for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Since {
    /// The column.
    pub(super) column: String,
    mark: String,
}

impl Since {
    pub(super) fn new(column: &str, mark: &str) -> Self {
        Self { column: column.to_owned(), mark: mark.to_owned() }
    }

    /// A condition with one parameter which all that has reached the mark meets.
    pub(super) fn condition(&self, query: &Query) -> Result<(String, Value)> {
        let number = match (self.mark.parse::<i64>(), self.mark.parse::<f64>()) {
            (Ok(whole), _) => Some(Value::Integer(whole)),
            (Err(_), Ok(number)) if number.is_finite() => Some(Value::Real(number)),
            _ => None,
        };
        Ok(match number {
            Some(number) => (format!("{} >= ?1", query.mark(&self.column)?), number),
            None => (
                format!("{} >= ?1 COLLATE BINARY", quote(&self.column)?),
                Value::Text(day_before(&self.mark).unwrap_or_else(|| self.mark.clone())),
            ),
        })
    }

    /// Whether a record whose mark is `text` has reached it.
    pub(super) fn is_reached_by(&self, text: &str) -> bool {
        compare(text, &self.mark) != Ordering::Less
    }
}

/// The day that every way to write a moment at or after `mark` begins with, or a later one.
fn day_before(mark: &str) -> Option<String> {
    let micros = match records::moment(mark) {
        Some(Moment::Universal(micros) | Moment::Local(micros)) => micros,
        None => i64::from(records::date(mark)?) * DAY,
    };
    let days = i32::try_from(micros.saturating_sub(APART).div_euclid(DAY)).ok()?;
    Some(tidemark_engine::change::Value::Date(days).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_asked_for_by_an_earlier_day() {
        assert_eq!(day_before("2013-01-03T00:30:00+14:00").as_deref(), Some("2012-12-31"));
        assert_eq!(day_before("2013-01-03 10:00:00").as_deref(), Some("2013-01-01"));
        assert_eq!(day_before("2013-01-03").as_deref(), Some("2013-01-01"));
        assert_eq!(day_before("v7"), None);
        assert!(Since::new("at", "2013-01-03T10:00:00").is_reached_by("2013-01-03 10:00"));
        assert!(!Since::new("at", "2013-01-03T10:00:00").is_reached_by("2013-01-03 09:59"));
        assert!(Since::new("at", "9").is_reached_by("10"));
    }
}
