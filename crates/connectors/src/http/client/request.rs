//! What is asked of a server, and what it answers.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use url::Url;

/// A request, without credentials: the client adds them.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) expect: Expect,
}

impl Request {
    /// Asks for what is at `url`, which answers in JSON.
    pub(crate) fn get(url: Url) -> Self {
        Self { method: Method::GET, url, headers: HeaderMap::new(), body: Bytes::new(), expect: Expect::Json }
    }
}

/// What an answer has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// A JSON document in UTF-8, whole.
    Json,
    /// Text in UTF-8 that is no page for people: CSV, XML, lines of JSON.
    Text,
    /// Whatever it is.
    Anything,
}

/// An answer that can be used: it says success (2xx) or that nothing changed (304), is whole, and is what was expected.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Unpacked, without a byte order mark.
    pub(crate) body: Bytes,
    /// Where it came from, after redirects: what links in it are relative to.
    pub(crate) url: Url,
}

impl fmt::Debug for Answer {
    /// Without its body: that is what nobody logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({}, {} bytes)", self.status, self.body.len())
    }
}

/// A request on its way to one server.
#[derive(Debug, Clone)]
pub(super) struct Hop {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl From<&Request> for Hop {
    fn from(request: &Request) -> Self {
        Self {
            method: request.method.clone(),
            url: request.url.clone(),
            headers: request.headers.clone(),
            body: request.body.clone(),
        }
    }
}
