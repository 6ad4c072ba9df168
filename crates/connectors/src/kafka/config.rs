//! What the pipeline file says of Kafka.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use tidemark_engine::{Error, Result};

use crate::{
    broker::{Address, Protocol, Trust},
    config::{ByteSize, Place, Problem, Secret, Writing},
    messages::{self, EnvelopeConfig, NameTemplate},
};

pub(super) const PROTOCOL: Protocol =
    Protocol { name: "Kafka", secure: "kafkas", secure_port: 9093, plain: "kafka", plain_port: 9092 };

/// What a producer sends that nobody has told otherwise, and a little less than a broker takes: `max.request.size` and
/// `message.max.bytes` of Apache Kafka.
const USUAL_MESSAGE: ByteSize = ByteSize(1 << 20);
const SMALLEST_MESSAGE: ByteSize = ByteSize(1 << 10);
const LARGEST_MESSAGE: ByteSize = ByteSize(64 << 20);

/// Kafka, and what speaks its protocol: every change becomes a record that all replicas in sync have.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "KafkaDestination")]
pub struct DestinationConfig {
    /// Where brokers are: `kafkas://kafka:9093`; on this machine also `kafka://localhost:9092`. One is enough to find the others,
    /// several are for when it is down.
    pub brokers: Vec<String>,
    /// The topic of a record: a name, or a template with `{stream}`, `{op}`, `{key}` and `{value.COLUMN}`.
    #[serde(default = "default_topic")]
    pub topic: NameTemplate,
    /// What records look like.
    #[serde(default)]
    pub envelope: EnvelopeConfig,
    /// Whether a record without a value follows each delete, and each change of a key for the key that is left: topics with
    /// `cleanup.policy=compact` then forget the key.
    #[serde(default)]
    pub tombstones: bool,
    /// How records are compressed.
    #[serde(default)]
    pub compression: Compression,
    /// The largest record that the topics take, before it is compressed: `max.message.bytes` of the topic.
    #[serde(default = "default_max_message_size")]
    pub max_message_size: ByteSize,
    /// Makes topics that are missing. Left out: they have to be there.
    #[serde(default)]
    pub create_topics: Option<NewTopics>,
    /// Who we are.
    #[serde(default)]
    pub username: Option<String>,
    /// The password that goes with `username`.
    #[serde(default)]
    pub password: Option<Secret>,
    /// How `username` and `password` are proved (SASL). Default `plain`.
    #[serde(default)]
    pub mechanism: Option<Mechanism>,
    /// A PEM file with the authority that signed the brokers' certificates, from the pipeline file's folder. Left out: those that this
    /// machine trusts.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// A PEM file with our certificate, for brokers that ask for one.
    #[serde(default)]
    pub client_certificate: Option<PathBuf>,
    /// A PEM file with the key of `client_certificate`.
    #[serde(default)]
    pub client_key: Option<PathBuf>,
}

/// How records are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "KafkaCompression")]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// By gzip.
    Gzip,
    /// By Snappy.
    Snappy,
    /// By LZ4.
    Lz4,
    /// By Zstandard.
    Zstd,
}

/// How a name and a password are proved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "KafkaMechanism")]
pub enum Mechanism {
    /// They are said, under TLS.
    #[default]
    Plain,
    /// SCRAM with SHA-256.
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    /// SCRAM with SHA-512.
    #[serde(rename = "scram-sha-512")]
    ScramSha512,
}

/// How missing topics are made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "KafkaNewTopics")]
pub struct NewTopics {
    /// Into how many partitions. Left out: as many as the brokers are set to.
    pub partitions: Option<u16>,
    /// On how many brokers each is kept. Left out: as many as the brokers are set to.
    pub replication: Option<u8>,
}

fn default_topic() -> NameTemplate {
    NameTemplate::of_stream()
}

fn default_max_message_size() -> ByteSize {
    USUAL_MESSAGE
}

impl DestinationConfig {
    /// Where it writes to.
    pub(crate) fn place(&self) -> Place {
        let address = self.brokers.first().and_then(|url| Address::parse(&PROTOCOL, url).ok());
        let url = address.map_or_else(|| "kafka".to_owned(), |address| address.to_string());
        Place::Service(format!("{url}/{}", self.topic.text()))
    }

