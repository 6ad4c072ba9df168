//! The requests that messages become.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use tidemark_engine::{Error, Result};
use url::Url;

use super::{DestinationConfig, Verb, values::Values};
use crate::{
    http::client::{Expect, Request, Template, WEBHOOK_ID},
    messages::Message,
};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("application/cloudevents-batch+json");
/// What is encoded in a header: "HTTP Protocol Binding for CloudEvents", section 3.1.3.2.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// Puts messages into requests.
pub(super) struct Wording {
    headers: Vec<(HeaderName, Template)>,
    body: Option<Template>,
    is_batch: bool,
    expect: Expect,
}

impl Wording {
    pub(super) fn new(config: &DestinationConfig) -> Result<Self> {
        let header = |(name, value): (&String, &crate::config::Secret)| {
            let unsound = |_| Error::config(format!("`{name}` is no name of a header"));
            Ok((HeaderName::try_from(name.as_str()).map_err(unsound)?, Template::parse(value.expose())?))
        };
        Ok(Self {
            headers: config.headers.iter().map(header).collect::<Result<_>>()?,
            body: config.body.as_deref().map(Template::parse).transpose()?,
            is_batch: config.batch.is_some(),
            // What tells of errors inside is looked for in JSON.
            expect: if config.client.error_when.is_some() { Expect::Json } else { Expect::Anything },
        })
    }

    /// The request of these messages, which go to one place by one method. There is one of them, or it is a batch.
    pub(super) fn request(&self, messages: &[Message], verb: Verb) -> Result<Request> {
        let Some(first) = messages.first() else { return Err(Error::internal("a request of no messages")) };
        let url = url(&first.place)?;
        let mut headers = HeaderMap::new();
        headers.insert(WEBHOOK_ID, plain(WEBHOOK_ID, &self.id(messages))?);
        if !self.is_batch {
            for (name, value) in &first.headers {
                let value = utf8_percent_encode(value, ENCODED).to_string();
                headers.insert(*name, plain(HeaderName::from_static(name), &value)?);
            }
        }
        let values = match messages {
            [message] if !self.is_batch => Values::of(message.body.as_deref().unwrap_or_default())?,
            _ => Values::of(b"")?,
        };
        for (name, template) in &self.headers {
            let value = template.render(&values).map_err(|error| mute(error, name.as_str()))?;
            let mut value = plain(name.clone(), &value)?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let body = if verb == Verb::Delete { Bytes::new() } else { self.body(messages)? };
        if !body.is_empty() {
            let kind = match (self.is_batch, self.body.is_some()) {
                (false, _) => HeaderValue::from_static(first.content_type),
                (true, false) if first.content_type.starts_with("application/cloudevents+json") => EVENTS,
                (true, _) => JSON,
            };
            headers.entry(CONTENT_TYPE).or_insert(kind);
        }
        Ok(Request { method: verb.method(), url, headers, body, expect: self.expect })
    }

    /// That of the one change; of a batch another whenever it holds others, for who has seen one with its id takes it no more.
    fn id(&self, messages: &[Message]) -> String {
        match messages {
            [message] if !self.is_batch => message.id.clone(),
            _ => {
                let mut hasher = blake3::Hasher::new();
                for message in messages {
                    hasher.update(message.id.as_bytes()).update(b"\n");
                }
                format!("batch-{}", hasher.finalize().to_hex())
            }
        }
    }

    fn body(&self, messages: &[Message]) -> Result<Bytes> {
        let bodies = messages.iter().map(|message| self.body_of(message)).collect::<Result<Vec<_>>>()?;
        match <[Bytes; 1]>::try_from(bodies) {
            Ok([body]) if !self.is_batch => Ok(body),
            Ok(bodies) => Ok(array(&bodies)),
            Err(bodies) => Ok(array(&bodies)),
        }
    }

    fn body_of(&self, message: &Message) -> Result<Bytes> {
        let envelope = message.body.clone().unwrap_or_default();
        let Some(template) = &self.body else { return Ok(envelope) };
        let values = Values::of(&envelope)?;
        let body = Bytes::from(template.render(&values).map_err(|error| mute(error, "body"))?);
        let is_sound = !self.is_batch || serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok();
        match is_sound {
            true => Ok(body),
            false => {
                Err(Error::data("the body that the template makes is no JSON, and cannot stand in a batch")
                    .hint("quote texts by `| json`, or take `batch` out"))
            }
        }
    }
}

/// A JSON array. What has no body is `null`.
fn array(bodies: &[Bytes]) -> Bytes {
    let mut array = vec![b'['];
    for (at, body) in bodies.iter().enumerate() {
        if at > 0 {
            array.push(b',');
        }
        array.extend_from_slice(if body.is_empty() { b"null" } else { body });
    }
    array.push(b']');
    array.into()
}

/// The URL at `place`. What a change says cannot lead out of the place that it stands in.
fn url(place: &str) -> Result<Url> {
    let leads_away = |part: &str| matches!(&*percent_decode_str(part).collect::<Vec<u8>>(), b"." | b"..");
    let path = place.split(['?', '#']).next().unwrap_or_default();
    if path.split('/').any(leads_away) {
        return Err(Error::data("what a change says cannot stand in `url`: it would lead elsewhere")
            .hint("use a template whose values are names: `{key}`"));
    }
    Url::parse(place).map_err(|error| Error::data("what a change says cannot stand in `url`").source(error))
}

fn plain(name: HeaderName, value: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(value).map_err(|_| {
        Error::data(format!("what a change says cannot stand in the header `{name}`"))
            .hint("encode it: `{{ values.name | urlencode }}`")
    })
}

/// A template asks for what this change does not say.
fn mute(error: Error, place: &str) -> Error {
    Error::data(format!("the template of `{place}` does not fit a change: {}", error.message()))
        .hint("ask for what every change has, or give a default by `{% if %}`")
}
