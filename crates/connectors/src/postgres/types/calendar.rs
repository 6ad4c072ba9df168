//! Days and times of day, over the whole range of PostgreSQL's dates: 4714 BC to the year 5874897.
//!
//! The libraries' calendars end sooner. The conversions are those of Howard Hinnant's "chrono-Compatible Low-Level Date
//! Algorithms".

use std::fmt::Write;

/// Days from 1970-01-01 to 2000-01-01, from which PostgreSQL counts.
pub(super) const EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
pub(super) const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * MICROS_A_DAY;
pub(super) const MICROS_A_DAY: i64 = 86_400_000_000;
/// The first day that PostgreSQL knows, 4714-11-24 BC, which is the beginning of 4713 BC in the Julian calendar; since 1970-01-01.
pub(super) const FIRST_DAY: i32 = -2_440_588;
/// 5874897-12-31, the last; since 1970-01-01.
pub(super) const LAST_DAY: i32 = 2_145_042_905;

/// Days since 1970-01-01 of a day of the proleptic Gregorian calendar. The year before 1 is 0.
pub(super) fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day; the reverse of [`days`].
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// `2013-01-01`, `0044-03-15 BC`.
pub(super) fn write_date(days: i32, out: &mut String) {
    write_with_era(i64::from(days), out, |_| {});
}

/// `05:00:00`, with as many digits of a fraction as it needs.
pub(super) fn write_time(micros: i64, out: &mut String) {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    // Writing to a `String` cannot fail.
    let _ = write!(out, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    write_fraction(fraction, out);
}

/// `2013-01-01 05:00:00`, followed by `zone`. Microseconds since 1970; more than 64 bits, which end before PostgreSQL's last
/// timestamps do.
pub(super) fn write_timestamp(micros: i128, zone: &str, out: &mut String) {
    let day = i128::from(MICROS_A_DAY);
    write_with_era(micros.div_euclid(day) as i64, out, |out| {
        out.push(' ');
        write_time(micros.rem_euclid(day) as i64, out);
        out.push_str(zone);
    });
}

/// The day `days` after 1970-01-01, as PostgreSQL reads it.
pub(in crate::postgres) fn date_literal(days: i32) -> String {
    let mut text = String::new();
    write_date(days, &mut text);
    text
}

/// The moment `micros` after 1970 began, as PostgreSQL reads it.
pub(in crate::postgres) fn timestamp_literal(micros: i64, zone: &str) -> String {
    let mut text = String::new();
    write_timestamp(i128::from(micros), zone, &mut text);
    text
}

/// A day, then what `rest` writes, then the era where it is not our own.
fn write_with_era(days: i64, out: &mut String, rest: impl FnOnce(&mut String)) {
    let (year, month, day) = civil(days);
    let (year, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    let _ = write!(out, "{year:04}-{month:02}-{day:02}");
    rest(out);
    out.push_str(era);
}

/// `.5` for 500000 microseconds, nothing for none.
pub(super) fn write_fraction(micros: i64, out: &mut String) {
    if micros != 0 {
        let _ = write!(out, ".{micros:06}");
        out.truncate(out.trim_end_matches('0').len());
    }
}

/// Days since 1970-01-01 of `2013-01-01` or `0044-03-15 BC`.
pub(super) fn parse_date(text: &str) -> Option<i32> {
    let (text, is_before) = strip_era(text);
    i32::try_from(parse_day(text, is_before)?).ok()
}

/// Microseconds since midnight of `05:00:00.5`.
pub(super) fn parse_time(text: &str) -> Option<i64> {
    let (clock, fraction) = text.split_at_checked(8)?;
    let bytes = clock.as_bytes();
    if bytes[2] != b':' || bytes[5] != b':' {
        return None;
    }
    let seconds = number(&clock[..2])? * 3600 + number(&clock[3..5])? * 60 + number(&clock[6..])?;
    Some(seconds * 1_000_000 + parse_fraction(fraction)?)
}

/// Microseconds since 1970 of `2013-01-01 05:00:00`, with `zone` behind it.
pub(super) fn parse_timestamp(text: &str, zone: &str) -> Option<i128> {
    let (text, is_before) = strip_era(text);
    let (day, time) = text.strip_suffix(zone)?.split_once(' ')?;
    Some(i128::from(parse_day(day, is_before)?) * i128::from(MICROS_A_DAY) + i128::from(parse_time(time)?))
}

fn strip_era(text: &str) -> (&str, bool) {
    text.strip_suffix(" BC").map_or((text, false), |text| (text, true))
}

fn parse_day(text: &str, is_before: bool) -> Option<i64> {
    let (text, day) = text.rsplit_once('-')?;
    let (year, month) = text.rsplit_once('-')?;
    let (year, month, day) = (number(year)?, number(month)?, number(day)?);
    Some(days(if is_before { 1 - year } else { year }, month, day))
}

/// Microseconds of `.5`; 0 of nothing.
fn parse_fraction(text: &str) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    let digits = text.strip_prefix('.').filter(|digits| (1..=6).contains(&digits.len()))?;
    Some(number(digits)? * 10_i64.pow(6 - digits.len() as u32))
}

/// A number of at most nine digits, and nothing else.
fn number(text: &str) -> Option<i64> {
    if !(1..=9).contains(&text.len()) {
        return None;
    }
    text.bytes()
        .try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_read_back_over_the_whole_range() {
        let mut text = String::new();
        for day in (FIRST_DAY..2_000_000).step_by(97).chain([-1, 0, 1, FIRST_DAY, LAST_DAY]) {
            text.clear();
            write_date(day, &mut text);
            assert_eq!(parse_date(&text), Some(day), "{text}");
        }
    }

    #[test]
    fn the_ends_of_the_calendar() {
        let text = |day| {
            let mut text = String::new();
            write_date(day, &mut text);
            text
        };
        assert_eq!(text(FIRST_DAY), "4714-11-24 BC");
        assert_eq!(text(LAST_DAY), "5874897-12-31");
        assert_eq!(text(EPOCH_DAYS), "2000-01-01");
        assert_eq!(text(-719_163), "0001-12-31 BC");
    }

    #[test]
    fn timestamps_read_back() {
        for (text, zone) in [
            ("1970-01-01 00:00:00", ""),
            ("1969-12-31 23:59:59.999999+00", "+00"),
            ("4714-11-24 00:00:00+00 BC", "+00"),
            ("294276-12-31 23:59:59.999999", ""),
            ("0044-03-15 12:30:00.5 BC", ""),
        ] {
            let micros = parse_timestamp(text, zone).unwrap();
            let mut written = String::new();
            write_timestamp(micros, zone, &mut written);
            assert_eq!(written, text);
        }
        assert_eq!(parse_time("24:00:00"), Some(MICROS_A_DAY));
        for text in ["", "1970-01-01", "1970-01-01 00:00", "1970-01-01 00:00:00.", "x-01-01 00:00:00"] {
            assert_eq!(parse_timestamp(text, ""), None, "{text}");
        }
    }
}
