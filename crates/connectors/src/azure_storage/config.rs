//! What pipeline files say of who we are.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::Secret;

/// The key of a storage account, which may do anything with it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AzureAccountKey")]
pub struct AccountKey {
    /// The account.
    pub account: String,
    /// One of its two keys, as the portal shows it.
    pub key: Secret,
}

/// A shared access signature. To read tables it needs the right to query; for every table of the account, that to list, too. To send
/// messages it needs the right to add.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AzureSignature")]
pub struct Signature {
    /// The signature with its parameters, as the portal shows it: `?sv=…&sig=…`.
    pub token: Secret,
}
