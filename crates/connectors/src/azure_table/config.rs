//! What the pipeline file says of Azure Table Storage as a source.

use std::{collections::BTreeMap, time::Duration};

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    azure_storage::{AccountKey, Signature},
    config::{Interval, Place, Secret},
    http::client::{Limits, Retry},
};

/// The tables of a storage account.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// Where the account's tables are: `https://account.table.core.windows.net`. Give this with `auth`, or `connection_string`.
    #[serde(default)]
    pub url: Option<String>,
    /// How requests are signed.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// Both in one, as the portal shows it: `DefaultEndpointsProtocol=https;AccountName=…;AccountKey=…`.
    #[serde(default)]
    pub connection_string: Option<Secret>,
    /// The streams, by name. Left out: every table of the account that there is when a run begins.
    #[serde(default)]
    #[schemars(extend("minProperties" = 1))]
    pub streams: Option<IndexMap<String, TableStream>>,
    /// How often to ask while waiting for more.
    #[serde(default = "default_poll")]
    pub poll: Interval,
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

fn default_poll() -> Interval {
    Interval(Duration::from_secs(60))
}

/// How requests are signed, by its `type`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[schemars(rename = "AzureTableAuth")]
pub enum Auth {
    AzureSharedKey(AccountKey),
    AzureSas(Signature),
}

/// One table. Its key is `PartitionKey` and `RowKey`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "AzureTableStream")]
pub struct TableStream {
    /// The table's name. Left out: the stream's.
    pub table: Option<String>,
    /// Which entities, in the service's own words: `PartitionKey eq 'orders'`. Left out: all.
    pub filter: Option<String>,
    /// Which properties, beside `PartitionKey`, `RowKey` and `Timestamp`. Left out: all.
    pub select: Vec<String>,
    /// How changes are found.
    pub changes: ChangesConfig,
    /// How far before the greatest `Timestamp` to look again, for entities that are written while it is read. What is known already is not
    /// staged again.
    pub overlap: Interval,
    /// How often everything is read and compared beside `changes: watermark`, which finds what has been deleted.
    pub compare_every: Interval,
    /// Properties whose change alone is none.
    pub ignore: Vec<String>,
    /// Properties to leave out.
    pub exclude: Vec<String>,
    /// Kinds by property, where the inferred one will not do: `decimal(12,2)`, `date`, `json`, … A time as `timestamptz` is cut to the
    /// microsecond.
    pub types: BTreeMap<String, String>,
    /// The share of all entities, in percent, that a sweep may find gone. More stops the pipeline and deletes nothing.
    #[schemars(range(min = 0, max = 100))]
    pub max_deletes: u8,
}

impl Default for TableStream {
    fn default() -> Self {
        Self {
            table: None,
            filter: None,
            select: Vec::new(),
            changes: ChangesConfig::default(),
            overlap: Interval(Duration::from_secs(5 * 60)),
            compare_every: Interval(Duration::from_secs(24 * 3600)),
            ignore: Vec::new(),
            exclude: Vec::new(),
            types: BTreeMap::new(),
            max_deletes: 20,
        }
    }
}

/// How changes are found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "AzureTableChanges")]
pub enum ChangesConfig {
    /// By `Timestamp`, which the service sets with every change. What has been deleted is found each `compare_every`.
    #[default]
    Watermark,
    /// Everything is read every time, and compared with what is known, which finds what has been deleted, too.
    FullRefresh,
}

impl SourceConfig {
    /// Where it reads from.
    pub fn place(&self) -> Place {
        let url = match self.account() {
            Ok(account) => account.base.into(),
            Err(_) => self.url.clone().unwrap_or_default(),
        };
        Place::Service(url)
    }
}

impl TableStream {
    /// The table that the stream `name` reads.
    pub(super) fn table<'a>(&'a self, name: &'a str) -> &'a str {
        self.table.as_deref().unwrap_or(name)
    }
}