    /// Everything that is wrong with it, and with how it is to be written.
    pub fn validate(&self, writing: &Writing) -> Vec<Problem> {
        let mut problems = messages::validate(writing);
        problems.extend(self.addresses().err().map(|error| Problem::of("brokers", &error)));
        if !(SMALLEST_MESSAGE.0..=LARGEST_MESSAGE.0).contains(&self.max_message_size.0) {
            let size = self.max_message_size;
            let problem =
                Problem::new(["max_message_size"], format!("`{size}` is no size that records may have"));
            problems
                .push(problem.hint(format!("write between `{SMALLEST_MESSAGE}` and `{LARGEST_MESSAGE}`")));
        }
        let counts = self.create_topics.map(|topics| (topics.partitions, topics.replication));
        if matches!(counts, Some((Some(0), _) | (_, Some(0)))) {
            let problem = Problem::new(["create_topics"], "a topic has at least one partition on one broker");
            problems.push(problem.hint("write a number from 1 on, or leave it out"));
        }
        if self.mechanism.is_some() && self.username.is_none() {
            let problem = Problem::new(["mechanism"], "there is nobody to prove");
            problems.push(problem.hint("add `username` and `password`"));
        }
        let (username, password) = (self.username.is_some(), self.password.is_some());
        problems.extend(messages::problem_of_pair(("username", username), ("password", password)));
        let (certificate, key) = (self.client_certificate.is_some(), self.client_key.is_some());
        problems.extend(messages::problem_of_pair(("client_certificate", certificate), ("client_key", key)));
        problems
    }

    pub(super) fn trust(&self, folder: &Path) -> Trust {
        Trust::new(folder, self.ca.as_ref(), self.client_certificate.as_ref(), self.client_key.as_ref())
    }

    /// The brokers that are named: at least one, and all with TLS or none.
    pub(super) fn addresses(&self) -> Result<Vec<Address>> {
        let addresses: Vec<_> =
            self.brokers.iter().map(|url| Address::parse(&PROTOCOL, url)).collect::<Result<_>>()?;
        let secure = addresses.iter().filter(|address| address.is_secure()).count();
        match (addresses.len(), secure) {
            (0, _) => Err(Error::config("no broker is named").hint("write `brokers: [kafkas://kafka:9093]`")),
            (all, secure) if secure > 0 && secure < all => {
                Err(Error::config("some brokers would be spoken to with TLS and others without")
                    .hint("write `kafkas://` for all of them"))
            }
            _ => Ok(addresses),
        }
    }
}

#[cfg(test)]
mod tests {
    use tidemark_engine::write::WriteMode;

    use super::*;
    use crate::config::TableName;

    fn problems_of(json: serde_json::Value) -> Vec<String> {
        let config: DestinationConfig = serde_json::from_value(json).unwrap();
        let (destination, mode, table) = ("hub".to_owned(), WriteMode::Append, TableName::default());
        let writing = Writing { destination, mode, table, adopt: false, shadow: false };
        let told = |problem: Problem| format!("{}: {}", problem.path.join("."), problem.message);
        config.validate(&writing).into_iter().map(told).collect()
    }

    #[test]
    fn a_sound_file_has_no_problems() {
        let hub = serde_json::json!({"brokers": ["kafkas://shop.servicebus.windows.net:9093"], "topic": "orders",
            "username": "$ConnectionString", "password": "Endpoint=sb://…", "mechanism": "plain"});
        assert_eq!(problems_of(hub), [""; 0]);
        let own = serde_json::json!({"brokers": ["kafka://localhost", "kafka://127.0.0.1:9094"], "tombstones": true,
            "compression": "zstd", "max_message_size": "4MiB", "create_topics": {"partitions": 12}});
        assert_eq!(problems_of(own), [""; 0]);
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let unsound = serde_json::json!({"brokers": ["kafkas://kafka", "kafka://localhost"], "max_message_size": "1GiB",
            "create_topics": {"replication": 0}, "mechanism": "scram-sha-512", "password": "p", "client_key": "k"});
        assert_eq!(
            problems_of(unsound),
            [
                "brokers: some brokers would be spoken to with TLS and others without",
                "max_message_size: `1GiB` is no size that records may have",
                "create_topics: a topic has at least one partition on one broker",
                "mechanism: there is nobody to prove",
                "password: there is no `username` to go with it",
                "client_key: there is no `client_certificate` to go with it",
            ]
        );
        assert_eq!(problems_of(serde_json::json!({"brokers": []})), ["brokers: no broker is named"]);
        assert_eq!(
            problems_of(serde_json::json!({"brokers": ["kafka://kafka:9092"]})),
            ["brokers: `kafka://kafka:9092` would be spoken to without TLS"]
        );
    }
}
