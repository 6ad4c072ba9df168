//! What a value is to look like where there is no such type: derived from the source's own text, with the server's help.

use chrono::{DateTime, Days, NaiveDate, SecondsFormat};
use serde_json::Value as Json;
use tidemark_test_servers::Database;

use super::columns::{Column, names};

/// How the values of a column look elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// As the source writes them.
    Same,
    Bool,
    Float32,
    Float64,
    Bytes,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Interval,
    /// An array. Where it is no list of one dimension it is its literal; floats are spelled anew in it, `1e+15` as
    /// `1000000000000000.0`.
    List,
    /// The same of numbers of any precision.
    Numbers,
}

/// A value in a row, as text; `None` for NULL.
pub(super) type Cell = Option<String>;

/// The rows of `table`, each with its canonical values, in the order of their ids.
pub(super) fn of_the_source(source: &Database<'_>, table: &str, columns: &[Column]) -> Vec<Vec<Cell>> {
    let values = names(columns).into_iter().zip(columns).map(|(name, (declared, class, _))| {
        let helped = match class {
            Class::Date => format!("CASE WHEN isfinite({name}) THEN ({name} - date '1970-01-01') END"),
            // In whole numbers: the seconds of `epoch` lose digits at the end of the range.
            Class::Timestamp | Class::TimestampTz => format!(
                "CASE WHEN isfinite({name}) THEN ({name}::date - date '1970-01-01') * 86400000000::numeric
                 + extract(hour FROM {name}) * 3600000000 + extract(minute FROM {name}) * 60000000
                 + extract(microseconds FROM {name}) END"
            ),
            Class::Interval => format!(
                "concat_ws(' ', extract(year FROM {name}) * 12 + extract(month FROM {name}), extract(day FROM {name}),
                 extract(hour FROM {name}) * 3600 + extract(minute FROM {name}) * 60 + extract(second FROM {name}))"
            ),
            // Elements without a type of their own elsewhere are text.
            Class::List if declared.starts_with("point3") => format!("to_json({name}::text[])"),
            Class::List | Class::Numbers => format!(
                "CASE WHEN array_ndims({name}) IS NULL OR (array_ndims({name}) = 1 AND array_lower({name}, 1) = 1)
                 THEN to_json({name}) END"
            ),
            _ => "NULL".to_owned(),
        };
        format!("{name}, {helped}")
    });
    let values: Vec<_> = values.collect();
    let rows = source
        .query(&format!("SET TimeZone = 'UTC'; SELECT id, {} FROM {table} ORDER BY id", values.join(", ")));
    let rows = rows.into_iter().map(|row| {
        let cells = row[1..].chunks(2).zip(columns).map(|(pair, (_, class, _))| {
            pair[0].as_deref().map(|text| class.canonical(text, pair[1].as_deref()))
        });
        [row[0].clone()].into_iter().chain(cells).collect()
    });
    rows.collect()
}

impl Class {
    pub(super) fn is_list(self) -> bool {
        matches!(self, Self::List | Self::Numbers)
    }

    /// The canonical text of what the source writes as `text`; `helped` is what the server says of it besides.
    fn canonical(self, text: &str, helped: Option<&str>) -> String {
        let literal = || text.to_owned();
        match self {
            Self::Same | Self::Bytes => literal(),
            Self::Bool => (text == "t").to_string(),
            Self::Float32 => float32(text.parse().unwrap()),
            Self::Float64 => float64(text.parse().unwrap()),
            Self::Date => helped.map_or_else(literal, |days| date(days.parse().unwrap())),
            Self::Time => time(text),
            // What 64 bits do not hold stays as the source writes it.
            Self::Timestamp => micros(helped).map_or_else(literal, timestamp),
            Self::TimestampTz => micros(helped).map_or_else(literal, |micros| timestamp(micros) + "Z"),
            Self::Interval => interval(helped.unwrap()),
            // An array that is no list, or holds what its elements' type does not, stays a literal.
            Self::List | Self::Numbers => match helped.filter(|_| !text.contains("infinity")) {
                Some(list) => json(list),
                None => Json::from(text).to_string(),
            },
        }
    }
}

/// The same JSON in one spelling.
pub(super) fn json(text: &str) -> String {
    serde_json::from_str::<Json>(text).unwrap().to_string()
}

pub(super) fn float32(value: f32) -> String {
    if value.is_finite() { format!("{value:?}") } else { float64(f64::from(value)) }
}

pub(super) fn float64(value: f64) -> String {
    match value {
        _ if value.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        _ => format!("{value:?}"),
    }
}

/// Where the calendar of the library ends, a count of days.
pub(super) fn date(days: i32) -> String {
    let (epoch, distance) = (NaiveDate::default(), Days::new(days.unsigned_abs().into()));
    let date = if days < 0 { epoch.checked_sub_days(distance) } else { epoch.checked_add_days(distance) };
    date.map_or_else(|| format!("{days}d"), |date| date.to_string())
}

/// Likewise, a count of microseconds.
pub(super) fn timestamp(micros: i64) -> String {
    let text = DateTime::from_timestamp_micros(micros)
        .map_or_else(|| format!("{micros}us"), |moment| moment.to_rfc3339_opts(SecondsFormat::AutoSi, true));
    text.strip_suffix('Z').map(str::to_owned).unwrap_or(text)
}

fn micros(helped: Option<&str>) -> Option<i64> {
    helped?.parse().ok()
}

/// Fractions have three digits or six.
pub(super) fn time(text: &str) -> String {
    match text.split_once('.') {
        Some((clock, fraction)) if fraction.len() <= 3 => format!("{clock}.{fraction:0<3}"),
        Some((clock, fraction)) => format!("{clock}.{fraction:0<6}"),
        None => text.to_owned(),
    }
}

/// Months, days and seconds, each apart.
fn interval(parts: &str) -> String {
    let mut parts = parts.split(' ');
    let mut part = || parts.next().unwrap().trim_start_matches('+');
    let (months, days, seconds) = (part(), part(), part());
    let seconds =
        if seconds.contains('.') { seconds.trim_end_matches('0').trim_end_matches('.') } else { seconds };
    let mut text = "P".to_owned();
    if months != "0" {
        text += &format!("{months}M");
    }
    if days != "0" {
        text += &format!("{days}D");
    }
    if seconds != "0" || text == "P" {
        text += &format!("T{seconds}S");
    }
    text
}
