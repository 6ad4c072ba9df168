//! What the pipeline file says of queues of Azure Storage.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    azure_storage::{AccountKey, Signature},
    config::{Interval, Place, Secret},
    http::client::{Address, Limits, Retry},
    messages::{EnvelopeConfig, NameTemplate},
};

/// Queues of an Azure storage account: every change becomes a message.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AzureQueueDestination")]
pub struct DestinationConfig {
    /// Where the account's queues are: `https://account.queue.core.windows.net`. Give this with `auth`, or `connection_string`.
    #[serde(default)]
    pub url: Option<Address>,
    /// Who we are.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// Both in one, as the portal shows it: `DefaultEndpointsProtocol=https;AccountName=…;AccountKey=…`.
    #[serde(default)]
    pub connection_string: Option<Secret>,
    /// The queue of a message: a name, or a template with `{stream}`, `{op}`, `{key}` and `{value.COLUMN}`. It has to be there.
    pub queue: NameTemplate,
    /// What messages look like.
    #[serde(default)]
    pub envelope: EnvelopeConfig,
    /// How a message is written.
    #[serde(default)]
    pub encoding: Encoding,
    /// How long the queue keeps a message that nobody deletes. Left out: for ever.
    #[serde(default)]
    pub time_to_live: Option<Interval>,
    /// How long nobody sees a message after it was sent, up to 7 days.
    #[serde(default = "at_once")]
    pub visible_after: Interval,
    /// Where the body of a message goes that is larger than a queue takes; the message then says where it is. Left out: such a change is
    /// refused by name.
    #[serde(default)]
    pub claim_check: Option<ClaimCheckConfig>,
    /// What the connection may use. It is shared by every pipeline of this process that reaches the same account with the same
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

fn at_once() -> Interval {
    Interval(Duration::ZERO)
}

/// Who we are, by its `type`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[schemars(rename = "AzureQueueAuth")]
pub enum Auth {
    AzureSharedKey(AccountKey),
    AzureSas(Signature),
    Entra(Entra),
}

/// An application of Microsoft Entra, with the role `Storage Queue Data Message Sender`; with a claim check also
/// `Storage Blob Data Contributor`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entra {
    /// The directory.
    pub tenant: String,
    /// The application.
    pub client_id: String,
    /// What proves it.
    pub client_secret: Secret,
    /// Where tokens are asked for; other clouds than the public one have their own.
    #[serde(default = "public_cloud")]
    pub authority: Address,
}

fn public_cloud() -> Address {
    #[expect(clippy::expect_used, reason = "a constant that a test reads")]
    Address("https://login.microsoftonline.com".parse().expect("it is a URL"))
}

/// How a message is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "AzureQueueEncoding")]
pub enum Encoding {
    /// As Base64, which Azure Functions and the older libraries expect. It makes room for 48 KiB.
    #[default]
    Base64,
    /// As it is.
    Text,
}

/// Where large bodies go.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimCheckConfig {
    /// The container of blobs. It has to be there.
    pub container: String,
    /// Where the account's blobs are. Left out: where its queues are, with `blob` instead of `queue`; or as the connection string says.
    #[serde(default)]
    pub url: Option<Address>,
}

impl DestinationConfig {
    /// Where it writes to.
    pub(crate) fn place(&self) -> Place {
        let account =
            self.queues().map_or_else(|_| "azure-queue".to_owned(), |account| account.base.to_string());
        Place::Service(format!("{account}/{}", self.queue.text()))
    }
}
