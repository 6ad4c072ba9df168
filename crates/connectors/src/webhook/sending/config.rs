//! What the pipeline file says of web hooks as a destination.

use std::num::NonZeroU16;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use tidemark_engine::change::Op;

use crate::{
    config::{Place, Secret},
    http::client::{ClientConfig, WebhookKeys},
    messages::{EnvelopeConfig, NameTemplate},
    webhook::{Secrets, verify},
};

/// Somebody's HTTP server: every change becomes a request to it, which has to be answered with success.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WebhookDestination")]
pub struct DestinationConfig {
    /// Where requests go: a URL, or a template with `{stream}`, `{op}`, `{key}` and `{value.COLUMN}` in its path or query. What stands in
    /// for these is encoded. The host is fixed.
    pub url: NameTemplate,
    /// The method.
    #[serde(default)]
    pub method: Verb,
    /// The method for some operations, where it is another: `{d: DELETE}`.
    #[serde(default)]
    pub methods: Methods,
    /// Headers. Their values may be templates over the envelope: `{{ stream }}`, `{{ values.region }}`.
    #[serde(default)]
    pub headers: IndexMap<String, Secret>,
    /// The body, a template over the envelope: `{"text": {{ values.note | json }}, "key": {{ json.key }}}`, where `json.key` is the
    /// envelope's field as JSON. Left out: the envelope itself.
    #[serde(default)]
    pub body: Option<String>,
    /// What messages look like.
    #[serde(default)]
    pub envelope: EnvelopeConfig,
    /// How many changes go into one request at most, as a JSON array. Left out: each has a request of its own, without an array.
    #[serde(default)]
    pub batch: Option<NonZeroU16>,
    /// How requests are signed, as Standard Webhooks says. Left out: not at all.
    #[serde(default)]
    pub signature: Option<SignatureConfig>,
    /// Statuses, from 400 to 499, that say as much as success: `[404, 410]` where a record to be deleted is not there any more.
    #[serde(default)]
    pub done_on: Vec<u16>,
    /// Statuses, from 400 to 499, after which the same is sent again, beside 408, 425, 429 and 5xx.
    #[serde(default)]
    pub retry_on: Vec<u16>,
    #[serde(flatten)]
    pub client: ClientConfig,
}

/// A method that hands something over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verb {
    /// Takes it.
    #[default]
    Post,
    /// Puts it in the place of what was there.
    Put,
    /// Changes what is there.
    Patch,
    /// Its request has no body.
    Delete,
}

/// Methods by operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "WebhookMethods")]
pub struct Methods {
    /// What the initial sync reads.
    pub r: Option<Verb>,
    /// Created records.
    pub c: Option<Verb>,
    /// Updated records.
    pub u: Option<Verb>,
    /// Deleted records.
    pub d: Option<Verb>,
    /// Truncated streams.
    pub t: Option<Verb>,
}

/// The symmetric scheme of Standard Webhooks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WebhookSignature")]
pub struct SignatureConfig {
    /// The signing secret, `whsec_` and base64; or a list while one takes the place of another, and each signs.
    pub secret: Secrets,
}

impl DestinationConfig {
    /// Where it writes to.
    pub(crate) fn place(&self) -> Place {
        Place::Service(self.url.text().to_owned())
    }

    /// The method of a change.
    pub(super) fn verb(&self, op: Op) -> Verb {
        let Methods { r, c, u, d, t } = self.methods;
        let own = match op {
            Op::Read => r,
            Op::Create => c,
            Op::Update => u,
            Op::Delete => d,
            Op::Truncate => t,
        };
        own.unwrap_or(self.method)
    }

    /// How its server is reached.
    pub(super) fn client(&self) -> ClientConfig {
        let keys = self.signature.as_ref().and_then(SignatureConfig::keys);
        ClientConfig { signature: keys, ..self.client.clone() }
    }
}

impl Verb {
    pub(super) fn method(self) -> http::Method {
        match self {
            Self::Post => http::Method::POST,
            Self::Put => http::Method::PUT,
            Self::Patch => http::Method::PATCH,
            Self::Delete => http::Method::DELETE,
        }
    }
}

impl SignatureConfig {
    /// `None` when a secret is none.
    pub(super) fn keys(&self) -> Option<WebhookKeys> {
        let secrets = self.secret.all();
        let keys = secrets.iter().map(verify::key).collect::<Option<Vec<_>>>()?;
        (!keys.is_empty()).then_some(WebhookKeys(keys))
    }
}
