//! Dates as HTTP writes them (RFC 9110, section 5.6.7).

use chrono::{DateTime, NaiveDateTime};
use tidemark_engine::Time;

/// Reads `Sun, 06 Nov 1994 08:49:37 GMT` and the two obsolete forms that a recipient has to accept.
pub(super) fn parse_date(text: &str) -> Option<Time> {
    let text = text.trim();
    let micros = match DateTime::parse_from_rfc2822(text) {
        Ok(date) => date.timestamp_micros(),
        Err(_) => ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"]
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())?
            .and_utc()
            .timestamp_micros(),
    };
    Some(Time::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_the_specification_reads() {
        let moment = Time::parse("1994-11-06T08:49:37Z").unwrap();
        for text in
            ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
        {
            assert_eq!(parse_date(text), Some(moment), "{text}");
        }
        assert_eq!(parse_date("tomorrow"), None);
    }
}
