//! What the pipeline file says of Amazon SQS.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use tidemark_engine::{Error, Result};
use url::Url;

use crate::{
    config::{Interval, Place, Secret},
    http::client::{Auth, AwsSigV4, ClientConfig, Limits, Retry},
    messages::{EnvelopeConfig, NameTemplate},
};

/// Amazon SQS: every change becomes a message of a queue.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SqsDestination")]
pub struct DestinationConfig {
    /// The queue's URL, or a template of URLs with `{stream}`, `{op}`, `{key}` and `{value.COLUMN}` behind the account:
    /// `https://sqs.eu-north-1.amazonaws.com/123456789012/orders.fifo`. It has to be there. One that ends in `.fifo` is a FIFO queue.
    pub url: NameTemplate,
    /// The region. Left out: as the host's name has it.
    #[serde(default)]
    pub region: Option<String>,
    /// The key's name.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: Secret,
    /// What temporary keys come with.
    #[serde(default)]
    pub session_token: Option<Secret>,
    /// What messages look like.
    #[serde(default)]
    pub envelope: EnvelopeConfig,
    /// How long nobody sees a message after it was sent, up to 15 minutes. Left out: as the queue has it. A FIFO queue knows no other.
    #[serde(default)]
    pub delay: Option<Interval>,
    /// What the connection may use. It is shared by every pipeline of this process that reaches the same server with the same
    /// credentials.
    #[serde(default)]
    pub limits: Limits,
    /// When a request is repeated.
    #[serde(default)]
    pub retry: Retry,
    /// Whether addresses of private networks and of this machine may be reached.
    #[serde(default)]
    pub allow_private_addresses: bool,
    /// Hosts that may be reached wherever they are: names or addresses as they stand in the URL.
    #[serde(default)]
    pub allow_hosts: Vec<String>,
}

impl DestinationConfig {
    /// Where it writes to.
    pub(crate) fn place(&self) -> Place {
        Place::Service(self.url.text().to_owned())
    }

    /// Whether messages of a group keep their order there, and those that come twice count once.
    pub(super) fn is_fifo(&self) -> bool {
        self.url.text().ends_with(".fifo")
    }

    /// Where the service is that has the queue.
    pub(super) fn endpoint(&self) -> Result<Url> {
        let beginning = self.url.beginning();
        let url = Url::parse(beginning).ok().filter(|url| {
            let has_path = beginning.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
            matches!(url.scheme(), "http" | "https") && url.has_host() && has_path
        });
        let mut url = url.ok_or_else(|| {
            Error::config("`url` does not say where the queue is").hint(
                "give it as the console shows it: `https://sqs.eu-north-1.amazonaws.com/123456789012/orders`",
            )
        })?;
        url.set_path("/");
        url.set_query(None);
        url.set_fragment(None);
        Ok(url)
    }

    /// How the service is reached.
    pub(super) fn client(&self) -> Result<ClientConfig> {
        Ok(ClientConfig {
            auth: Auth::AwsSigV4(AwsSigV4 {
                access_key_id: self.access_key_id.clone(),
                secret_access_key: self.secret_access_key.clone(),
                session_token: self.session_token.clone(),
                region: self.region()?,
                service: "sqs".to_owned(),
            }),
            limits: self.limits.clone(),
            retry: self.retry.clone(),
            allow_private_addresses: self.allow_private_addresses,
            allow_hosts: self.allow_hosts.clone(),
            ..ClientConfig::default()
        })
    }

    fn region(&self) -> Result<String> {
        let endpoint = self.endpoint()?;
        let of_host = || {
            let mut labels = endpoint.host_str()?.split('.');
            let is_sqs = matches!(labels.next(), Some("sqs" | "sqs-fips"));
            let region = labels.next()?;
            (is_sqs && labels.next() == Some("amazonaws")).then(|| region.to_owned())
        };
        self.region.clone().or_else(of_host).ok_or_else(|| {
            Error::config("nothing says which region the queue is in").hint("give `region: eu-north-1`")
        })
    }

    pub(super) fn delay_seconds(&self) -> Option<u64> {
        self.delay.map(|Interval(delay)| Duration::as_secs(&delay))
    }
}
