//! What the pipeline file says of an HTTP source.

use std::{collections::BTreeMap, time::Duration};

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::client::{Auth, ClientCertificate, ClientConfig, JsonPath, Limits, Pem, Retry};
use crate::config::{Interval, Place};

/// An API, a list, a feed: anything that answers requests over HTTP with records.
///
/// Texts under `url`, `query`, `headers`, `path`, `body` and `subscribe` may hold templates: `{{ cursor }}` (the mark, or the delta token, to go on
/// from), `{{ now }}` (when the sweep began), `{{ token }}` (the next page's), `{{ parent.id }}` (a value of the parent record),
/// `{{ with.name }}` (what stands under `with`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// Where the API begins: `https://api.example.com/v1`.
    pub url: String,
    /// What is known of this kind of API already: the name of a preset (`tidemark presets`), or the path of a file of your own. What
    /// stands here counts before what stands there.
    #[serde(default)]
    pub preset: Option<String>,
    /// Values for templates, such as a preset asks for.
    #[serde(default)]
    pub with: BTreeMap<String, String>,
    /// The streams, by name.
    #[schemars(extend("minProperties" = 1))]
    pub streams: IndexMap<String, StreamConfig>,
    /// Headers of every request.
    #[serde(default)]
    pub headers: IndexMap<String, String>,
    /// How often to ask while waiting for more.
    #[serde(default = "default_poll")]
    pub poll: Interval,
    /// How requests are authorized. Default: not at all.
    #[serde(default)]
    pub auth: Auth,
    /// A certificate to show to the server (mutual TLS).
    #[serde(default)]
    pub client_certificate: Option<ClientCertificate>,
    /// The authorities that may vouch for the server, instead of the system's: PEM text, or the path of a PEM file from the
    /// pipeline file's folder.
    #[serde(default)]
    pub ca: Option<Pem>,
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
    /// Hosts that may be reached wherever they are, also by links in answers: names or addresses as they stand in the URL.
    #[serde(default)]
    pub allow_hosts: Vec<String>,
    /// Where an answer that says 200 tells of an error: `error`, `errors.0.code` or a JSON pointer (`/error`).
    #[serde(default)]
    pub error_when: Option<JsonPath>,
}

fn default_poll() -> Interval {
    Interval(Duration::from_secs(60))
}

