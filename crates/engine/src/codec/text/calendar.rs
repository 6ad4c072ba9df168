//! Days and times as ISO 8601 text, exact over all that 32 bits of days and 64 bits of microseconds can hold.
//!
//! The calendar is the proleptic Gregorian one with a year 0, which is 1 BC. A year beyond 0000 to 9999 has a sign (ISO 8601-1, section
//! 4.3.2, "expanded representation"): `+294247-01-10T04:00:54.775807`, `-0043-03-15`. A time that is no time of day counts its hours on:
//! `-00:00:00.000001`, `838:59:59`; a day ends with `24:00:00`.

use std::io::Write;

const DAY: i128 = 86_400_000_000;
const HOUR: u64 = 3_600_000_000;
/// The farthest that 32 bits of days reach is in the year 5,881,580.
const YEAR_DIGITS: usize = 7;

pub(super) fn write_date(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil(days);
    // Writing to a `Vec` cannot fail.
    let _ = match year {
        0..=9999 => write!(out, "{year:04}"),
        _ => write!(out, "{year:+05}"),
    };
    out.push(b'-');
    two_digits(month, out);
    out.push(b'-');
    two_digits(day, out);
}

pub(super) fn write_time(micros: i64, out: &mut Vec<u8>) {
    if micros < 0 {
        out.push(b'-');
    }
    let micros = micros.unsigned_abs();
    match micros / HOUR {
        hours @ 0..=99 => two_digits(hours as u8, out),
        hours => drop(write!(out, "{hours}")),
    }
    let seconds = micros % HOUR / 1_000_000;
    out.push(b':');
    two_digits((seconds / 60) as u8, out);
    out.push(b':');
    two_digits((seconds % 60) as u8, out);
    let fraction = micros % 1_000_000;
    if fraction > 0 {
        let _ = write!(out, ".{fraction:06}");
    }
}

pub(super) fn write_timestamp(micros: i64, out: &mut Vec<u8>) {
    let day = DAY as i64;
    write_date(micros.div_euclid(day), out);
    out.push(b'T');
    write_time(micros.rem_euclid(day), out);
}

fn two_digits(value: u8, out: &mut Vec<u8>) {
    out.extend([b'0' + value / 10, b'0' + value % 10]);
}

pub(super) fn parse_date(text: &str) -> Option<i32> {
    days(text)?.try_into().ok()
}

pub(super) fn parse_time(text: &str) -> Option<i64> {
    let (is_negative, text) = match text.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let (hours, rest) = text.split_once(':')?;
    let (minutes, rest) = rest.split_once(':')?;
    let (seconds, fraction) = rest.split_once('.').unwrap_or((rest, "000000"));
    if hours.len() < 2 || fraction.len() != 6 {
        return None;
    }
    let of_an_hour = i128::from(sixty(minutes)? * 60 + sixty(seconds)?) * 1_000_000;
    let micros =
        i128::from(digits(hours, 12)?) * i128::from(HOUR) + of_an_hour + i128::from(digits(fraction, 6)?);
    i64::try_from(if is_negative { -micros } else { micros }).ok()
}

pub(super) fn parse_timestamp(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T')?;
    let of_day = i128::from(parse_time(time)?);
    if !(0..DAY).contains(&of_day) {
        return None;
    }
    i64::try_from(i128::from(days(date)?) * DAY + of_day).ok()
}

/// The days since 1970-01-01 of a date.
fn days(text: &str) -> Option<i64> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (0, text),
    };
    let (year, rest) = rest.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    if year.len() < 4 || month.len() != 2 || day.len() != 2 || (sign == 0 && year.len() > 4) {
        return None;
    }
    let year = i64::try_from(digits(year, YEAR_DIGITS)?).ok()? * if sign < 0 { -1 } else { 1 };
    let (month, day) = (digits(month, 2)? as u8, digits(day, 2)? as u8);
    let days = days_from_civil(year, month, day);
    // No 31st of April becomes a 1st of May.
    (civil(days) == (year, month, day)).then_some(days)
}

