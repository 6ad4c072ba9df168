//! What the pipeline file says of web hooks.

use std::{collections::BTreeMap, time::Duration};

use schemars::JsonSchema;
use serde::Deserialize;

use super::verify::VerifyConfig;
use crate::config::{ByteSize, Interval, Place, Secret};

/// An HTTP server that takes what others send. Each stream is a path of it. Runs until it is stopped: `--once` and `trigger` do not
/// go with it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// The address and port to listen at: `127.0.0.1:8090`, `[::1]:8090`. Beyond this machine (`0.0.0.0:8090`) it needs `behind_proxy`, and
    /// streams that all `verify`.
    pub listen: String,
    /// That a proxy with TLS stands before it: it speaks plain HTTP.
    #[serde(default)]
    pub behind_proxy: bool,
    /// The largest body that is taken, up to `32MiB`.
    #[serde(default = "default_max_body")]
    pub max_body: ByteSize,
    /// How many requests may wait to be durable; those beyond are answered 429.
    #[serde(default = "default_max_waiting")]
    pub max_waiting: u32,
    /// How long a request may wait to be durable before it is answered 503: less than its sender waits for an answer.
    #[serde(default = "default_answer_within")]
    pub answer_within: Interval,
    /// How many ids each stream remembers, the latest ones, to take a message once that is sent again: up to 100,000.
    #[serde(default = "default_remember")]
    pub remember: u32,
    /// The streams, by name.
    pub streams: BTreeMap<String, StreamConfig>,
}

impl SourceConfig {
    /// Where it listens.
    pub fn place(&self) -> Place {
        Place::Service(format!("http://{}", self.listen))
    }
}

fn default_max_body() -> ByteSize {
    ByteSize(1 << 20)
}

fn default_max_waiting() -> u32 {
    512
}

fn default_answer_within() -> Interval {
    Interval(Duration::from_secs(10))
}

fn default_remember() -> u32 {
    10_000
}

/// One stream: what is sent to a path.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WebhookStream")]
pub struct StreamConfig {
    /// Where it is sent to: `/hooks/orders`.
    pub path: String,
    /// How a request shows that it comes from who it should.
    pub verify: VerifyConfig,
    /// Where a message's id stands, by which it is taken once: `header:X-GitHub-Delivery`, or `body:$.event.id` (of a form:
    /// `body:NAME`). Left out: `header:webhook-id` with `standard-webhooks`, otherwise messages have no id.
    #[serde(default)]
    pub id: Option<String>,
    /// What the bodies are.
    #[serde(default)]
    pub format: Format,
    /// Where in a body its records stand: `$.events[*]` in JSON, `/events/event` in XML. Left out: in JSON the body is a record or an array
    /// of records, in XML the outermost element is the record.
    #[serde(default)]
    pub records: Option<String>,
    /// The field of a form that holds JSON, which is then the body: `payload`. Left out: the form's fields are the record.
    #[serde(default)]
    pub form_field: Option<String>,
    /// Headers to keep as columns of text, under their names in small letters.
    #[serde(default)]
    pub headers: Vec<String>,
    /// The columns that tell records apart. Left out: the stream has no key.
    #[serde(default)]
    pub key: Vec<String>,
    /// Columns to leave out.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Kinds by column, where the inferred one will not do: `int64`, `decimal(12,2)`, `text`, `timestamptz`, `json`, …
    #[serde(default)]
    pub types: BTreeMap<String, String>,
    /// What a sender is told whose message is durable.
    #[serde(default)]
    pub answer: Answer,
    /// What a service asks of an address before it sends anything there.
    #[serde(default)]
    pub handshake: Option<Handshake>,
}

/// What a body is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "BodyFormat")]
pub enum Format {
    /// JSON (`application/json` and `…+json`).
    #[default]
    Json,
    /// XML (`application/xml`, `text/xml` and `…+xml`).
    Xml,
    /// A form (`application/x-www-form-urlencoded`).
    Form,
}

/// The answer to a message that is durable.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Answer {
    /// Its status, from 200 to 299.
    pub status: u16,
    /// Its body, as `text/plain`.
    pub body: String,
}

impl Default for Answer {
    fn default() -> Self {
        Self { status: 200, body: String::new() }
    }
}

/// How an address is shown to be willing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Handshake {
    /// A GET with `hub.challenge`, as Meta and WebSub send it: answered with the challenge when `hub.verify_token` is the token.
    HubChallenge(HubChallenge),
    /// A request with `validationToken`, as Microsoft Graph sends it: answered with the token.
    ValidationToken,
}

/// What a GET with `hub.challenge` must bring.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HubChallenge {
    /// What was agreed on with the service.
    pub token: Secret,
}
