//! Times of the calendar, as cron writes them.

use std::fmt;

use chrono::{DateTime, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use tidemark_engine::Time;

use crate::pipeline_file::closest;

/// What the fields of a pattern are called; the first may be left out.
const FIELDS: [&str; 6] = ["seconds", "minutes", "hours", "day of month", "month", "day of week"];

/// A pattern of times in a time zone.
///
/// The pattern has the five fields of Vixie cron, or six with seconds before them. Day of month and day of week hold as either-or
/// when both are given, as in every cron; with `+` before the day of week both must hold.
///
/// When clocks go forward, a time of day that is skipped (`30 2 * * *`) comes right after the gap, while one that recurs within the
/// day (`*/15 * * * *`) leaves the gap out. When they go back, the former comes once, the first time, and the latter in both hours.
/// (Open Cron Pattern Specification, as `croner` follows it.)
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    cron: Cron,
    zone: Tz,
    /// The pattern as it was typed.
    pattern: String,
}

impl Schedule {
    /// Reads `pattern`, or says what is wrong with it.
    pub(crate) fn parse(pattern: &str, zone: Tz) -> Result<Self, String> {
        let cron = parser().parse(pattern).map_err(|_| explained(pattern))?;
        let schedule = Self { cron, zone, pattern: pattern.trim().to_owned() };
        // The calendar repeats every 400 years: what has not come by the year 5000 never does, whatever the time is now.
        match schedule.next_after(Time::EPOCH) {
            Some(_) => Ok(schedule),
            None => Err("no day is like that".to_owned()),
        }
    }

    /// The first time of it after `time`; `None` at the end of the calendar.
    pub(crate) fn next_after(&self, time: Time) -> Option<Time> {
        let time = DateTime::<Utc>::from_timestamp_micros(time.as_micros())?.with_timezone(&self.zone);
        let next = self.cron.find_next_occurrence(&time, false).ok()?;
        Some(Time::from_micros(next.timestamp_micros()))
    }
}

fn parser() -> CronParser {
    CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build()
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({})", self.pattern, self.zone)
    }
}

/// What is wrong with `pattern`, in words that fit behind a colon.
fn explained(pattern: &str) -> String {
    let fields: Vec<_> = pattern.split_whitespace().collect();
    let names = match fields.as_slice() {
        [] => return "it is empty".to_owned(),
        [word] if word.starts_with('@') => return format!("`{word}` is no name of a pattern"),
        [_] => return "it has 1 field".to_owned(),
        [_, _, _, _, _] => &FIELDS[1..],
        [_, _, _, _, _, _] => &FIELDS[..],
        fields => return format!("it has {} fields", fields.len()),
    };
    let is_wrong = |index: &usize| {
        let alone = (0..fields.len()).map(|other| if other == *index { fields[other] } else { "*" });
        parser().parse(&alone.collect::<Vec<_>>().join(" ")).is_err()
    };
    match (0..fields.len()).find(is_wrong) {
        Some(index) => format!("`{}` cannot be its {}", fields[index], names[index]),
        None => "its fields do not go together".to_owned(),
    }
}

/// The time zone that is called `name`, or the one that was probably meant.
pub(crate) fn zone(name: &str) -> Result<Tz, Option<&'static str>> {
    name.parse().map_err(|_| {
        let typed = name.to_lowercase();
        let lower: Vec<_> = TZ_VARIANTS.iter().map(|zone| zone.name().to_lowercase()).collect();
        // Who writes `berlin` means a city, not a name that looks alike.
        let city = |name: &&String| name.rsplit('/').next() == Some(typed.replace(' ', "_").as_str());
        let closest = lower.iter().find(city).map(String::as_str).or_else(|| {
            let names: Vec<_> = lower.iter().map(String::as_str).collect();
            closest(&typed, &names)
        });
        let index = closest.and_then(|closest| lower.iter().position(|name| name == closest));
        index.map(|index| TZ_VARIANTS[index].name())
    })
}

#[cfg(test)]
mod tests;