fn sixty(text: &str) -> Option<u64> {
    (text.len() == 2).then(|| digits(text, 2))?.filter(|value| *value < 60)
}

/// The number that at least one digit and at most `longest` spell.
fn digits(text: &str, longest: usize) -> Option<u64> {
    let is_number =
        !text.is_empty() && text.len() <= longest && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// Year, month and day of a count of days since 1970-01-01; years begin in March, so that the day that comes and goes is the last.
/// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn civil(days: i64) -> (i64, u8, u8) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u8, day as u8)
}

/// The reverse, `days_from_civil`.
fn days_from_civil(year: i64, month: u8, day: u8) -> i64 {
    let (month, day) = (i64::from(month), i64::from(day));
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let march_month = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * march_month + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    era * 146_097 + of_era - 719_468
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, SecondsFormat};
    use proptest::prelude::*;

    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn far_and_near() {
        for (micros, expected) in [
            (0, "1970-01-01T00:00:00"),
            (-1, "1969-12-31T23:59:59.999999"),
            (253_402_300_799_999_999, "9999-12-31T23:59:59.999999"),
            (253_402_300_800_000_000, "+10000-01-01T00:00:00"),
            (-62_167_219_200_000_000, "0000-01-01T00:00:00"),
            (-62_167_219_200_000_001, "-0001-12-31T23:59:59.999999"),
            (i64::MAX, "+294247-01-10T04:00:54.775807"),
            (i64::MIN, "-290308-12-21T19:59:05.224192"),
        ] {
            assert_eq!(text(|out| write_timestamp(micros, out)), expected);
            assert_eq!(parse_timestamp(expected), Some(micros));
        }
        for (days, expected) in [
            (-1, "1969-12-31"),
            (i32::MAX, "+5881580-07-11"),
            (i32::MIN, "-5877641-06-23"),
            (11_016, "2000-02-29"),
        ] {
            assert_eq!(text(|out| write_date(days.into(), out)), expected);
            assert_eq!(parse_date(expected), Some(days));
        }
        for (micros, expected) in [
            (86_400_000_000, "24:00:00"),
            (-1, "-00:00:00.000001"),
            (838 * 3_600_000_000, "838:00:00"),
            (i64::MIN, "-2562047788:00:54.775808"),
        ] {
            assert_eq!(text(|out| write_time(micros, out)), expected);
            assert_eq!(parse_time(expected), Some(micros));
        }
    }

    #[test]
    fn what_is_no_date_or_time_is_refused() {
        for wrong in
            ["", "-", "2013", "2013-02-29", "2013-1-01", "2013-13-01", "12013-01-01", "+99999999-01-01"]
        {
            assert_eq!(parse_date(wrong), None, "{wrong}");
        }
        for wrong in
            ["", "1:00:00", "00:60:00", "00:00:60", "00:00:00.5", "00:00:00.", "+1:00:00", "é0:00:00"]
        {
            assert_eq!(parse_time(wrong), None, "{wrong}");
        }
        for wrong in
            ["2013-01-01", "2013-01-01 00:00:00", "2013-01-01T24:00:00", "+294247-01-10T04:00:54.775808"]
        {
            assert_eq!(parse_timestamp(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn every_count_comes_back(micros: i64, days: i32) {
            prop_assert_eq!(parse_timestamp(&text(|out| write_timestamp(micros, out))), Some(micros));
            prop_assert_eq!(parse_time(&text(|out| write_time(micros, out))), Some(micros));
            prop_assert_eq!(parse_date(&text(|out| write_date(days.into(), out))), Some(days));
        }

        #[test]
        fn the_calendar_is_everybodys(micros in -62_167_219_200_000_000i64..253_402_300_800_000_000) {
            let theirs = DateTime::from_timestamp_micros(micros).unwrap();
            let format = if micros % 1_000_000 == 0 { SecondsFormat::Secs } else { SecondsFormat::Micros };
            let theirs = theirs.to_rfc3339_opts(format, true);
            prop_assert_eq!(text(|out| write_timestamp(micros, out)) + "Z", theirs);
        }
    }
}
