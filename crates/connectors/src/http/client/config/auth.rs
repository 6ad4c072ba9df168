//! How requests are authorized.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::{super::pointer::JsonPath, Address};
use crate::config::{Interval, Secret};

/// How requests are authorized, by its `type`. Credentials go to the server of the source alone, never where a redirect or a
/// link in an answer points to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Auth {
    /// Not at all.
    #[default]
    None,
    ApiKey(ApiKey),
    Basic(Basic),
    Bearer(Bearer),
    #[serde(rename = "oauth2")]
    OAuth2(Box<OAuth2>),
    Session(Box<Session>),
    Hmac(Hmac),
    AzureSharedKey(AzureSharedKey),
    AzureSas(AzureSas),
    #[serde(rename = "aws-sigv4")]
    AwsSigV4(AwsSigV4),
}

/// A fixed key in a header or in the query.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// Where it stands.
    #[serde(default, rename = "in")]
    pub place: ApiKeyPlace,
    /// The name of the header or query parameter.
    pub name: String,
    /// The key, with whatever stands before it (`Token abc`).
    pub value: Secret,
}

/// Where an API key stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ApiKeyPlace {
    /// In a header.
    #[default]
    Header,
    /// In the query of the URL. Servers write URLs into their logs: prefer a header.
    Query,
}

/// A user name and a password (RFC 7617).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// The user.
    pub username: String,
    /// The password.
    #[serde(default = "no_secret")]
    pub password: Secret,
}

fn no_secret() -> Secret {
    Secret::new("")
}

/// A fixed token (RFC 6750).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bearer {
    /// The token.
    pub token: Secret,
}

/// Tokens of an authorization server (RFC 6749), asked for when needed and renewed ahead of their end.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OAuth2 {
    /// Where tokens are asked for.
    pub token_url: Address,
    /// Who asks.
    pub client_id: String,
    /// What proves it. A client without one may leave it out.
    #[serde(default)]
    pub client_secret: Option<Secret>,
    /// What a token is given for.
    #[serde(default)]
    pub grant: Grant,
    /// The first refresh token, for `grant: refresh_token`. When the server replaces it, the new one is kept, encrypted, in the
    /// log of the pipeline, and used from then on. Of one refresh token only one pipeline can live.
    #[serde(default)]
    pub refresh_token: Option<Secret>,
    /// What is asked to be allowed.
    #[serde(default)]
    pub scope: Option<String>,
    /// Whom the token is for.
    #[serde(default)]
    pub audience: Option<String>,
    /// Further parameters of the request for a token.
    #[serde(default)]
    pub params: BTreeMap<String, Secret>,
    /// Where the client's own credentials stand in it.
    #[serde(default)]
    pub credentials_in: CredentialsIn,
}

/// What a token is given for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    /// The client's own credentials.
    #[default]
    ClientCredentials,
    /// A refresh token, which a person has made once.
    RefreshToken,
}

/// Where the client's own credentials stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CredentialsIn {
    /// Among the parameters in the body.
    #[default]
    Body,
    /// In the header `Authorization`, as a user name and a password.
    Header,
}

/// A login that gives a token for the requests after it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// The login.
    pub login: Login,
    /// Where its answer holds the token.
    pub token: SessionToken,
    /// The header that carries it. Left out, a cookie goes back as the cookie it was, any other token as `Bearer`.
    #[serde(default)]
    pub header: Option<SessionHeader>,
    /// How long a token is used. Left out: until the server refuses it (401).
    #[serde(default)]
    pub lifetime: Option<Interval>,
}

/// The request of a login.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The method.
    #[serde(default = "post")]
    pub method: String,
    /// Where to.
    pub url: Address,
    /// The headers. `content-type` is `application/json` where none is given and there is a body.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// What `{{ name }}` in the body stands for: the user and the password.
    #[serde(default)]
    pub values: BTreeMap<String, Secret>,
    /// The body, a template: `{"user": {{ user | json }}, "password": {{ password | json }}}`. Filters: `json`, `urlencode`.
    #[serde(default = "no_secret")]
    pub body: Secret,
}

