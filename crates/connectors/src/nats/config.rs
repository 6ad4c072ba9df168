//! What the pipeline file says of NATS.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use tidemark_engine::Result;

use crate::{
    broker::{Address, Protocol, Trust},
    config::{Place, Problem, Secret, Writing},
    messages::{self, EnvelopeConfig, NameTemplate},
};

pub(super) const PROTOCOL: Protocol =
    Protocol { name: "NATS", secure: "tls", secure_port: 4222, plain: "nats", plain_port: 4222 };

/// NATS: every change becomes a message that JetStream keeps. A stream of JetStream has to take the subjects.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NatsDestination")]
pub struct DestinationConfig {
    /// Where a server is: `tls://nats:4222`; on this machine also `nats://localhost:4222`. The others of its cluster are found by it.
    pub url: String,
    /// The subject of a message: a name, or a template with `{stream}`, `{op}`, `{key}` and `{value.COLUMN}`.
    #[serde(default = "default_subject")]
    pub subject: NameTemplate,
    /// What messages look like.
    #[serde(default)]
    pub envelope: EnvelopeConfig,
    /// Who we are.
    #[serde(default)]
    pub username: Option<String>,
    /// The password that goes with `username`.
    #[serde(default)]
    pub password: Option<Secret>,
    /// A token, where the server asks for one.
    #[serde(default)]
    pub token: Option<Secret>,
    /// The seed of an NKey, where the server asks for one.
    #[serde(default)]
    pub nkey: Option<Secret>,
    /// A file with a JWT and the seed of its NKey (`.creds`), from the pipeline file's folder.
    #[serde(default)]
    pub credentials: Option<PathBuf>,
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

fn default_subject() -> NameTemplate {
    NameTemplate::of_stream()
}

impl DestinationConfig {
    /// Where it writes to.
    pub(crate) fn place(&self) -> Place {
        let address = Address::parse(&PROTOCOL, &self.url);
        let url = address.map_or_else(|_| "nats".to_owned(), |address| address.to_string());
        Place::Service(format!("{url}/{}", self.subject.text()))
    }

    /// Everything that is wrong with it, and with how it is to be written.
    pub fn validate(&self, writing: &Writing) -> Vec<Problem> {
        let mut problems = messages::validate(writing);
        problems.extend(Address::parse(&PROTOCOL, &self.url).err().map(|error| Problem::of("url", &error)));
        let ways =
            [self.username.is_some(), self.token.is_some(), self.nkey.is_some(), self.credentials.is_some()];
        if ways.iter().filter(|is_given| **is_given).count() > 1 {
            let problem = Problem::new([""; 0], "there are several ways to say who we are");
            problems.push(problem.hint("keep one of `username`, `token`, `nkey` and `credentials`"));
        }
        problems.extend(messages::problem_of_pair(
            ("username", self.username.is_some()),
            ("password", self.password.is_some()),
        ));
        let (certificate, key) = (self.client_certificate.is_some(), self.client_key.is_some());
        problems.extend(messages::problem_of_pair(("client_certificate", certificate), ("client_key", key)));
        problems
    }

    pub(super) fn trust(&self, folder: &Path) -> Trust {
        Trust::new(folder, self.ca.as_ref(), self.client_certificate.as_ref(), self.client_key.as_ref())
    }

    pub(super) fn address(&self) -> Result<Address> {
        Address::parse(&PROTOCOL, &self.url)
    }
}
