//! Whether a request comes from who it should. Everything is compared in constant time, over the bytes as they came, and no sender
//! learns why it was refused.

mod config;
mod problems;
mod signature;
mod standard;
mod template;
#[cfg(test)]
mod tests;
mod timestamp;

use axum::http::{HeaderMap, Uri, header};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::time::Duration;
use tidemark_engine::{Error, Result, Time};

pub use config::{
    Algorithm, BasicConfig, Encoding, HmacConfig, Secrets, SharedSecretConfig, StandardConfig, VerifyConfig,
};
pub(super) use problems::header;
use standard::Standard;
pub(super) use standard::key;
use template::Template;

use super::form;

/// A request that does not show where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unverified;

/// A request as it came.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

impl<'a> Request<'a> {
    /// The one value of a header. Of two, nobody knows which was meant.
    fn header(&self, name: &str) -> Result<&'a [u8], Unverified> {
        let mut values = self.headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => Ok(value.as_bytes()),
            _ => Err(Unverified),
        }
    }
}

/// Verifies the requests of one stream.
#[derive(Clone)]
pub(super) enum Verifier {
    Standard(Standard),
    Hmac(Hmac),
    Shared(Shared),
    Basic(Basic),
    Nobody,
}

/// An HMAC in a header.
#[derive(Clone)]
pub(super) struct Hmac {
    config: HmacConfig,
    signed: Template,
    tolerance: Duration,
}

/// The secret itself.
#[derive(Clone)]
pub(super) struct Shared(SharedSecretConfig);

/// A user and a password.
#[derive(Clone)]
pub(super) struct Basic(BasicConfig);

impl Verifier {
    /// As the pipeline file says, which has been validated.
    pub(super) fn new(config: &VerifyConfig) -> Result<Self> {
        Ok(match config {
            VerifyConfig::StandardWebhooks(config) => Self::Standard(
                Standard::new(config)
                    .ok_or_else(|| Error::config("a secret of `standard-webhooks` is not base64"))?,
            ),
            VerifyConfig::Hmac(config) => Self::Hmac(Hmac {
                config: config.clone(),
                signed: match &config.signed {
                    None => Template::body(),
                    Some(text) => Template::parse(text)
                        .ok_or_else(|| Error::config(format!("`{text}` does not say what is signed")))?,
                },
                tolerance: config.tolerance.0,
            }),
            VerifyConfig::SharedSecret(config) => Self::Shared(Shared(config.clone())),
            VerifyConfig::Basic(config) => Self::Basic(Basic(config.clone())),
            VerifyConfig::None => Self::Nobody,
        })
    }

    /// Whether `request`, which came `now`, shows where it comes from.
    pub(super) fn verify(&self, request: &Request<'_>, now: Time) -> Result<(), Unverified> {
        match self {
            Self::Standard(standard) => standard.verify(request, now),
            Self::Hmac(hmac) => hmac.verify(request, now),
            Self::Shared(shared) => shared.verify(request),
            Self::Basic(basic) => basic.verify(request),
            // What a page in somebody's browser sends says where the page is from.
            Self::Nobody if request.headers.contains_key(header::ORIGIN) => Err(Unverified),
            Self::Nobody => Ok(()),
        }
    }

    /// What a refused sender is asked for, as `WWW-Authenticate` has it.
    pub(super) fn asks_for(&self) -> &'static str {
        match self {
            Self::Basic(_) => "Basic realm=\"webhook\", charset=\"UTF-8\"",
            _ => "Webhook",
        }
    }
}

impl Hmac {
    fn verify(&self, request: &Request<'_>, now: Time) -> Result<(), Unverified> {
        let text = request.header(&self.config.header)?;
        let text = text.strip_prefix(self.config.prefix.as_bytes()).ok_or(Unverified)?;
        let signature = self.config.encoding.decode(text).ok_or(Unverified)?;
        let sent = match &self.config.timestamp_header {
            Some(header) => {
                let sent = request.header(header)?;
                timestamp::check(sent, now, self.tolerance)?;
                sent
            }
            None => b"",
        };
        let signed = self.signed.fill(sent, request.body);
        let mut good = false;
        for secret in self.config.secret.all() {
            good |=
                signature::matches(self.config.algorithm, secret.expose().as_bytes(), &signed, &signature);
        }
        if good { Ok(()) } else { Err(Unverified) }
    }
}

impl Shared {
    fn verify(&self, request: &Request<'_>) -> Result<(), Unverified> {
        if let Some(header) = &self.0.header {
            return is_one_of(request.header(header)?, &self.0.secret);
        }
        let name = self.0.query.as_deref().unwrap_or_default();
        let fields =
            form::fields(request.uri.query().unwrap_or_default().as_bytes()).map_err(|_| Unverified)?;
        let mut values = fields.iter().filter(|(field, _)| field == name);
        match (values.next(), values.next()) {
            (Some((_, value)), None) => is_one_of(value.as_bytes(), &self.0.secret),
            _ => Err(Unverified),
        }
    }
}

impl Basic {
    /// RFC 7617.
    fn verify(&self, request: &Request<'_>) -> Result<(), Unverified> {
        let value = request.header("authorization")?;
        let (scheme, code) = value.split_at_checked(6).ok_or(Unverified)?;
        if !scheme.eq_ignore_ascii_case(b"basic ") {
            return Err(Unverified);
        }
        let text = STANDARD.decode(code.trim_ascii()).map_err(|_| Unverified)?;
        let colon = text.iter().position(|byte| *byte == b':').ok_or(Unverified)?;
        let is_user = is_equal(&text[..colon], self.0.user.as_bytes());
        let password = is_one_of(&text[colon + 1..], &self.0.password);
        if is_user { password } else { Err(Unverified) }
    }
}

fn is_one_of(text: &[u8], secrets: &Secrets) -> Result<(), Unverified> {
    let mut good = false;
    for secret in secrets.all() {
        good |= is_equal(text, secret.expose().as_bytes());
    }
    if good { Ok(()) } else { Err(Unverified) }
}

/// Compares in constant time: hashes do, and say nothing of lengths.
pub(super) fn is_equal(text: &[u8], secret: &[u8]) -> bool {
    blake3::hash(text) == blake3::hash(secret)
}
