//! What the pipeline file says of how requests are verified.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::{Interval, Secret};

/// How a request shows that it comes from who it should.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum VerifyConfig {
    /// As Standard Webhooks 1.0.0 says: an HMAC over id, timestamp and body.
    StandardWebhooks(StandardConfig),
    /// An HMAC in a header, as GitHub, Shopify, Slack and many more send it.
    Hmac(HmacConfig),
    /// The secret itself, in a header or the address.
    SharedSecret(SharedSecretConfig),
    /// HTTP Basic authentication.
    Basic(BasicConfig),
    /// Nothing: whoever reaches the path is believed, but pages in a browser. On this machine only.
    None,
}

/// One secret, or several while one takes the place of another.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Secrets {
    One(Secret),
    Several(Vec<Secret>),
}

impl Secrets {
    /// All of them.
    pub(in crate::webhook) fn all(&self) -> &[Secret] {
        match self {
            Self::One(secret) => std::slice::from_ref(secret),
            Self::Several(secrets) => secrets,
        }
    }
}

/// The symmetric scheme of Standard Webhooks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StandardConfig {
    /// The signing secret, `whsec_` and base64; or a list of those that are good while one takes the place of another.
    pub secret: Secrets,
    /// How far the request's timestamp may be from the time here.
    #[serde(default = "default_tolerance")]
    pub tolerance: Interval,
}

/// An HMAC in a header.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HmacConfig {
    /// The header that holds the signature: `X-Hub-Signature-256`.
    pub header: String,
    /// The secret, whose bytes are the key; or a list of those that are good while one takes the place of another.
    pub secret: Secrets,
    /// The hash.
    #[serde(default)]
    pub algorithm: Algorithm,
    /// How the signature is written.
    #[serde(default)]
    pub encoding: Encoding,
    /// What stands before the signature in the header: `sha256=`.
    #[serde(default)]
    pub prefix: String,
    /// What is signed, of `{{ body }}` and `{{ timestamp }}`: `v0:{{ timestamp }}:{{ body }}`. Left out: the body.
    #[serde(default)]
    pub signed: Option<String>,
    /// The header that holds the timestamp in seconds since 1970; needed where a timestamp is signed.
    #[serde(default)]
    pub timestamp_header: Option<String>,
    /// How far the timestamp may be from the time here.
    #[serde(default = "default_tolerance")]
    pub tolerance: Interval,
}

/// The secret itself. It protects against strangers, not against who can read what is sent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SharedSecretConfig {
    /// The header that holds it. This or `query`.
    #[serde(default)]
    pub header: Option<String>,
    /// The parameter of the address that holds it.
    #[serde(default)]
    pub query: Option<String>,
    /// The secret; or a list of those that are good while one takes the place of another.
    pub secret: Secrets,
}

/// A user and a password.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasicConfig {
    /// The user.
    pub user: String,
    /// The password; or a list of those that are good while one takes the place of another.
    pub password: Secrets,
}

/// The hash of an HMAC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// SHA-256.
    #[default]
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// How a signature is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Hexadecimal, in small or capital letters.
    #[default]
    Hex,
    /// Base64 with padding.
    Base64,
}

fn default_tolerance() -> Interval {
    Interval(Duration::from_secs(300))
}