fn post() -> String {
    "POST".to_owned()
}

/// Where the answer to a login holds the token.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "TokenKeys")]
#[schemars(with = "TokenKeys")]
pub enum SessionToken {
    /// In its JSON, at this path.
    Json(JsonPath),
    /// In a cookie of this name.
    Cookie(String),
}

/// Where the answer to a login holds the token: one of the two.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TokenKeys {
    /// In its JSON, at this path: `data.token` or `/data/token`.
    #[serde(default)]
    json: Option<JsonPath>,
    /// In a cookie of this name.
    #[serde(default)]
    cookie: Option<String>,
}

impl TryFrom<TokenKeys> for SessionToken {
    type Error = &'static str;

    fn try_from(keys: TokenKeys) -> Result<Self, Self::Error> {
        match keys {
            TokenKeys { json: Some(path), cookie: None } => Ok(Self::Json(path)),
            TokenKeys { json: None, cookie: Some(name) } => Ok(Self::Cookie(name)),
            _ => Err("expected `json` or `cookie`, one of the two"),
        }
    }
}

/// The header that carries a session's token.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionHeader {
    /// Its name.
    pub name: String,
    /// Its value, a template over `{{ token }}`.
    pub value: String,
}

/// A keyed hash over parts of each request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hmac {
    /// The header that carries it.
    pub header: String,
    /// The key.
    pub secret: Secret,
    /// The hash.
    #[serde(default)]
    pub algorithm: HmacAlgorithm,
    /// How it is written.
    #[serde(default)]
    pub encoding: SignatureEncoding,
    /// What stands before it in the header: `sha256=`.
    #[serde(default)]
    pub prefix: String,
    /// What is signed, a template over `{{ method }}`, `{{ path }}` (with the query), `{{ timestamp }}` and `{{ body }}`.
    pub signed: String,
    /// The header that carries the time that was signed.
    #[serde(default)]
    pub timestamp_header: Option<String>,
    /// How the time is written.
    #[serde(default)]
    pub timestamp: TimestampFormat,
}

/// A keyed hash.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HmacAlgorithm {
    #[default]
    Sha256,
    Sha512,
}

/// How a signature is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SignatureEncoding {
    #[default]
    Hex,
    Base64,
}

/// How a time is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TimestampFormat {
    /// Seconds since 1970.
    #[default]
    Seconds,
    /// Milliseconds since 1970.
    Millis,
    /// `2013-01-01T05:00:00Z`.
    Rfc3339,
}

/// The key of an Azure storage account.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AzureSharedKey {
    /// The account.
    pub account: String,
    /// One of its two keys, as the portal shows it.
    pub key: Secret,
    /// Which of its services is spoken to: each signs in its own way.
    #[serde(default)]
    pub service: AzureService,
}

/// A service of an Azure storage account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AzureService {
    #[default]
    Table,
    Blob,
    Queue,
}

/// A shared access signature of Azure.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AzureSas {
    /// The signature with its parameters, as the portal shows it: `?sv=…&sig=…`.
    pub token: Secret,
}

/// Signature Version 4 of AWS.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AwsSigV4 {
    /// The key's name.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: Secret,
    /// What temporary keys come with.
    #[serde(default)]
    pub session_token: Option<Secret>,
    /// The region of the server.
    pub region: String,
    /// The service's name in signatures: `execute-api`, `s3`, `sqs`.
    pub service: String,
}

impl Auth {
    /// The URLs that it sends credentials to, beside the server itself.
    pub(super) fn urls(&self) -> Vec<Url> {
        match self {
            Self::OAuth2(oauth) => vec![oauth.token_url.0.clone()],
            Self::Session(session) => vec![session.login.url.0.clone()],
            _ => Vec::new(),
        }
    }
}
