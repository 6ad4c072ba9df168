//! Where a redirect leads to.

use http::{
    HeaderMap, Method, StatusCode,
    header::{ACCEPT, ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION},
};
use tidemark_engine::{Error, Result};
use url::Url;

use super::{request::Hop, shown::Shown};

/// Redirects that are followed for one request.
pub(super) const MOST: usize = 5;

/// The request that `hop`, answered with `status` and `headers`, is to be sent as instead; `None` when that is no redirect.
///
/// Another server gets nothing that was meant for this one: no header but those that say what is understood, and no body.
pub(super) fn next(hop: &Hop, status: StatusCode, headers: &HeaderMap) -> Result<Option<Hop>> {
    let keeps_method = match status.as_u16() {
        301..=303 => false,
        307 | 308 => true,
        _ => return Ok(None),
    };
    let Some(location) = headers.get(LOCATION) else { return Ok(None) };
    let from = Shown(&hop.url);
    let url: Option<Url> = location.to_str().ok().and_then(|location| hop.url.join(location).ok());
    let mut url = url.ok_or_else(|| Error::data(format!("`{from}` redirects to what is no address")))?;
    url.set_fragment(None);
    if hop.url.scheme() == "https" && url.scheme() != "https" {
        return Err(Error::denied(format!("`{from}` redirects to `{}`, in the clear", Shown(&url)))
            .hint("give the address that it is to be read from, with https"));
    }
    let is_read = matches!(hop.method, Method::GET | Method::HEAD);
    let mut next = Hop { url, ..hop.clone() };
    if !keeps_method && !is_read {
        next.method = Method::GET;
        next.body.clear();
        next.headers.remove(CONTENT_TYPE);
        next.headers.remove(CONTENT_LENGTH);
    }
    if next.url.origin() != hop.url.origin() {
        if !next.body.is_empty() {
            return Err(Error::denied(format!(
                "`{from}` redirects a request with a body to `{}`",
                Shown(&next.url)
            ))
            .hint("give the address that it is to be sent to"));
        }
        let kept = [ACCEPT, ACCEPT_ENCODING].into_iter();
        next.headers = kept.filter_map(|name| Some((name.clone(), hop.headers.get(name)?.clone()))).collect();
    }
    Ok(Some(next))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn follow(method: Method, from: &str, status: u16, to: &str) -> Result<Option<Hop>> {
        let mut headers = HeaderMap::new();
        for name in ["accept", "authorization", "x-key", "content-type"] {
            headers.insert(name, "v".parse().unwrap());
        }
        let body = if method == Method::POST { Bytes::from_static(b"secret") } else { Bytes::new() };
        let hop = Hop { method, url: from.parse().unwrap(), headers, body };
        let location = [(LOCATION, to.parse().unwrap())].into_iter().collect();
        next(&hop, StatusCode::from_u16(status).unwrap(), &location)
    }

    #[test]
    fn another_server_gets_nothing_meant_for_this_one() {
        let next = follow(Method::GET, "https://a.example/x", 302, "https://b.example/y").unwrap().unwrap();
        assert_eq!(next.headers.keys().map(|name| name.as_str()).collect::<Vec<_>>(), ["accept"]);
        let next =
            follow(Method::GET, "https://a.example/x", 302, "https://a.example:444/y").unwrap().unwrap();
        assert_eq!(next.headers.len(), 1);
        let next = follow(Method::GET, "https://a.example/x/", 302, "../y?a=b#c").unwrap().unwrap();
        assert_eq!((next.url.as_str(), next.headers.len()), ("https://a.example/y?a=b", 4));
    }

    #[test]
    fn methods_follow_the_status() {
        let next = follow(Method::POST, "https://a.example/x", 303, "/y").unwrap().unwrap();
        assert_eq!((next.method, next.body.len()), (Method::GET, 0));
        let next = follow(Method::POST, "https://a.example/x", 307, "/y").unwrap().unwrap();
        assert_eq!((next.method, next.body.len()), (Method::POST, 6));
        assert!(follow(Method::POST, "https://a.example/x", 308, "https://b.example/").is_err());
        assert!(follow(Method::GET, "https://a.example/x", 304, "/y").unwrap().is_none());
    }

    #[test]
    fn nothing_leaves_encryption() {
        assert!(follow(Method::GET, "https://a.example/x", 302, "http://a.example/x").is_err());
        assert!(follow(Method::GET, "http://a.example/x", 302, "https://a.example/x").is_ok());
    }
}
