//! How long a server asks to be left alone.

use std::time::Duration;

use http::HeaderMap;
use tidemark_engine::Time;

use super::dates::parse_date;

/// Above it a reset is a moment (seconds since 1970), below it a wait.
const A_MOMENT: f64 = 1_000_000_000.0;

/// The wait that `headers` ask for at `now`, the first that is there:
///
/// | Header | Says | Documented by |
/// |---|---|---|
/// | `retry-after-ms`, `x-ms-retry-after-ms` | milliseconds | Azure |
/// | `retry-after` | seconds or a date | RFC 9110, section 10.2.3 |
/// | `x-ratelimit-reset`, `x-rate-limit-reset`, `ratelimit-reset` | a moment in seconds since 1970, or seconds | GitHub; X; the draft on RateLimit fields |
///
/// The last counts only where nothing remains (`x-ratelimit-remaining: 0`, or no word on it). A date is measured against the
/// server's own clock where it tells it.
pub(in crate::http::client) fn asked_wait(headers: &HeaderMap, now: Time) -> Option<Duration> {
    let get = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    let millis = |name| get(name).and_then(number).map(|millis| seconds(millis / 1e3));
    if let Some(wait) = millis("retry-after-ms").or_else(|| millis("x-ms-retry-after-ms")) {
        return Some(wait);
    }
    let there = get("date").and_then(parse_date).unwrap_or(now);
    if let Some(text) = get("retry-after") {
        let until = || parse_date(text).map(|date| Duration::from_micros(date.micros_since(there)));
        return number(text).map(seconds).or_else(until);
    }
    let limit = |what: &str| {
        ["x-ratelimit", "x-rate-limit", "ratelimit"].iter().find_map(|name| get(&format!("{name}-{what}")))
    };
    if limit("remaining").and_then(number).is_some_and(|left| left > 0.0) {
        return None;
    }
    let reset = limit("reset").and_then(number)?;
    let since_epoch = there.as_micros() as f64 / 1e6;
    Some(seconds(if reset >= A_MOMENT { (reset - since_epoch).max(0.0) } else { reset }))
}

/// A server that asks for a year is asked again tomorrow at the latest.
fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.clamp(0.0, 86_400.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(headers: &[(&'static str, &'static str)]) -> Option<u64> {
        let headers =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let now = Time::parse("2024-05-01T00:00:00Z").unwrap();
        asked_wait(&headers, now).map(|wait| wait.as_millis() as u64)
    }

    #[test]
    fn every_way_to_ask_is_understood() {
        assert_eq!(asked(&[]), None);
        assert_eq!(asked(&[("retry-after", "7")]), Some(7_000));
        assert_eq!(asked(&[("retry-after", "Wed, 01 May 2024 00:01:00 GMT")]), Some(60_000));
        assert_eq!(asked(&[("retry-after", "Tue, 30 Apr 2024 00:00:00 GMT")]), Some(0));
        assert_eq!(asked(&[("retry-after-ms", "250"), ("retry-after", "9")]), Some(250));
        assert_eq!(
            asked(&[("x-ratelimit-reset", "1714521630"), ("x-ratelimit-remaining", "0")]),
            Some(30_000)
        );
        assert_eq!(
            asked(&[("x-rate-limit-reset", "1714521660"), ("x-rate-limit-remaining", "0")]),
            Some(60_000)
        );
        assert_eq!(asked(&[("ratelimit-reset", "12")]), Some(12_000));
        assert_eq!(asked(&[("x-ratelimit-reset", "1714521630"), ("x-ratelimit-remaining", "5")]), None);
        assert_eq!(asked(&[("retry-after", "9e99")]), Some(86_400_000));
        for odd in ["-5", "soon", "NaN", ""] {
            assert_eq!(asked(&[("retry-after", odd)]), None, "{odd}");
        }
    }

    #[test]
    fn a_date_is_measured_by_the_clock_of_its_server() {
        let there =
            [("date", "Wed, 01 May 2024 10:00:00 GMT"), ("retry-after", "Wed, 01 May 2024 10:00:05 GMT")];
        assert_eq!(asked(&there), Some(5_000));
    }
}
