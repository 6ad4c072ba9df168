//! What senders are told. Never why a signature is not good, and never a word of what they sent.

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};

use super::{Answer, Format};

/// A request that is not taken, as HTTP says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Nothing is read at its path.
    Path,
    /// Only POST is.
    Method,
    /// It is not of the type that is read there.
    Type,
    /// Its body is too large.
    Large,
    /// Its body took too long to come.
    Slow,
    /// Its body ended before its end.
    Cut,
    /// It does not show where it comes from; what it should bring.
    Unverified(&'static str),
    /// It cannot be read.
    Unreadable,
    /// Too many requests wait.
    Many,
    /// It cannot be made durable now.
    Unavailable,
}

/// Seconds after which it is worth to try again.
const AFTER_MANY: HeaderValue = HeaderValue::from_static("1");
const AFTER_UNAVAILABLE: HeaderValue = HeaderValue::from_static("10");

impl Refusal {
    /// As it is sent.
    pub(super) fn response(&self) -> Response<Body> {
        let (status, text) = match self {
            Self::Path => (StatusCode::NOT_FOUND, "nothing is read here"),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "send it with POST"),
            Self::Type => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "another type or encoding is read here"),
            Self::Large => (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"),
            Self::Slow => (StatusCode::REQUEST_TIMEOUT, "the body took too long"),
            Self::Cut => (StatusCode::BAD_REQUEST, "the body is not whole"),
            Self::Unverified(_) => (StatusCode::UNAUTHORIZED, "not verified"),
            Self::Unreadable => (StatusCode::BAD_REQUEST, "the body cannot be read"),
            Self::Many => (StatusCode::TOO_MANY_REQUESTS, "too many requests wait: come again"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "it cannot be kept now: come again"),
        };
        let mut response = plain(status, format!("{text}\n"));
        let headers = response.headers_mut();
        match self {
            Self::Method => drop(headers.insert(header::ALLOW, HeaderValue::from_static("POST"))),
            Self::Unverified(asked) => {
                drop(headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(asked)));
            }
            Self::Many => drop(headers.insert(header::RETRY_AFTER, AFTER_MANY)),
            Self::Unavailable => drop(headers.insert(header::RETRY_AFTER, AFTER_UNAVAILABLE)),
            // What is left of the body is not read.
            Self::Large | Self::Slow | Self::Cut => {
                drop(headers.insert(header::CONNECTION, HeaderValue::from_static("close")));
            }
            Self::Path | Self::Type | Self::Unreadable => {}
        }
        response
    }
}

impl Answer {
    /// As it is sent.
    pub(super) fn response(&self) -> Response<Body> {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        plain(status, self.body.clone())
    }
}

/// Text that nobody takes for anything else.
pub(super) fn plain(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

impl Format {
    /// Its name in the pipeline file.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Xml => "xml",
            Self::Form => "form",
        }
    }
}
