//! What the pipeline file says of MQTT.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use tidemark_engine::Result;

use crate::{
    broker::{Address, Broker, Protocol, Trust},
    config::{Interval, Place, Secret},
};

pub(super) const PROTOCOL: Protocol =
    Protocol { name: "MQTT", secure: "mqtts", secure_port: 8883, plain: "mqtt", plain_port: 1883 };

/// An MQTT broker, whose messages are read in a persistent session and acknowledged when they are durable.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// Where the broker is: `mqtts://broker:8883`; on this machine also `mqtt://localhost:1883`.
    pub url: String,
    /// The protocol's version.
    #[serde(default)]
    pub version: Version,
    /// The session's name at the broker, which nobody else may use. Left out: `tidemark-` and the pipeline's name.
    #[serde(default)]
    pub client_id: Option<String>,
    /// Who we are.
    #[serde(default)]
    pub username: Option<String>,
    /// The password that goes with `username`.
    #[serde(default)]
    pub password: Option<Secret>,
    /// A PEM file with the authority that signed the broker's certificate, from the pipeline file's folder. Left out: those that this
    /// machine trusts.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// A PEM file with our certificate, for brokers that ask for one.
    #[serde(default)]
    pub client_certificate: Option<PathBuf>,
    /// A PEM file with the key of `client_certificate`.
    #[serde(default)]
    pub client_key: Option<PathBuf>,
    /// How long the broker is to keep the session, and what comes for it, while nobody is connected; version 5 alone. Default `7d`.
    #[serde(default)]
    pub session_expiry: Option<Interval>,
    /// The streams, by name.
    pub streams: IndexMap<String, StreamConfig>,
}

/// A version of the protocol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "VersionText")]
#[schemars(with = "VersionText")]
pub enum Version {
    /// MQTT 3.1.1.
    V4,
    /// MQTT 5.
    #[default]
    V5,
}

/// A version as a number or a text: YAML has it as either.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum VersionText {
    Number(u8),
    Text(String),
}

impl TryFrom<VersionText> for Version {
    type Error = String;

    fn try_from(version: VersionText) -> Result<Self, String> {
        match version {
            VersionText::Number(5) => Ok(Self::V5),
            VersionText::Text(text) if text == "5" => Ok(Self::V5),
            VersionText::Text(text) if text == "3.1.1" => Ok(Self::V4),
            _ => Err("expected `5` or `3.1.1`".to_owned()),
        }
    }
}

/// Messages of some topics.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "MqttStream")]
pub struct StreamConfig {
    /// The topics: `site/{site}/device/{device}/reading`, where each `{name}` stands for one level and becomes a column. `+` stands for
    /// a level without a column, a last `#` for all that follow.
    pub topics: Topics,
    /// What the messages hold. Default `json`.
    pub format: PayloadFormat,
    /// Where the records are in a JSON message: `$` (default), `$.readings`, `$.sites[*].readings`. An array there has a record an item.
    pub records: Option<String>,
    /// What a raw message is: `text` (default), which has to be UTF-8, or `bytes`.
    pub raw: Option<RawKind>,
    /// The columns of a CSV message. Left out: its first line names them.
    pub columns: Vec<String>,
    /// What separates the fields of a CSV message; a single character. Default `,`.
    pub delimiter: Option<char>,
    /// What else of a message becomes a column, `mqtt_topic` and so on.
    pub metadata: Vec<Metadata>,
    /// The stream that takes messages which are not of the format, with their topic, payload and the reason. Left out: such a
    /// message stops the pipeline.
    pub invalid: Option<String>,
    /// The columns that tell records apart: of several records with one key the last counts. Left out: the stream has no key.
    pub key: Vec<String>,
    /// Columns to leave out.
    pub exclude: Vec<String>,
    /// Kinds by column, where the inferred one will not do: `int64`, `decimal(12,2)`, `text`, `timestamptz`, `json`, …
    pub types: std::collections::BTreeMap<String, String>,
}

/// One topic or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Topics {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Default for Topics {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl Topics {
    /// Each as it is written.
    pub fn texts(&self) -> &[String] {
        match self {
            Self::One(topic) => std::slice::from_ref(topic),
            Self::Several(topics) => topics,
        }
    }
}

/// What a message holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PayloadFormat {
    /// A JSON object, or an array of them.
    #[default]
    Json,
    /// Lines of comma-separated values.
    Csv,
    /// Anything: it becomes the column `payload`.
    Raw,
}

/// What a raw message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RawKind {
    /// Text in UTF-8.
    Text,
    /// Bytes.
    Bytes,
}

/// What there is of a message beside its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metadata {
    /// The whole topic, as `mqtt_topic`.
    Topic,
    /// 0 or 1, as `mqtt_qos`: by which guarantee it came.
    Qos,
    /// Whether the broker had kept it from before, as `mqtt_retained`.
    Retained,
    /// When it came here, as `mqtt_received_at`.
    ReceivedAt,
    /// What its publisher calls its content, as `mqtt_content_type`; version 5.
    ContentType,
    /// Where its publisher expects answers, as `mqtt_response_topic`; version 5.
    ResponseTopic,
    /// Its publisher's own properties, as `mqtt_user_properties`: a JSON array of names and values; version 5.
    UserProperties,
}

impl SourceConfig {
    /// Where it reads from.
    pub(crate) fn place(&self) -> Place {
        let url = Address::parse(&PROTOCOL, &self.url)
            .map_or_else(|_| "mqtt".to_owned(), |address| address.to_string());
        Place::Service(url)
    }

    /// The broker; relative paths begin at `folder`.
    pub(super) fn broker(&self, folder: &Path) -> Result<Broker> {
        let (certificate, key) = (self.client_certificate.as_ref(), self.client_key.as_ref());
        Ok(Broker::new(
            Address::parse(&PROTOCOL, &self.url)?,
            Trust::new(folder, self.ca.as_ref(), certificate, key),
        ))
    }

    /// Its streams and those for what is not valid, each once, and whether they have a key.
    pub(crate) fn named_streams(&self) -> Vec<(&str, bool)> {
        let mut named = self
            .streams
            .iter()
            .map(|(name, stream)| (name.as_str(), !stream.key.is_empty()))
            .collect::<Vec<_>>();
        for invalid in self.streams.values().filter_map(|stream| stream.invalid.as_deref()) {
            if !named.iter().any(|(name, _)| *name == invalid) {
                named.push((invalid, false));
            }
        }
        named
    }
}
