//! Tokens of a login.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{CONTENT_TYPE, SET_COOKIE},
};
use tidemark_engine::{Error, Result, Time};

use super::{Pass, Token};
use crate::{
    config::Secret,
    http::client::{
        config::{Session, SessionToken},
        failure::{Failed, What},
        request::Hop,
        retry::Reaction,
        template::Template,
        wire::{Manner, Wire},
    },
};

/// Logs in.
pub(super) struct Sessions {
    config: Session,
    method: Method,
    body: Template,
    /// The header that carries the token, and its value over it.
    header: (String, Template),
}

impl Sessions {
    pub(super) fn new(config: &Session) -> Result<Self> {
        let method = Method::from_bytes(config.login.method.as_bytes())
            .map_err(|_| Error::config(format!("`{}` is no method", config.login.method)))?;
        let (name, value) = match (&config.header, &config.token) {
            (Some(header), _) => (header.name.as_str(), header.value.clone()),
            (None, SessionToken::Json(_)) => ("authorization", "Bearer {{ token }}".to_owned()),
            (None, SessionToken::Cookie(cookie)) => ("cookie", format!("{cookie}={{{{ token }}}}")),
        };
        let header = (name.to_owned(), Template::parse(&value)?);
        Ok(Self {
            method,
            body: Template::parse(config.login.body.expose())?,
            header,
            config: config.clone(),
        })
    }

    /// The token of a new login.
    pub(super) async fn token(&self, wire: &Wire) -> Result<Token, Failed> {
        let hop = self.request()?;
        let url = hop.url.clone();
        let what = What { method: &self.method, url: &url };
        let begun = wire.world.now();
        let opened = wire.open(hop, None, Manner::Login).await.map_err(refused)?;
        let (taken, body) = wire.body(opened, None).await?;
        let token = match &self.config.token {
            SessionToken::Cookie(name) => cookie(&taken.headers, name),
            SessionToken::Json(path) => path.find(&body).ok().flatten().and_then(|value| match value {
                serde_json::Value::String(text) => Some(Secret::new(text)),
                serde_json::Value::Number(number) => Some(Secret::new(number.to_string())),
                _ => None,
            }),
        };
        let token = token.ok_or_else(|| {
            Failed::stop(
                Error::denied(format!("{what} was answered without a token"))
                    .hint("check the login, and where `auth.token` looks for the token"),
            )
        })?;
        let (name, value) = &self.header;
        let pass = Pass::header(name, &value.render(&BTreeMap::from([("token", token.expose())]))?)?;
        let until = self
            .config
            .lifetime
            .map(|life| Time::from_micros(begun.as_micros().saturating_add(life.0.as_micros() as i64)));
        Ok(Token { pass: Arc::new(pass), until })
    }

    fn request(&self) -> Result<Hop> {
        let login = &self.config.login;
        let values: BTreeMap<&str, &str> =
            login.values.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
        let body = Bytes::from(self.body.render(&values)?);
        let mut headers = HeaderMap::new();
        if !body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for (name, value) in &login.headers {
            let unsound = || Error::config(format!("the header `{name}` of the login cannot be sent"));
            let header = HeaderName::try_from(name.as_str()).map_err(|_| unsound())?;
            let mut value = HeaderValue::from_str(value.expose()).map_err(|_| unsound())?;
            value.set_sensitive(true);
            headers.insert(header, value);
        }
        Ok(Hop { method: self.method.clone(), url: login.url.0.clone(), headers, body })
    }
}

/// A login that is refused is refused: there is nothing to renew it with.
fn refused(failed: Failed) -> Failed {
    let Failed { mut failure, reaction } = failed;
    if !reaction.is_repeat() && matches!(failure.status.map(|status| status.as_u16()), Some(400 | 401 | 403))
    {
        *failure.error =
            Error::denied(failure.error.message()).hint("check the user and the password of `auth.login`");
    }
    failure.status = None;
    let reaction = match reaction {
        Reaction::Repeat(wait) | Reaction::RepeatTogether(wait) => Reaction::Repeat(wait),
        Reaction::Renew | Reaction::Stop => Reaction::Stop,
    };
    Failed { failure, reaction }
}

/// The value of the cookie `name` that an answer sets.
fn cookie(headers: &HeaderMap, name: &str) -> Option<Secret> {
    headers.get_all(SET_COOKIE).iter().find_map(|set| {
        let (found, value) = set.to_str().ok()?.split(';').next()?.split_once('=')?;
        (found.trim() == name && !value.trim().is_empty()).then(|| Secret::new(value.trim()))
    })
}
