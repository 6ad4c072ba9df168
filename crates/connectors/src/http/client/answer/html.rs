//! Pages for people.

use http::{HeaderMap, header::CONTENT_TYPE};

/// Whether this is a web page: a login, a notice of maintenance, a captive portal.
pub(in crate::http::client) fn is_page(headers: &HeaderMap, body: &[u8]) -> bool {
    let kind =
        headers.get(CONTENT_TYPE).map(|value| value.as_bytes().to_ascii_lowercase()).unwrap_or_default();
    if kind.starts_with(b"text/html") || kind.starts_with(b"application/xhtml") {
        return true;
    }
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
    let begins = |with: &[u8]| body.get(..with.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(with));
    begins(b"<!doctype html") || begins(b"<html")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_told_by_what_they_say_and_what_they_are() {
        let html = [(CONTENT_TYPE, "Text/HTML; charset=utf-8".parse().unwrap())].into_iter().collect();
        let none = HeaderMap::new();
        assert!(is_page(&html, b"{}"));
        for page in ["<!DOCTYPE HTML><p>", " \n<html lang=en>", "\u{feff}<!doctype html>"] {
            assert!(is_page(&none, page.as_bytes()), "{page}");
        }
        for other in ["", "{\"a\": \"<html>\"}", "<?xml version='1.0'?><a/>", "<feed/>"] {
            assert!(!is_page(&none, other.as_bytes()), "{other}");
        }
    }
}
