//! What the pipeline file says of RabbitMQ.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use tidemark_engine::Result;

use super::route;
use crate::{
    broker::{Address, Protocol, Trust},
    config::{Place, Problem, Secret, Writing},
    messages::{self, EnvelopeConfig, NameTemplate},
};

const PROTOCOL: Protocol =
    Protocol { name: "AMQP", secure: "amqps", secure_port: 5671, plain: "amqp", plain_port: 5672 };

/// RabbitMQ: every change becomes a persistent message, which a queue has to take.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RabbitMqDestination")]
pub struct DestinationConfig {
    /// Where the server is: `amqps://rabbit:5671`; on this machine also `amqp://localhost:5672`.
    pub url: String,
    /// The virtual host.
    #[serde(default = "default_virtual_host")]
    pub virtual_host: String,
    /// The exchange that messages are given to: a name, or a template with `{stream}`, `{op}`, `{key}` and `{value.COLUMN}`. Left out: the
    /// default exchange, for which the routing key is the name of a queue.
    #[serde(default)]
    pub exchange: Option<NameTemplate>,
    /// The routing key of a message: a name, or such a template.
    #[serde(default = "default_routing_key")]
    pub routing_key: NameTemplate,
    /// What messages look like.
    #[serde(default)]
    pub envelope: EnvelopeConfig,
    /// Who we are. Left out, with `password`: `guest`, whom servers let in from their own machine alone.
    #[serde(default)]
    pub username: Option<String>,
    /// The password that goes with `username`.
    #[serde(default)]
    pub password: Option<Secret>,
    /// A PEM file with the authority that signed the server's certificate, from the pipeline file's folder. Left out: those that this
    /// machine trusts.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// A PEM file with our certificate, for servers that ask for one.
    #[serde(default)]
    pub client_certificate: Option<PathBuf>,
    /// A PEM file with the key of `client_certificate`.
    #[serde(default)]
    pub client_key: Option<PathBuf>,
}

fn default_virtual_host() -> String {
    "/".to_owned()
}

fn default_routing_key() -> NameTemplate {
    NameTemplate::of_stream()
}

impl DestinationConfig {
    /// Where it writes to.
    pub(crate) fn place(&self) -> Place {
        let url = self.address().map_or_else(|_| "amqp".to_owned(), |address| address.to_string());
        let exchange = self.exchange.as_ref().map_or("", NameTemplate::text);
        Place::Service(format!("{url} {} {exchange}/{}", self.virtual_host, self.routing_key.text()))
    }

    /// Everything that is wrong with it, and with how it is to be written.
    pub fn validate(&self, writing: &Writing) -> Vec<Problem> {
        let mut problems = messages::validate(writing);
        problems.extend(self.address().err().map(|error| Problem::of("url", &error)));
        problems.extend(messages::problem_of_pair(
            ("username", self.username.is_some()),
            ("password", self.password.is_some()),
        ));
        let (certificate, key) = (self.client_certificate.is_some(), self.client_key.is_some());
        problems.extend(messages::problem_of_pair(("client_certificate", certificate), ("client_key", key)));
        let names = [("exchange", self.exchange.as_ref()), ("routing_key", Some(&self.routing_key))];
        for (key, name) in names {
            let too_long = name.and_then(NameTemplate::fixed).and_then(|name| route::short(name).err());
            problems.extend(too_long.map(|error| Problem::of(key, &error)));
        }
        problems
    }

    pub(super) fn trust(&self, folder: &Path) -> Trust {
        Trust::new(folder, self.ca.as_ref(), self.client_certificate.as_ref(), self.client_key.as_ref())
    }

    pub(super) fn address(&self) -> Result<Address> {
        Address::parse(&PROTOCOL, &self.url)
    }
}
