//! A key as PostgreSQL reads it, from its canonical text.

use tidemark_engine::schema::Kind;

use crate::postgres::types::{date_literal, timestamp_literal};

/// The text that the input function of a type of `kind` reads as the value with the canonical text `text`.
pub(super) fn key_literal(kind: &Kind, text: &str) -> String {
    match kind {
        Kind::Date => date(text.strip_suffix("T00:00:00").unwrap_or(text)),
        Kind::Timestamp => timestamp(text, ""),
        Kind::TimestampTz => timestamp(text.strip_suffix('Z').unwrap_or(text), "+00"),
        _ => text.to_owned(),
    }
}

fn date(text: &str) -> String {
    let days = match text.strip_suffix('d') {
        Some(days) => days.parse().ok(),
        None => days_of(text),
    };
    days.map_or_else(|| text.to_owned(), date_literal)
}

fn timestamp(text: &str, zone: &str) -> String {
    const MICROS_A_DAY: i64 = 86_400_000_000;
    let micros = match text.strip_suffix("us") {
        Some(micros) => micros.parse().ok(),
        None => text.split_once('T').and_then(|(date, time)| {
            i64::from(days_of(date)?).checked_mul(MICROS_A_DAY)?.checked_add(micros_of(time)?)
        }),
    };
    // What is beyond our calendar is PostgreSQL's own text already.
    micros.map_or_else(|| text.to_owned(), |micros| timestamp_literal(micros, zone))
}

/// Days since 1970 of `-0043-03-15`: the year before 1 is 0.
fn days_of(date: &str) -> Option<i32> {
    let (rest, sign) = match date.strip_prefix('-') {
        Some(rest) => (rest, -1),
        None => (date.strip_prefix('+').unwrap_or(date), 1),
    };
    let mut parts = rest.splitn(3, '-');
    let mut part = || parts.next()?.parse::<i64>().ok();
    let (year, month, day) = (sign * part()?, part()?, part()?);
    // Counted in years that begin in March, so that the day that is put in comes last.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * month + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    i32::try_from(days).ok()
}

/// Microseconds since midnight of `05:00:00.5`.
fn micros_of(time: &str) -> Option<i64> {
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut parts = clock.splitn(3, ':');
    let mut part = || parts.next()?.parse::<i64>().ok();
    let seconds = part()? * 3_600 + part()? * 60 + part()?;
    let fraction = format!("{fraction:0<6}");
    Some(seconds * 1_000_000 + fraction.get(..6)?.parse::<i64>().ok()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidemark_engine::change::Value;

    use super::*;
    use crate::postgres::types::{date_literal, timestamp_literal};

    proptest! {
        #[test]
        fn days_and_moments_are_read_back(days in -2_440_000i32..200_000_000, micros in -210_000_000_000_000_000i64..i64::MAX) {
            prop_assert_eq!(key_literal(&Kind::Date, &Value::Date(days).to_string()), date_literal(days));
            let (plain, zoned) = (Value::Timestamp(micros).to_string(), Value::TimestampTz(micros).to_string());
            prop_assert_eq!(key_literal(&Kind::Timestamp, &plain), timestamp_literal(micros, ""));
            prop_assert_eq!(key_literal(&Kind::TimestampTz, &zoned), timestamp_literal(micros, "+00"));
        }
    }

    #[test]
    fn what_is_no_day_stays() {
        for (kind, text) in [(Kind::Date, "infinity"), (Kind::Timestamp, "-infinity"), (Kind::Text, "0044")] {
            assert_eq!(key_literal(&kind, text), text);
        }
        assert_eq!(key_literal(&Kind::Date, "-0043-03-15"), "0044-03-15 BC");
    }
}
