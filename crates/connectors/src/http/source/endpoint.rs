//! One address of an API: a request for a page, and what came of it.

use std::sync::Arc;

use http::StatusCode;
use tidemark_engine::{Error, Result};

use super::{
    super::{
        client::Client,
        config::{ChangesConfig, Format, SourceConfig, StreamConfig},
    },
    decoding::{Decoded, Decoding},
    next::{self, Paged},
    outgoing::Outgoing,
    place::Place,
    values::Values,
};
use crate::records::{RecordPath, XmlPath, text_beside, xml_text_at};

/// Where a stream's records are asked for.
pub(super) struct Endpoint {
    client: Arc<Client>,
    outgoing: Outgoing,
    decoding: Decoding,
    paged: Paged,
    /// Where an answer holds what to ask with next time.
    delta: Option<Token>,
    /// How the server says that it does not know a token any more.
    expired: Vec<String>,
}

/// Where an answer holds a token.
enum Token {
    /// In JSON: a token, or a link.
    Json(RecordPath),
    /// In XML: a token, whatever it looks like.
    Xml(XmlPath),
}

/// A page as it came.
pub(super) struct Came {
    pub(super) decoded: Decoded,
    pub(super) next: Option<Place>,
    pub(super) delta: Option<String>,
    pub(super) bytes: usize,
    pub(super) origin: String,
}

/// What came of asking.
pub(super) enum Outcome {
    Came(Came),
    /// Nothing has changed (304).
    Unchanged,
    /// What was to be gone on from is gone (410).
    Gone,
    /// There is nothing at the address (404).
    Missing(Error),
    /// The request makes no sense to the server (400).
    Refused(Error),
}

impl Endpoint {
    /// As the pipeline file says.
    pub(super) fn new(client: Arc<Client>, source: &SourceConfig, stream: &StreamConfig) -> Result<Self> {
        let delta = match (stream.changes(), &stream.delta) {
            (ChangesConfig::Delta, Some(delta)) => Some(match stream.format {
                Format::Xml => Token::Xml(XmlPath::configured(&delta.next)?),
                _ => Token::Json(delta.next.parse()?),
            }),
            _ => None,
        };
        let expired = stream.delta.as_ref().map(|delta| delta.expired.clone()).unwrap_or_default();
        Ok(Self {
            client,
            outgoing: Outgoing::new(source, stream)?,
            decoding: Decoding::new(stream)?,
            paged: Paged::new(&stream.paging)?,
            delta,
            expired,
        })
    }

    /// The address that `delta` is, where it is one.
    pub(super) fn link(&self, delta: &str) -> Option<Place> {
        let is_link = delta.starts_with("https://") || delta.starts_with("http://");
        (is_link && matches!(self.delta, Some(Token::Json(_)))).then(|| Place::Url(delta.to_owned()))
    }

    /// Asks for the page at `place`; `None` is the first.
    pub(super) async fn ask(&self, place: Option<&Place>, values: &Values) -> Result<Outcome> {
        let request = self.outgoing.request(place, values)?;
        let origin = shown(&request.url);
        let answer = match self.client.send(&request).await {
            Ok(answer) => answer,
            Err(failure) if failure.is_gone() || self.expired.iter().any(|word| failure.says(word)) => {
                return Ok(Outcome::Gone);
            }
            Err(failure) if failure.status == Some(StatusCode::NOT_FOUND) => {
                return Ok(Outcome::Missing(failure.into()));
            }
            Err(failure) if failure.status == Some(StatusCode::BAD_REQUEST) => {
                return Ok(Outcome::Refused(failure.into()));
            }
            Err(failure) => return Err(failure.into()),
        };
        match answer.status {
            StatusCode::NOT_MODIFIED => return Ok(Outcome::Unchanged),
            StatusCode::NO_CONTENT | StatusCode::OK | StatusCode::MULTI_STATUS => {}
            status => {
                return Err(Error::data(format!(
                    "`{origin}` was answered with {status}, which is no page of records"
                ))
                .hint("check the address and the method"));
            }
        }
        let first = self.outgoing.first();
        // A page is small work: what is heavy about it is done where pages are compared.
        let decoded = self.decoding.decode(&answer.body, &origin)?;
        let read = decoded.records.len() + decoded.gone.as_ref().map_or(0, |(gone, _)| gone.len());
        let passed = decoded.passed;
        let next =
            self.paged.next(place, &answer, (decoded.records.as_ref(), read), (first, passed), &origin)?;
        if next.is_some() && next.as_ref() == place {
            return Err(Error::data(format!("the page after `{origin}` is the same page"))
                .hint("look at what the server sends, and at `paging`"));
        }
        let delta = match (&self.delta, &next) {
            (Some(Token::Xml(path)), None) => xml_text_at(&answer.body, path, &origin)?,
            (Some(Token::Json(path)), None) => {
                text_beside(&answer.body, path, &origin, passed)?.map(|link| {
                    // A relative link begins where the answer came from; a token is none.
                    let is_link =
                        link.starts_with("http://") || link.starts_with("https://") || link.starts_with('/');
                    match is_link.then(|| next::absolute(&answer.url, &link, &origin)) {
                        Some(Ok(Place::Url(url))) => url,
                        _ => link,
                    }
                })
            }
            _ => None,
        };
        Ok(Outcome::Came(Came { decoded, next, delta, bytes: answer.body.len(), origin }))
    }
}

/// A URL without what may be secret in it: the query.
pub(super) fn shown(url: &url::Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    shown.set_fragment(None);
    // It cannot fail: requests go to http and https alone, which have a place for these.
    let _ = (shown.set_username(""), shown.set_password(None));
    shown.into()
}
