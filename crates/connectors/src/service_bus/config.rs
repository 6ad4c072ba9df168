//! What the pipeline file says of Azure Service Bus.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use tidemark_engine::Result;

use crate::{
    broker::{Address, Protocol, Trust},
    config::{Place, Problem, Secret, Writing},
    messages::{self, EnvelopeConfig, NameTemplate},
};

const PROTOCOL: Protocol =
    Protocol { name: "AMQP", secure: "amqps", secure_port: 5671, plain: "amqp", plain_port: 5672 };
/// "Service Bus quotas": the longest path of a queue or topic.
const LONGEST_ENTITY: usize = 260;

/// Azure Service Bus: every change becomes a message of a queue or topic.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AzureServiceBusDestination")]
pub struct DestinationConfig {
    /// Where the namespace is: `amqps://NAMESPACE.servicebus.windows.net`; on this machine also `amqp://localhost:5672`.
    pub url: String,
    /// The queue or topic that a message goes to: a name, or a template with `{stream}`, `{op}`, `{key}` and `{value.COLUMN}`. It has to
    /// be there.
    #[serde(default = "default_entity")]
    pub entity: NameTemplate,
    /// The shared access policy that we send by; it needs the right `Send`.
    pub shared_access_key_name: String,
    /// The policy's primary or secondary key.
    pub shared_access_key: Secret,
    /// How the key proves who we are.
    #[serde(default)]
    pub authentication: Authentication,
    /// What becomes the session of a message (`SessionId`). Queues and subscriptions that require sessions take no message without one.
    #[serde(default)]
    pub session: Grouping,
    /// What becomes the partition key of a message, for partitioned queues and topics. Where there is a session, that is it already.
    #[serde(default)]
    pub partition: Grouping,
    /// What messages look like.
    #[serde(default)]
    pub envelope: EnvelopeConfig,
    /// A PEM file with the authority that signed the server's certificate, from the pipeline file's folder. Left out: those that this
    /// machine trusts.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

/// How a shared access key proves who we are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "AzureServiceBusAuthentication")]
pub enum Authentication {
    /// By tokens that it signs, each for one queue or topic and an hour, renewed before they end. Changes go in batches.
    #[default]
    Cbs,
    /// As a password, for other brokers of AMQP 1.0. Each change goes by itself.
    Plain,
}

/// What makes messages belong together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "AzureServiceBusGrouping")]
pub enum Grouping {
    /// Nothing does.
    #[default]
    None,
    /// The record's key; in a stream without one, the stream.
    Key,
}

fn default_entity() -> NameTemplate {
    NameTemplate::of_stream()
}

impl DestinationConfig {
    /// Where it writes to.
    pub(crate) fn place(&self) -> Place {
        let url = self.address().map_or_else(|_| "amqp".to_owned(), |address| address.to_string());
        Place::Service(format!("{url}/{}", self.entity.text()))
    }

    /// Everything that is wrong with it, and with how it is to be written.
    pub fn validate(&self, writing: &Writing) -> Vec<Problem> {
        let mut problems = messages::validate(writing);
        problems.extend(self.address().err().map(|error| Problem::of("url", &error)));
        if self.entity.fixed().is_some_and(|name| name.len() > LONGEST_ENTITY) {
            let message = format!("the name is longer than {LONGEST_ENTITY} bytes");
            problems.push(Problem::new(["entity"], message).hint("name a queue or topic that is there"));
        }
        if (self.session, self.partition) == (Grouping::Key, Grouping::Key) {
            let problem = Problem::new(["partition"], "a message's session is its partition key already");
            problems.push(problem.hint("leave `partition` out"));
        }
        problems
    }

    pub(super) fn trust(&self, folder: &Path) -> Trust {
        Trust::new(folder, self.ca.as_ref(), None, None)
    }

    pub(super) fn address(&self) -> Result<Address> {
        Address::parse(&PROTOCOL, &self.url)
    }
}
