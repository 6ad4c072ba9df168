//! What the pipeline file says of envelopes.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::Problem;

/// What messages look like: `plain`, `debezium`, `cloudevents`, or one of them with its options.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum EnvelopeConfig {
    /// One as it usually is.
    Usual(Usual),
    /// One with options.
    Detailed(Detailed),
}

/// An envelope by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Usual {
    /// Tidemark's own: one JSON object with the change's id, operation, stream, key, times and values.
    Plain,
    /// Debezium's: `before`, `after`, `source`, `op`, `ts_ms`.
    Debezium,
    /// CloudEvents 1.0, structured, around the plain one.
    CloudEvents,
}

/// An envelope with its options.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum Detailed {
    /// Tidemark's own.
    Plain,
    /// Debezium's.
    Debezium(Debezium),
    /// CloudEvents 1.0.
    CloudEvents(CloudEvents),
}

/// Debezium's envelope.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "DebeziumEnvelope")]
pub struct Debezium {
    /// Whether each message brings the schema of Kafka Connect that it is under, as `schemas.enable` has it.
    pub schema: bool,
    /// The logical name of the source: what Debezium calls `topic.prefix`. Default `tidemark`.
    pub name: String,
    /// How decimals are told.
    pub decimals: Decimals,
}

/// How Debezium tells decimals: its `decimal.handling.mode`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Decimals {
    /// Base64 of the unscaled number, as Kafka Connect has it.
    #[default]
    Precise,
    /// Their digits as a string.
    String,
    /// A JSON number, which readers round.
    Double,
}

/// CloudEvents 1.0.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "CloudEventsEnvelope")]
pub struct CloudEvents {
    /// Whether the attributes stand in the body or in headers.
    pub mode: ContentMode,
    /// The context in which the events happen, a URI reference. Left out: `/` and the id of the staging log.
    pub source: Option<String>,
}

/// Where the attributes of a CloudEvent stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ContentMode {
    /// In the body, beside the data.
    #[default]
    Structured,
    /// In headers; the body is the data.
    Binary,
}

impl Default for Debezium {
    fn default() -> Self {
        Self { schema: false, name: "tidemark".to_owned(), decimals: Decimals::default() }
    }
}

impl Default for EnvelopeConfig {
    fn default() -> Self {
        Self::Usual(Usual::Plain)
    }
}

impl EnvelopeConfig {
    /// What is wrong with it where messages have no headers of their own; `what` says of which messages that is so.
    pub(crate) fn problem_without_headers(&self, what: &str) -> Option<Problem> {
        let is_binary = matches!(self, Self::Detailed(Detailed::CloudEvents(events)) if events.mode == ContentMode::Binary);
        is_binary.then(|| {
            Problem::new(["envelope", "mode"], format!("{what} no headers for the attributes of an event"))
                .hint("use `mode: structured`")
        })
    }

    /// The same with its options written out.
    pub(in crate::messages) fn detailed(&self) -> Detailed {
        match self {
            Self::Usual(Usual::Plain) => Detailed::Plain,
            Self::Usual(Usual::Debezium) => Detailed::Debezium(Debezium::default()),
            Self::Usual(Usual::CloudEvents) => Detailed::CloudEvents(CloudEvents::default()),
            Self::Detailed(detailed) => detailed.clone(),
        }
    }
}
