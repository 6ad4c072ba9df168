//! What a connection may use, and how often a request is repeated.

use std::{borrow::Cow, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use crate::config::{ByteSize, Interval, Problem};

/// What one connection may use.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests in any such time: `600 per 1m`. Default: as many as the server takes.
    pub requests: Option<RequestRate>,
    /// Bytes received in any such time: `64MiB per 1m`. A request that is under way is not broken off.
    pub bytes: Option<ByteRate>,
    /// Requests under way at once.
    pub concurrency: usize,
    /// How long a request may take, with its answer.
    pub timeout: Interval,
    /// How long a long-lived stream may be silent.
    pub idle_timeout: Interval,
    /// The longest answer that is read, as it travels and unpacked.
    pub max_response: ByteSize,
    /// How deep the objects and arrays of an answer may nest.
    pub max_nesting: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests: None,
            bytes: None,
            concurrency: 4,
            timeout: Interval(Duration::from_secs(30)),
            idle_timeout: Interval(Duration::from_secs(120)),
            max_response: ByteSize(64 << 20),
            max_nesting: 64,
        }
    }
}

/// More requests than this in one window are nobody's limit, and each is remembered.
const MOST_REQUESTS: u64 = 100_000;
/// The nesting that JSON is read to at most.
const DEEPEST: usize = 120;

impl Limits {
    pub(super) fn validate(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut wrong = |key: &str, message: String, hint: &str| {
            problems.push(Problem::new(["limits", key], message).hint(hint));
        };
        let useless = |amount: u64, per: Interval| amount == 0 || per.0.is_zero();
        if let Some(RequestRate(requests, per)) = self.requests
            && (useless(requests, per) || requests > MOST_REQUESTS)
        {
            wrong(
                "requests",
                format!("`{requests} per {per}` is no limit"),
                "give 1 to 100000, such as `600 per 1m`",
            );
        }
        if let Some(ByteRate(bytes, per)) = self.bytes
            && useless(bytes.0, per)
        {
            wrong(
                "bytes",
                format!("`{bytes} per {per}` is no limit"),
                "give a size and a time, such as `64MiB per 1m`",
            );
        }
        if self.concurrency == 0 || self.concurrency > 1024 {
            wrong("concurrency", format!("{} requests at once", self.concurrency), "give 1 to 1024");
        }
        if self.timeout.0.is_zero() || self.idle_timeout.0.is_zero() {
            let key = if self.timeout.0.is_zero() { "timeout" } else { "idle_timeout" };
            wrong(key, "no answer comes in no time".to_owned(), "give a time such as `30s`");
        }
        if self.max_response.0 < 1024 {
            wrong(
                "max_response",
                format!("{} is too small for answers", self.max_response),
                "give `1KiB` or more",
            );
        }
        if self.max_nesting == 0 || self.max_nesting > DEEPEST {
            wrong(
                "max_nesting",
                format!("{} is no depth that can be read", self.max_nesting),
                "give 1 to 120",
            );
        }
        problems
    }
}

/// When and how long a request is repeated before its failure is told.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// How often a request is sent at most, the first time included. After that the pipeline waits and goes on from its cursor.
    pub attempts: u32,
    /// The longest wait before the next, whatever the server asks for.
    pub longest_wait: Interval,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 5, longest_wait: Interval(Duration::from_secs(300)) }
    }
}

impl Retry {
    pub(super) fn validate(&self) -> Option<Problem> {
        (self.attempts == 0 || self.attempts > 100).then(|| {
            Problem::new(["retry", "attempts"], format!("{} attempts", self.attempts)).hint("give 1 to 100")
        })
    }
}

/// Requests in a time: `600 per 1m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestRate(pub u64, pub Interval);

/// Bytes in a time: `64MiB per 1m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRate(pub ByteSize, pub Interval);

fn parse<T>(text: &str, amount: impl Fn(&str) -> Option<T>) -> Option<(T, Interval)> {
    let (number, per) = text.split_once(" per ")?;
    Some((amount(number.trim())?, Interval::parse(per.trim())?))
}

impl<'de> Deserialize<'de> for RequestRate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let rate = parse(&text, |number| number.parse().ok()).map(|(requests, per)| Self(requests, per));
        rate.ok_or_else(|| de::Error::custom("expected a number of requests in a time, such as `600 per 1m`"))
    }
}

impl<'de> Deserialize<'de> for ByteRate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let rate = parse(&text, ByteSize::parse).map(|(bytes, per)| Self(bytes, per));
        rate.ok_or_else(|| de::Error::custom("expected a size in a time, such as `64MiB per 1m`"))
    }
}

impl JsonSchema for RequestRate {
    fn schema_name() -> Cow<'static, str> {
        "RequestRate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-9]{1,9} per [0-9]{1,9}(ms|s|m|h|d)$",
            "description": "a number of requests in a time, such as `600 per 1m`"
        })
    }
}

impl JsonSchema for ByteRate {
    fn schema_name() -> Cow<'static, str> {
        "ByteRate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-9]{1,9}(B|KiB|MiB|GiB) per [0-9]{1,9}(ms|s|m|h|d)$",
            "description": "a size in a time, such as `64MiB per 1m`"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_read() {
        let rate: RequestRate = serde_json::from_str("\"600 per 1m\"").unwrap();
        assert_eq!(rate, RequestRate(600, Interval(Duration::from_secs(60))));
        let rate: ByteRate = serde_json::from_str("\"64MiB per 10s\"").unwrap();
        assert_eq!(rate, ByteRate(ByteSize(64 << 20), Interval(Duration::from_secs(10))));
        for text in ["\"600\"", "\"600/m\"", "\"-1 per 1m\"", "\"1MiB per 1m\"", "600"] {
            assert!(serde_json::from_str::<RequestRate>(text).is_err(), "{text}");
        }
    }
}