/// One stream of records.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "HttpStream")]
pub struct StreamConfig {
    /// Where it is, below `url`, or a whole URL.
    pub path: String,
    /// Values for templates, for this stream alone.
    #[serde(default)]
    pub with: BTreeMap<String, String>,
    /// The method.
    #[serde(default)]
    pub method: Method,
    /// Parameters of the query. One that comes out empty is left out, so that `updated_since: "{{ cursor }}"` asks for everything the
    /// first time.
    #[serde(default)]
    pub query: IndexMap<String, String>,
    /// Headers, beside those of the source.
    #[serde(default)]
    pub headers: IndexMap<String, String>,
    /// The body of each request, for `method: POST` or `REPORT`.
    #[serde(default)]
    pub body: Option<String>,
    /// The format of answers.
    #[serde(default)]
    pub format: Format,
    /// Where the records stand in an answer: `$.value[*]`, `$.data.items`; of XML: `/feed/entry`. Default: the answer is one record, or
    /// an array of them.
    #[serde(default)]
    pub records: Option<String>,
    /// Whether an answer with nothing at `records` holds none. Default: that is an error.
    #[serde(default)]
    pub optional: bool,
    /// How the next page is found. Default: there is one page.
    #[serde(default)]
    pub paging: Paging,
    /// Whether records stay on their pages while others come and go, so that one sweep proves what is gone. Otherwise it takes two
    /// that find the same. Default: `none`, `keyset` and `header-token` are steady, and what tells of changes by a `delta`.
    #[serde(default)]
    pub steady: Option<bool>,
    /// The columns that tell records apart. Left out: the stream has no key, and records are known by all that they hold.
    #[serde(default)]
    pub key: Vec<String>,
    /// How changes are found. Default: `watermark` or `delta` where one of these is given, else `full-refresh`.
    #[serde(default)]
    pub changes: Option<ChangesConfig>,
    /// The column whose value grows with every change of a record: a time of the last change, a version.
    #[serde(default)]
    pub watermark: Option<String>,
    /// How far before the greatest mark to look again, for records that come late: `5m` for times, a whole number for numbers. Records
    /// that are known already are not staged again.
    #[serde(default)]
    pub overlap: Option<String>,
    /// How often everything is read and compared beside a `watermark`, which finds what is gone. Left out: never.
    #[serde(default)]
    pub compare_every: Option<Interval>,
    /// Where the system says what to ask with for what has changed since.
    #[serde(default)]
    pub delta: Option<DeltaConfig>,
    /// Of a stream that is `stream-only`: the column whose last value the server goes on from, as `{{ cursor }}`. Left out: the id of
    /// the last event (`format: sse`), or from now on.
    #[serde(default)]
    pub resume: Option<String>,
    /// Of a WebSocket: what to say when it is open, such as what to subscribe to. The server's answers are messages as others: with
    /// `records` and `optional` those without records count for nothing.
    #[serde(default)]
    pub subscribe: Vec<String>,
    /// Where a record says that it is gone: a column that has a value then, other than `false`. Default: records do not say.
    #[serde(default)]
    pub gone: Option<String>,
    /// What the column of `gone` says of a record that is gone, somewhere in its text: ` 404 `. Anything else there stops the pipeline.
    /// Default: any value.
    #[serde(default)]
    pub gone_when: Option<String>,
    /// The columns in which a record that is gone names its `key`, where it has them in others than one that is there. Default: those of
    /// `key`.
    #[serde(default)]
    pub gone_key: Vec<String>,
    /// Columns whose change alone is none: a counter of views, the time of a request.
    #[serde(default)]
    pub ignore: Vec<String>,
    /// Columns to leave out.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Kinds by column, where the inferred one will not do: `int64`, `decimal(12,2)`, `text`, `timestamptz`, `json`, …
    #[serde(default)]
    pub types: BTreeMap<String, String>,
    /// The stream whose every record this one is asked for.
    #[serde(default)]
    pub parent: Option<ParentConfig>,
    /// What it means that a sweep over everything does not find a record any more.
    #[serde(default)]
    pub vanished: Vanished,
    /// The share of all records, in percent, that a sweep may find gone. More stops the pipeline and deletes nothing.
    #[serde(default = "default_max_deletes")]
    #[schemars(range(min = 0, max = 100))]
    pub max_deletes: u8,
}

fn default_max_deletes() -> u8 {
    20
}

/// How a request is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Method {
    /// Everything stands in the URL and the headers.
    #[default]
    #[serde(rename = "GET")]
    Get,
    /// With a body.
    #[serde(rename = "POST")]
    Post,
    /// What WebDAV asks with, with a body (RFC 3253).
    #[serde(rename = "REPORT")]
    Report,
}

/// The format of answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "AnswerFormat")]
pub enum Format {
    /// One JSON document.
    #[default]
    Json,
    /// A JSON object a line.
    Jsonl,
    /// Comma-separated values with a header line.
    Csv,
    /// One XML document.
    Xml,
    /// Server-sent events with JSON in them, for `changes: stream-only`.
    Sse,
    /// A WebSocket whose messages are JSON, for `changes: stream-only`.
    WebSocket,
}

/// How the next page is found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Paging {
    /// There is one page.
    #[default]
    None,
    /// The answer holds the next page's URL, whole or relative.
    Link {
        /// Where: `$.next`, `$['@odata.nextLink']`, `$.links.next[0].href`.
        next: String,
    },
    /// The `Link` header holds it (RFC 8288).
    LinkHeader,
    /// Pages have numbers.
    Page {
        /// The parameter of the query.
        #[serde(default = "default_page")]
        parameter: String,
        /// The number of the first.
        #[serde(default = "default_first")]
        first: u64,
        /// Where the answer says whether there are more: a truth value, or how many pages there are. Left out: until a page is empty.
        #[serde(default)]
        more: Option<String>,
    },
    /// Records are skipped.
    Offset {
        /// The parameter of the query.
        #[serde(default = "default_offset")]
        parameter: String,
        /// Where the answer says how many records there are, or, as a truth value, whether there are more. Left out: until a page is
        /// empty.
        #[serde(default)]
        more: Option<String>,
    },
    /// The answer holds a token for the next page.
    Token {
        /// Where: `$.meta.next_token`.
        next: String,
        /// The parameter of the query it goes into. Left out: `{{ token }}` stands in a template.
        #[serde(default)]
        parameter: Option<String>,
    },
    /// Headers of the answer hold tokens for the next page, by the parameter of the query that each goes into.
    HeaderToken {
        /// `NextPartitionKey: x-ms-continuation-NextPartitionKey`.
        headers: IndexMap<String, String>,
    },
    /// Records come in the order of a column; the next page begins behind the last value.
    Keyset {
        /// The column.
        column: String,
        /// The parameter of the query. Left out: `{{ token }}` stands in a template.
        #[serde(default)]
        parameter: Option<String>,
    },
}

