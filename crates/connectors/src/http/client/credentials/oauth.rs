//! Tokens of an authorization server (RFC 6749).

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method,
    header::{ACCEPT, CONTENT_TYPE},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use tidemark_engine::{Error, Result, Time};
use tokio::sync::Mutex;
use url::form_urlencoded::Serializer;

use super::{Pass, Token, TokenStore, refresh::Refresh};
use crate::{
    config::Secret,
    http::client::{
        answer,
        config::{CredentialsIn, Grant, OAuth2},
        failure::{Failed, What},
        request::Hop,
        retry::Reaction,
        wire::{Manner, Wire},
    },
};

/// Asks for tokens.
pub(super) struct OAuthTokens {
    config: OAuth2,
    /// The chain of refresh tokens, where there is one.
    refresh: Option<Mutex<Refresh>>,
}

/// The answer of the authorization server (section 5.1).
#[derive(Deserialize)]
pub(super) struct Given {
    access_token: Secret,
    #[serde(default)]
    expires_in: Option<Seconds>,
    #[serde(default)]
    pub(super) refresh_token: Option<Secret>,
}

/// Some servers write numbers as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(f64),
    Text(String),
}

/// A token is renewed this long before its end, or when a fifth of its life is left.
const AHEAD: Duration = Duration::from_secs(120);

impl OAuthTokens {
    pub(super) fn new(config: &OAuth2, tokens: Option<Arc<dyn TokenStore>>) -> Result<Self> {
        let refresh = match config.grant {
            Grant::ClientCredentials => None,
            Grant::RefreshToken => Some(Mutex::new(Refresh::new(config, tokens)?)),
        };
        Ok(Self { config: config.clone(), refresh })
    }

    /// A new token.
    pub(super) async fn token(&self, wire: &Wire) -> Result<Token, Failed> {
        let Some(refresh) = &self.refresh else {
            let asked = wire.world.now();
            return Ok(token(&self.ask(wire, None).await?, asked)?);
        };
        let mut refresh = refresh.lock().await;
        refresh.load().await?;
        // What came last time and could not be kept yet, before anything else: the server knows no other.
        if !refresh.is_pending() {
            let asked = wire.world.now();
            let given = self.ask(wire, Some(refresh.current())).await?;
            refresh.take(given, asked);
        }
        let (given, asked) = refresh.keep().await?;
        Ok(token(&given, asked)?)
    }

    async fn ask(&self, wire: &Wire, refresh_token: Option<&Secret>) -> Result<Given, Failed> {
        let hop = self.request(refresh_token)?;
        let url = hop.url.clone();
        let what = What { method: &Method::POST, url: &url };
        let opened = wire.open(hop, None, Manner::Whole).await.map_err(|failed| self.refused(failed))?;
        let (taken, body) = wire.body(opened, None).await?;
        serde_json::from_slice(&body).map_err(|_| {
            let word =
                answer::code(&taken.headers, &body).map(|code| format!(": `{code}`")).unwrap_or_default();
            let error = Error::denied(format!("{what} was answered without a token{word}"));
            Failed::stop(error.hint("check `auth.token_url`, and what `auth` asks for"))
        })
    }

    fn request(&self, refresh_token: Option<&Secret>) -> Result<Hop> {
        let config = &self.config;
        let mut form = Serializer::new(String::new());
        match refresh_token {
            None => form.append_pair("grant_type", "client_credentials"),
            Some(token) => {
                form.append_pair("grant_type", "refresh_token").append_pair("refresh_token", token.expose())
            }
        };
        for (name, value) in [("scope", &config.scope), ("audience", &config.audience)] {
            if let Some(value) = value {
                form.append_pair(name, value);
            }
        }
        for (name, value) in &config.params {
            form.append_pair(name, value.expose());
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let mut hop =
            Hop { method: Method::POST, url: config.token_url.0.clone(), headers, body: Bytes::new() };
        let secret = config.client_secret.as_ref().map(Secret::expose);
        match (config.credentials_in, secret) {
            (CredentialsIn::Header, Some(secret)) => {
                // Encoded first (section 2.3.1), so that a `:` in either is none between them.
                let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
                Pass::basic(&encode(&config.client_id), &encode(secret))?.apply(&mut hop, Time::EPOCH)?;
            }
            (_, secret) => {
                form.append_pair("client_id", &config.client_id);
                if let Some(secret) = secret {
                    form.append_pair("client_secret", secret);
                }
            }
        }
        hop.body = form.finish().into();
        Ok(hop)
    }

    /// A refusal to give a token is final: nothing else could be shown.
    fn refused(&self, failed: Failed) -> Failed {
        let Failed { mut failure, reaction } = failed;
        let reaction = match reaction {
            // Nor do others who use the connection have to wait for the authorization server.
            Reaction::Repeat(wait) | Reaction::RepeatTogether(wait) => Reaction::Repeat(wait),
            Reaction::Renew | Reaction::Stop => Reaction::Stop,
        };
        if !reaction.is_repeat()
            && matches!(failure.status.map(|status| status.as_u16()), Some(400 | 401 | 403))
        {
            let hint = match self.config.grant {
                Grant::ClientCredentials => "check `client_id`, `client_secret` and `scope` under `auth`",
                Grant::RefreshToken => {
                    "check `client_id` and `client_secret` under `auth`; where the refresh token has ended or was used \
                     elsewhere, let a person make a new one and give it as `refresh_token`"
                }
            };
            *failure.error = Error::denied(failure.error.message()).hint(hint);
            // It is the authorization server's status, and tells nothing of the source.
            failure.status = None;
        }
        Failed { failure, reaction }
    }
}

fn token(given: &Given, asked: Time) -> Result<Token> {
    let seconds = given.expires_in.as_ref().and_then(|seconds| match seconds {
        Seconds::Number(number) => Some(*number),
        Seconds::Text(text) => text.parse().ok(),
    });
    let until = seconds.filter(|seconds| seconds.is_finite() && *seconds >= 0.0).map(|seconds| {
        let life = Duration::from_secs_f64(seconds.min(1e9));
        let used = life.saturating_sub(AHEAD.min(life / 5));
        Time::from_micros(asked.as_micros().saturating_add(used.as_micros() as i64))
    });
    Ok(Token { pass: Arc::new(Pass::bearer(given.access_token.expose())?), until })
}
