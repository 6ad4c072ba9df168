//! Moments, to the microsecond, always UTC.

use std::fmt;

use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A moment: microseconds since 1970-01-01T00:00:00Z, written as RFC 3339; beyond its years 0 to 9999 as a count (`5us`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Time(i64);

impl Time {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// The moment `micros` microseconds after the epoch.
    pub fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    pub fn as_micros(self) -> i64 {
        self.0
    }

    /// The same moment a microsecond later.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Microseconds from `earlier` to `self`; zero when `earlier` is later.
    pub fn micros_since(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }

    /// Reads RFC 3339 (`2013-01-01T05:00:00Z`, any offset) or a day (`2013-01-01`: its midnight in UTC).
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(micros) = text.strip_suffix("us") {
            return micros.parse().ok().map(Self);
        }
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Some(Self(time.timestamp_micros()));
        }
        let midnight = text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0)?;
        Some(Self(midnight.and_utc().timestamp_micros()))
    }

    /// The moment as RFC 3339 can write it.
    fn calendar(self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_micros(self.0).filter(|time| (0..=9999).contains(&time.year()))
    }

    /// As digits only, for names that sort by time: `20130101T050000.000000Z`.
    pub fn compact(self) -> String {
        match self.calendar() {
            Some(time) => time.format("%Y%m%dT%H%M%S%.6fZ").to_string(),
            None => format!("{}us", self.0),
        }
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.calendar() {
            Some(time) => f.write_str(&time.to_rfc3339_opts(SecondsFormat::Micros, true)),
            None => write!(f, "{}us", self.0),
        }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("expected a time such as 2013-01-01T05:00:00Z"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_and_write() {
        let time = Time::parse("2013-01-01T05:00:00+01:00").unwrap();
        assert_eq!(time.to_string(), "2013-01-01T04:00:00.000000Z");
        assert_eq!(time.compact(), "20130101T040000.000000Z");
        assert_eq!(Time::parse(&time.to_string()), Some(time));
        assert_eq!(Time::parse("2013-01-01").unwrap().to_string(), "2013-01-01T00:00:00.000000Z");
        assert_eq!(Time::parse("yesterday"), None);
        for micros in [i64::MIN, -70_000_000_000_000_000, 0, 300_000_000_000_000_000, i64::MAX] {
            let time = Time::from_micros(micros);
            assert_eq!(Time::parse(&time.to_string()), Some(time), "{time}");
        }
    }
}