fn default_page() -> String {
    "page".to_owned()
}

fn default_first() -> u64 {
    1
}

fn default_offset() -> String {
    "offset".to_owned()
}

/// How changes are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChangesConfig {
    /// Everything is read every time, and compared with what is known.
    FullRefresh,
    /// Records carry a mark that grows with every change; see `watermark`.
    Watermark,
    /// The system tells what has changed since it was asked last; see `delta`.
    Delta,
    /// One answer goes on for as long as there is something to tell: lines of JSON (`format: jsonl`), events (`format: sse`) or messages
    /// (`format: websocket`). It begins now.
    StreamOnly,
}

/// What it means that a record is not found any more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Vanished {
    /// It is deleted.
    #[default]
    Delete,
    /// Nothing: only the newest records are shown, such as the weather now.
    Keep,
}

/// Where the system says what to ask with next time.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeltaConfig {
    /// Where the last page holds the link or the token: `$['@odata.deltaLink']`. A link is followed as it is; a token stands in
    /// `{{ cursor }}`. Of XML the path of an element, `/multistatus/sync-token`, which is a token whatever it looks like.
    pub next: String,
    /// The server's own words for a token that it does not know any more, beside the status 410: `valid-sync-token`.
    #[serde(default)]
    pub expired: Vec<String>,
    /// Whether only what has changed of a record comes: what is missing stays as it is then.
    #[serde(default)]
    pub sparse: bool,
}

/// The stream whose every record another one is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParentConfig {
    /// Its name under `streams`.
    pub stream: String,
    /// Columns that records get from their parent, by the name they get: `customer_id: id`.
    #[serde(default)]
    pub columns: IndexMap<String, String>,
}

impl SourceConfig {
    /// Where it reads from.
    pub fn place(&self) -> Place {
        // A URL may hold a user's name and password.
        let shown = url::Url::parse(&self.url).map(|url| url.origin().ascii_serialization());
        Place::Service(shown.unwrap_or_else(|_| self.url.clone()))
    }

    /// How its server is reached.
    pub(crate) fn client(&self) -> ClientConfig {
        ClientConfig {
            auth: self.auth.clone(),
            client_certificate: self.client_certificate.clone(),
            ca: self.ca.clone(),
            limits: self.limits.clone(),
            retry: self.retry.clone(),
            allow_private_addresses: self.allow_private_addresses,
            allow_hosts: self.allow_hosts.clone(),
            error_when: self.error_when.clone(),
            signature: None,
        }
    }
}

impl StreamConfig {
    /// How changes are found, where it is not said: by what is given for it.
    pub(crate) fn changes(&self) -> ChangesConfig {
        self.changes.unwrap_or(match (&self.watermark, &self.delta) {
            (_, Some(_)) => ChangesConfig::Delta,
            (Some(_), None) => ChangesConfig::Watermark,
            (None, None) => ChangesConfig::FullRefresh,
        })
    }

    /// Whether records stay on their pages while others come and go.
    pub(crate) fn is_steady(&self) -> bool {
        self.steady.unwrap_or_else(|| self.paging.is_steady() || self.changes() == ChangesConfig::Delta)
    }
}

impl Paging {
    /// Whether pages begin behind a record, whatever comes and goes before it. A link or a token may as well hold a number.
    fn is_steady(&self) -> bool {
        matches!(self, Self::None | Self::Keyset { .. } | Self::HeaderToken { .. })
    }
}
