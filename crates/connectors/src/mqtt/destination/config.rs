//! What the pipeline file says of a broker that is published to.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use tidemark_engine::Result;

use crate::{
    broker::{Address, Broker, Trust},
    config::{Interval, Place, Problem, Secret, Writing},
    messages::{self, EnvelopeConfig, NameTemplate},
    mqtt::config::{PROTOCOL, Version},
};

/// An MQTT broker: every change becomes a message that it has acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MqttDestination")]
pub struct DestinationConfig {
    /// Where the broker is: `mqtts://broker:8883`; on this machine also `mqtt://localhost:1883`.
    pub url: String,
    /// The protocol's version.
    #[serde(default)]
    pub version: Version,
    /// The topic of a message: a name, or a template with `{stream}`, `{op}`, `{key}` and `{value.COLUMN}`.
    #[serde(default = "default_topic")]
    pub topic: NameTemplate,
    /// What messages look like.
    #[serde(default)]
    pub envelope: EnvelopeConfig,
    /// Whether the broker keeps the last message of each topic for whoever subscribes later. Where a record is deleted it keeps none.
    #[serde(default)]
    pub retain: bool,
    /// For how long a message is of use: a broker drops what nobody has taken by then; version 5 alone. Left out: for ever.
    #[serde(default)]
    pub message_expiry: Option<Interval>,
    /// Our name at the broker, which nobody else may use. Left out: `tidemark-` with the names of the pipeline and the destination.
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
}

fn default_topic() -> NameTemplate {
    NameTemplate::of_stream()
}

impl DestinationConfig {
    /// Where it writes to.
    pub(crate) fn place(&self) -> Place {
        let address = Address::parse(&PROTOCOL, &self.url);
        let url = address.map_or_else(|_| "mqtt".to_owned(), |address| address.to_string());
        Place::Service(format!("{url}/{}", self.topic.text()))
    }

    /// Everything that is wrong with it, and with how it is to be written.
    pub fn validate(&self, writing: &Writing) -> Vec<Problem> {
        let mut problems = messages::validate(writing);
        problems.extend(Address::parse(&PROTOCOL, &self.url).err().map(|error| Problem::of("url", &error)));
        if self.topic.text().contains(['+', '#', '\0']) || self.topic.text().starts_with('$') {
            let topic = self.topic.text();
            let problem = Problem::new(["topic"], format!("`{topic}` is no topic that can be published to"));
            problems.push(problem.hint("write a name without `+` and `#` that does not begin with `$`"));
        }
        if self.message_expiry.is_some_and(|expiry| self.version == Version::V4 || expiry.0.as_secs() == 0) {
            let problem = Problem::new(["message_expiry"], "messages cannot expire like this");
            problems.push(problem.hint("write a second or more, and connect by version 5; or leave it out"));
        }
        if self.client_id.as_ref().is_some_and(|id| id.is_empty() || id.len() > 65_535 || id.contains('\0')) {
            let problem = Problem::new(["client_id"], "we have no name at the broker");
            problems.push(problem.hint("write one that stays, or leave it out"));
        }
        let (username, password) = (self.username.is_some(), self.password.is_some());
        if password && !username {
            problems.extend(messages::problem_of_pair(("username", username), ("password", password)));
        }
        let (certificate, key) = (self.client_certificate.is_some(), self.client_key.is_some());
        problems.extend(messages::problem_of_pair(("client_certificate", certificate), ("client_key", key)));
        problems
    }

    /// The broker; relative paths begin at `folder`.
    pub(super) fn broker(&self, folder: &Path) -> Result<Broker> {
        let (certificate, key) = (self.client_certificate.as_ref(), self.client_key.as_ref());
        let trust = Trust::new(folder, self.ca.as_ref(), certificate, key);
        Ok(Broker::new(Address::parse(&PROTOCOL, &self.url)?, trust))
    }
}

#[cfg(test)]
mod tests {
    use tidemark_engine::write::WriteMode;

    use super::*;
    use crate::config::TableName;

    #[test]
    fn every_problem_is_told_at_once() {
        let problems_of = |json: serde_json::Value| -> Vec<String> {
            let config: DestinationConfig = serde_json::from_value(json).unwrap();
            let (destination, table) = ("hub".to_owned(), TableName::default());
            let writing =
                Writing { destination, mode: WriteMode::Append, table, adopt: false, shadow: false };
            let told = |problem: Problem| format!("{}: {}", problem.path.join("."), problem.message);
            config.validate(&writing).into_iter().map(told).collect()
        };
        let sound = serde_json::json!({"url": "mqtts://broker", "topic": "shop/{stream}/{key}", "retain": true,
            "message_expiry": "1h", "username": "token"});
        assert_eq!(problems_of(sound), [""; 0]);
        let unsound = serde_json::json!({"url": "mqtt://broker", "version": "3.1.1", "topic": "a/#", "client_id": "",
            "message_expiry": "1h", "password": "p", "client_key": "k"});
        assert_eq!(
            problems_of(unsound),
            [
                "url: `mqtt://broker:1883` would be spoken to without TLS",
                "topic: `a/#` is no topic that can be published to",
                "message_expiry: messages cannot expire like this",
                "client_id: we have no name at the broker",
                "password: there is no `username` to go with it",
                "client_key: there is no `client_certificate` to go with it",
            ]
        );
    }
}
