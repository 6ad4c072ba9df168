//! High-water marks: how far a stream has been read, by a column that grows.

use std::{cmp::Ordering, ops::Range, time::Duration};

use tidemark_engine::{Error, Result, change::Value};

use crate::records::{self, Moment};

/// How far back to look again, for records that come late or share the mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overlap {
    /// For marks that are moments.
    Time(Duration),
    /// For marks that are numbers.
    Steps(u64),
}

/// Which of two marks is further: numbers by size, moments by time, texts byte by byte.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    if let (Some(a), Some(b)) = (whole(a), whole(b)) {
        return a.cmp(&b);
    }
    if let (Some(a), Some(b)) = (Instant::read(a), Instant::read(b)) {
        return (a.micros, a.beyond).cmp(&(b.micros, b.beyond));
    }
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => a.total_cmp(&b),
        _ => a.cmp(b),
    }
}

/// The mark that is `overlap` before `mark`, in the way it is written.
///
/// Fails with [`tidemark_engine::ErrorKind::Config`] where the two do not fit together.
pub(crate) fn back(mark: &str, overlap: Overlap) -> Result<String> {
    let misfit = |what: &str| {
        Err(Error::config(format!("an `overlap` of {what} does not fit a watermark that is none"))
            .hint("give `overlap` as a duration for moments, as a whole number for numbers"))
    };
    match overlap {
        Overlap::Time(span) if span.is_zero() => Ok(mark.to_owned()),
        Overlap::Steps(0) => Ok(mark.to_owned()),
        Overlap::Time(span) => {
            let span = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
            match Instant::read(mark) {
                Some(instant) => Ok(instant.at(instant.micros.saturating_sub(span))),
                None => misfit("time"),
            }
        }
        Overlap::Steps(steps) => match whole(mark) {
            Some(number) => Ok((number - i128::from(steps)).to_string()),
            None => misfit("steps"),
        },
    }
}

/// Whether `mark` is a moment that a clock elsewhere could have told.
pub(crate) fn is_universal(mark: &str) -> bool {
    Instant::read(mark).is_some_and(|instant| instant.zoned)
}

/// The greater of two marks.
pub(crate) fn greater(a: Option<String>, b: Option<String>) -> Option<String> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if compare(&a, &b) == Ordering::Less { b } else { a }),
        (a, b) => a.or(b),
    }
}

fn whole(text: &str) -> Option<i128> {
    text.parse().ok()
}

/// A moment as finely as its text has it, which may be finer than any kind of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Instant<'a> {
    /// Microseconds since 1970.
    micros: i64,
    /// The digits beyond, without zeros at the end: their order is that of what they stand for.
    beyond: &'a str,
    /// Whether the text names its offset.
    zoned: bool,
}

impl<'a> Instant<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (moment, beyond) = match beyond_micros(text) {
            None => (records::moment(text), ""),
            Some(beyond) => {
                let cut = [&text[..beyond.start], &text[beyond.end..]].concat();
                (records::moment(&cut), text[beyond].trim_end_matches('0'))
            }
        };
        let (micros, zoned) = match moment {
            Some(Moment::Universal(micros)) => (micros, true),
            Some(Moment::Local(micros)) => (micros, false),
            None => (records::date(text).map(|days| i64::from(days) * 86_400_000_000)?, false),
        };
        Some(Self { micros, beyond, zoned })
    }

    /// Another moment, written in the same way.
    fn at(&self, micros: i64) -> String {
        let value = if self.zoned { Value::TimestampTz(micros) } else { Value::Timestamp(micros) };
        value.to_string()
    }
}

/// Where the digits beyond the microsecond stand in `text`, if it has any.
fn beyond_micros(text: &str) -> Option<Range<usize>> {
    let begin = text.find('.')? + 1;
    let digits = text[begin..].bytes().take_while(u8::is_ascii_digit).count();
    (digits > 6).then_some(begin + 6..begin + digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_compare_by_what_they_mean() {
        let ascending = [
            ["9", "10"],
            ["-1", "0"],
            ["1.5", "10.25"],
            ["2013-01-01T10:00:00Z", "2013-01-01T10:00:00.5Z"],
            ["2013-01-01T11:00:00+02:00", "2013-01-01T10:00:00Z"],
            ["2013-01-01", "2013-01-01T00:00:01"],
            ["2013-01-01T10:00:00.1234567Z", "2013-01-01T10:00:00.1234568Z"],
            ["2013-01-01T10:00:00.123456Z", "2013-01-01T10:00:00.1234561Z"],
            ["2013-01-01T10:00:00.1234569Z", "2013-01-01T10:00:00.12345691Z"],
            ["2013-01-01T11:00:00.1234569+01:00", "2013-01-01T10:00:00.123457Z"],
            ["a10", "a9"],
        ];
        for [a, b] in ascending {
            assert_eq!((compare(a, b), compare(b, a)), (Ordering::Less, Ordering::Greater), "{a} {b}");
        }
        assert_eq!(compare("10", "10"), Ordering::Equal);
        assert_eq!(compare("2013-01-01T10:00:00.1234500Z", "2013-01-01T10:00:00.12345Z"), Ordering::Equal);
        assert_eq!(compare("2013-01-01T10:00:00Z", "2013-01-01T11:00:00+01:00"), Ordering::Equal);
    }

    #[test]
    fn an_overlap_goes_back_in_the_way_the_mark_is_written() {
        let minutes = |minutes: u64| Overlap::Time(Duration::from_secs(60 * minutes));
        assert_eq!(back("2013-01-01T10:00:00Z", minutes(5)).unwrap(), "2013-01-01T09:55:00Z");
        assert_eq!(back("2013-01-01T10:00:00.1234567Z", minutes(5)).unwrap(), "2013-01-01T09:55:00.123456Z");
        assert_eq!(back("2013-01-01T10:00:00", minutes(5)).unwrap(), "2013-01-01T09:55:00");
        assert_eq!(back("2013-01-01", minutes(24 * 60)).unwrap(), "2012-12-31T00:00:00");
        assert_eq!(back("100", Overlap::Steps(30)).unwrap(), "70");
        assert_eq!(back("abc", minutes(0)).unwrap(), "abc");
        assert!(back("abc", minutes(1)).is_err() && back("100", minutes(1)).is_err());
    }
}
