//! One stream as whoever sends to it meets it: who may, and what becomes of what they send.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, Uri};
use bytes::Bytes;
use tidemark_engine::{Error, Result, Time};

use super::{
    Answer, Handshake, StreamConfig,
    body::{Body, IdPath},
    gathered::Message,
    ids::Id,
    verify::{Request, Verifier, VerifyConfig},
};
use crate::records::Outline;

/// A path that takes messages of a stream.
pub(super) struct Hook {
    pub(super) outline: Outline,
    pub(super) path: Arc<str>,
    pub(super) body: Body,
    pub(super) verifier: Verifier,
    pub(super) answer: Answer,
    pub(super) handshake: Option<Handshake>,
    id: Option<IdPlace>,
    headers: Vec<HeaderName>,
}

/// Where a message's id stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum IdPlace {
    Header(HeaderName),
    Body(IdPath),
}

/// Why a request is not taken.
#[derive(Debug)]
pub(super) enum Unfit {
    /// It does not show where it comes from.
    Unverified,
    /// It cannot be read.
    Unreadable(Error),
}

impl Hook {
    /// As the pipeline file says, which has been validated.
    pub(super) fn new(name: &str, config: &StreamConfig) -> Result<Self> {
        let body = Body::new(config)?;
        let headers = config.headers.iter().map(|name| header(name)).collect::<Result<_>>()?;
        Ok(Self {
            outline: Outline::configured(name, &config.key, &config.exclude, &config.types)?,
            path: config.path.as_str().into(),
            id: IdPlace::new(config, &body)?,
            body,
            verifier: Verifier::new(&config.verify)?,
            answer: config.answer.clone(),
            handshake: config.handshake.clone(),
            headers,
        })
    }

    /// The headers that are kept, as columns.
    pub(super) fn headers(&self) -> impl Iterator<Item = &str> {
        self.headers.iter().map(HeaderName::as_str)
    }

    /// What a request says that came `now`: the message and its id, if messages here have one.
    pub(super) fn read(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        body: &Bytes,
        now: Time,
    ) -> Result<(Option<Id>, Message), Unfit> {
        let request = Request { uri, headers, body };
        self.verifier.verify(&request, now).map_err(|_| Unfit::Unverified)?;
        self.message(headers, body).map_err(Unfit::Unreadable)
    }

    fn message(&self, headers: &HeaderMap, body: &[u8]) -> Result<(Option<Id>, Message)> {
        let rows = self.body.rows(body, &self.path)?;
        let id = match &self.id {
            None => None,
            Some(place) => Some(self.id(place, headers, body)?),
        };
        let mut columns = Vec::new();
        for name in &self.headers {
            let mut values = Vec::new();
            for value in headers.get_all(name) {
                let text = std::str::from_utf8(value.as_bytes());
                values.push(text.map_err(|_| Error::data(format!("header `{name}` is not UTF-8")))?);
            }
            if !values.is_empty() {
                // RFC 9110, section 5.3: several lines of a header are a list.
                columns.push((name.to_string(), values.join(", ")));
            }
        }
        let twice = columns.iter().find(|(name, _)| rows.names().contains(name));
        if let Some((name, _)) = twice {
            return Err(Error::data(format!("`{name}` is a header to keep and in a record as well"))
                .hint("take it out of `headers`, or out of what is sent"));
        }
        Ok((id, Message { rows, headers: columns }))
    }

    fn id(&self, place: &IdPlace, headers: &HeaderMap, body: &[u8]) -> Result<Id> {
        let absent = || Error::data("the message has no id where it should stand").hint("correct `id`");
        match place {
            IdPlace::Header(name) => {
                let value = headers.get(name).filter(|value| !value.is_empty()).ok_or_else(absent)?;
                Ok(Id::of(value.as_bytes()))
            }
            IdPlace::Body(path) => {
                let text = path.id(body, &self.path)?.filter(|text| !text.is_empty()).ok_or_else(absent)?;
                Ok(Id::of(text.as_bytes()))
            }
        }
    }
}

impl IdPlace {
    /// As the pipeline file says; `None` where messages have no id.
    pub(super) fn new(config: &StreamConfig, body: &Body) -> Result<Option<Self>> {
        let text = match (&config.id, &config.verify) {
            (Some(text), _) => text,
            (None, VerifyConfig::StandardWebhooks(_)) => "header:webhook-id",
            (None, _) => return Ok(None),
        };
        match text.split_once(':') {
            Some(("header", name)) => header(name).map(Self::Header).map(Some),
            Some(("body", path)) if !path.is_empty() => IdPath::parse(path, body).map(Self::Body).map(Some),
            _ => Err(Error::config(format!("`{text}` does not say where an id stands"))
                .hint("write `header:NAME` or `body:PATH`, such as `body:$.event.id`")),
        }
    }
}

fn header(name: &str) -> Result<HeaderName> {
    HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| Error::config(format!("`{name}` is no header's name")))
}
