//! Dates and times as texts: ISO 8601 in the forms that programs write.

use chrono::{NaiveDate, NaiveTime, Timelike};

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// A date and time, and the offset it was written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Without an offset: microseconds since 1970-01-01T00:00:00.
    Local(i64),
    /// With one: microseconds since 1970-01-01T00:00:00Z.
    Universal(i64),
}

/// Days since 1970-01-01 of `2013-01-31`, of the years 0001 to 9999.
pub(crate) fn date(text: &str) -> Option<i32> {
    let &[y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = text.as_bytes() else { return None };
    let year = number(&[y0, y1, y2, y3])?;
    let date = NaiveDate::from_ymd_opt(year.cast_signed(), number(&[m0, m1])?, number(&[d0, d1])?)?;
    (year > 0).then(|| date.to_epoch_days())
}

/// Microseconds since midnight of `05:00`, `05:00:00` or `05:00:00.000001`.
pub(crate) fn time(text: &str) -> Option<i64> {
    let (clock, fraction) = match text.split_once('.') {
        Some((clock, fraction)) => (clock, micros(fraction)?),
        None => (text, 0),
    };
    let (hour, minute, second) = match *clock.as_bytes() {
        [h0, h1, b':', m0, m1, b':', s0, s1] => (number(&[h0, h1])?, number(&[m0, m1])?, number(&[s0, s1])?),
        [h0, h1, b':', m0, m1] if clock.len() == text.len() => (number(&[h0, h1])?, number(&[m0, m1])?, 0),
        _ => return None,
    };
    let time = NaiveTime::from_hms_opt(hour, minute, second)?;
    Some(i64::from(time.num_seconds_from_midnight()) * MICROS_PER_SECOND + fraction)
}

/// A date, `T` or a blank, a time, and perhaps `Z`, `+01`, `+0100` or `+01:00`.
pub(crate) fn moment(text: &str) -> Option<Moment> {
    let (day, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix(['T', ' '])?;
    let day = i64::from(date(day)?) * MICROS_PER_DAY;
    if let Some(clock) = rest.strip_suffix('Z') {
        return Some(Moment::Universal(day + time(clock)?));
    }
    let Some(at) = rest.find(['+', '-']) else { return Some(Moment::Local(day + time(rest)?)) };
    let (clock, offset) = rest.split_at(at);
    let minutes = match *offset.as_bytes() {
        [_, h0, h1] => number(&[h0, h1])? * 60,
        [_, h0, h1, m0, m1] | [_, h0, h1, b':', m0, m1] => {
            let minutes = number(&[m0, m1]).filter(|minutes| *minutes < 60)?;
            number(&[h0, h1])? * 60 + minutes
        }
        _ => return None,
    };
    if minutes >= 24 * 60 {
        return None;
    }
    let minutes = if offset.starts_with('-') { -i64::from(minutes) } else { i64::from(minutes) };
    Some(Moment::Universal(day + time(clock)? - minutes * 60 * MICROS_PER_SECOND))
}

/// A fraction of a second. Digits beyond the microsecond must be zeros, or something would be lost.
fn micros(fraction: &str) -> Option<i64> {
    let bytes = fraction.as_bytes();
    let (kept, beyond) = bytes.split_at(bytes.len().min(6));
    if kept.is_empty() || beyond.iter().any(|byte| *byte != b'0') {
        return None;
    }
    let missing = u32::try_from(6 - kept.len()).ok()?;
    Some(i64::from(number(kept)?) * 10_i64.pow(missing))
}

/// A few digits, and nothing but digits.
fn number(digits: &[u8]) -> Option<u32> {
    digits
        .iter()
        .try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_read_as_they_stand() {
        let second = MICROS_PER_SECOND;
        assert_eq!(date("1970-01-02"), Some(1));
        assert_eq!(date("0001-01-01"), Some(-719_162));
        assert_eq!(time("05:00"), Some(18_000 * second));
        assert_eq!(time("00:00:01.5"), Some(1_500_000));
        assert_eq!(moment("1970-01-01T00:00:01"), Some(Moment::Local(second)));
        assert_eq!(moment("1970-01-01 00:00:01.000001000Z"), Some(Moment::Universal(second + 1)));
        assert_eq!(moment("1970-01-01T01:00:00+01:00"), Some(Moment::Universal(0)));
        assert_eq!(moment("1970-01-01 00:00:00-0130"), Some(Moment::Universal(5_400 * second)));
        assert_eq!(moment("1970-01-01 02:00:00+02"), Some(Moment::Universal(0)));
    }

    #[test]
    fn what_would_not_come_back_the_same_is_none() {
        for text in ["", "2013-02-29", "2013-1-1", "0000-01-01", "2013-01-01T", "20130101", "+013-01-01"] {
            assert_eq!(date(text), None, "{text}");
        }
        for text in [
            "2013-01-01",
            "2013-01-01T24:00:00",
            "2013-01-01T00:00:60",
            "2013-01-01T00:00:00.",
            "2013-01-01T00:00.5",
            "2013-01-01T00:00:00.0000001",
            "2013-01-01T00:00:00+",
            "2013-01-01T00:00:00+01:60",
            "2013-01-01t00:00:00z",
            "2013-01-0éT00:00:00",
        ] {
            assert_eq!(moment(text), None, "{text}");
        }
    }
}
