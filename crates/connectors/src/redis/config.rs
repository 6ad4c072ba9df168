//! What the pipeline file says of Redis.

use std::{
    num::NonZeroU64,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidemark_engine::{Result, write::WriteMode};

use super::mirror::KeyTemplate;
use crate::{
    broker::{Address, Broker, Protocol, Trust},
    config::{Place, Problem, Secret, Writing},
    messages::{self, EnvelopeConfig, NameTemplate},
};

const PROTOCOL: Protocol =
    Protocol { name: "Redis", secure: "rediss", secure_port: 6379, plain: "redis", plain_port: 6379 };

/// Redis: every change becomes an entry of a stream (`write: append`), or every record stands under a key (`write: mirror`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RedisDestination")]
pub struct DestinationConfig {
    /// Where the server is: `rediss://redis:6379`; on this machine also `redis://localhost:6379`.
    pub url: String,
    /// The number of the database.
    #[serde(default)]
    pub database: u32,
    /// With `append`, the key of the stream of Redis: a name, or a template with `{stream}`, `{op}`, `{key}` and `{value.COLUMN}`. Made when absent.
    #[serde(default = "default_stream")]
    pub stream: NameTemplate,
    /// With `append`, how many entries the stream keeps, or some more: the oldest go first, whether somebody has read them or not. Left out: all.
    #[serde(default)]
    pub max_length: Option<NonZeroU64>,
    /// With `append`, what entries look like.
    #[serde(default)]
    pub envelope: EnvelopeConfig,
    /// With `mirror`, the key under which a record stands: a template with `{key}`, the record's key, and `{stream}`.
    #[serde(default)]
    pub key: KeyTemplate,
    /// With `mirror`, what stands under a key.
    #[serde(default, rename = "as")]
    pub form: RecordForm,
    /// Who we are. Left out, with a password: the user `default`.
    #[serde(default)]
    pub username: Option<String>,
    /// The password.
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

/// What a record becomes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RecordForm {
    /// A hash with a field for each column that is not NULL.
    #[default]
    Hash,
    /// A string, which is a JSON object.
    Json,
}

fn default_stream() -> NameTemplate {
    NameTemplate::of_stream()
}

impl DestinationConfig {
    /// Where it writes to.
    pub(crate) fn place(&self) -> Place {
        let url = Address::parse(&PROTOCOL, &self.url)
            .map_or_else(|_| "redis".to_owned(), |address| address.to_string());
        Place::Service(format!("{url}/{}", self.database))
    }

    /// Everything that is wrong with it, and with how it is to be written.
    pub fn validate(&self, writing: &Writing) -> Vec<Problem> {
        let mut problems = self.problems_of_mode(writing.mode);
        let address = Address::parse(&PROTOCOL, &self.url);
        problems.extend(address.err().map(|error| Problem::of("url", &error)));
        if self.username.is_some() && self.password.is_none() {
            let problem = Problem::new(["username"], "there is no `password` to go with it");
            problems.push(problem.hint("add `password`"));
        }
        let (certificate, key) = (self.client_certificate.is_some(), self.client_key.is_some());
        problems.extend(messages::problem_of_pair(("client_certificate", certificate), ("client_key", key)));
        problems
    }

    /// Redis has no way of its own to keep what was, and keys of one way of writing mean nothing in the other.
    fn problems_of_mode(&self, mode: WriteMode) -> Vec<Problem> {
        let of_streams = [
            ("stream", self.stream != default_stream()),
            ("max_length", self.max_length.is_some()),
            ("envelope", self.envelope != EnvelopeConfig::default()),
        ];
        let of_records =
            [("key", self.key != KeyTemplate::default()), ("as", self.form != RecordForm::default())];
        let (foreign, other) = match mode {
            WriteMode::Append => (of_records.as_slice(), WriteMode::Mirror),
            WriteMode::Mirror => (of_streams.as_slice(), WriteMode::Append),
            WriteMode::SoftDelete | WriteMode::History | WriteMode::Replace => {
                let problem =
                    Problem::new(["write"], format!("`{}` cannot be written to Redis", mode.as_str()));
                return vec![problem.hint(
                    "use `write: mirror`: every record stands under a key; or `append`: every change becomes an entry",
                )];
            }
        };
        let given = foreign.iter().filter(|(_, is_given)| *is_given);
        let problem = |(key, _): &(&'static str, bool)| {
            let problem =
                Problem::new([*key], format!("`{key}` means nothing with `write: {}`", mode.as_str()));
            problem.hint(format!("leave it out, or use `write: {}`", other.as_str()))
        };
        given.map(problem).collect()
    }

    pub(super) fn broker(&self, folder: &Path) -> Result<Broker> {
        let (certificate, key) = (self.client_certificate.as_ref(), self.client_key.as_ref());
        let trust = Trust::new(folder, self.ca.as_ref(), certificate, key);
        Ok(Broker::new(Address::parse(&PROTOCOL, &self.url)?, trust))
    }
}
