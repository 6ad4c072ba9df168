//! The server's own word for an error.

use http::HeaderMap;
use quick_xml::events::Event;

use crate::http::client::pointer::JsonPath;

/// Where servers put it: Azure, Graph and OData; SharePoint; OAuth; GraphQL; Salesforce; others; AWS, behind the name of its shapes.
const PLACES: [&str; 9] = [
    "/error/code",
    "/odata.error/code",
    "/error",
    "/errors/0/extensions/code",
    "/errors/0/code",
    "/0/errorCode",
    "/code",
    "/errorCode",
    "/__type",
];

/// Longer ones are sentences.
const LONGEST: usize = 64;

/// The code that an answer gives for its error. It is one word of letters, digits and `._:-`: nothing else of a body is shown,
/// for it may repeat what was sent.
pub(in crate::http::client) fn code(headers: &HeaderMap, body: &[u8]) -> Option<String> {
    let header = headers.get("x-ms-error-code").and_then(|value| value.to_str().ok()).and_then(word);
    header.or_else(|| of_json(body)).or_else(|| of_xml(body))
}

fn of_json(body: &[u8]) -> Option<String> {
    PLACES.iter().find_map(|place| match JsonPath::parse(place)?.find(body).ok()?? {
        // SharePoint puts a number before its word: `-1, System.ArgumentException`.
        serde_json::Value::String(text) => {
            let text = text.rsplit_once('#').map_or(text.as_str(), |(_, name)| name);
            word(text.split_once(", ").map_or(
                text,
                |(number, name)| {
                    if number.parse::<i64>().is_ok() { name } else { text }
                },
            ))
        }
        serde_json::Value::Number(number) => word(&number.to_string()),
        _ => None,
    })
}

/// `<Code>` of AWS and of Azure's storage; the condition that WebDAV names (RFC 4918, section 16).
fn of_xml(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let Some((_, rest)) = text.split_once("<Code>") else { return of_webdav(text) };
    word(rest.split_once("</Code>")?.0)
}

/// The name of the first element in `error`.
fn of_webdav(text: &str) -> Option<String> {
    let mut reader = quick_xml::Reader::from_str(text);
    let mut is_error = false;
    loop {
        match reader.read_event().ok()? {
            Event::Start(element) | Event::Empty(element) if is_error => {
                return word(std::str::from_utf8(element.local_name().as_ref()).ok()?);
            }
            Event::Start(element) if element.local_name().as_ref() == b"error" => is_error = true,
            Event::Start(_) | Event::Empty(_) | Event::Eof => return None,
            _ => {}
        }
    }
}

fn word(text: &str) -> Option<String> {
    let sound = |c: char| c.is_ascii_alphanumeric() || "._:-".contains(c);
    (!text.is_empty() && text.len() <= LONGEST && text.chars().all(sound)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_words_and_nothing_else_is_shown() {
        let none = HeaderMap::new();
        for (body, wanted) in [
            (r#"{"error": {"code": "resyncRequired", "message": "secret"}}"#, Some("resyncRequired")),
            (r#"{"error": "invalid_grant", "error_description": "secret"}"#, Some("invalid_grant")),
            (r#"{"errors": [{"extensions": {"code": "THROTTLED"}}]}"#, Some("THROTTLED")),
            (r#"{"code": 40014}"#, Some("40014")),
            (
                r#"{"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "secret"}"#,
                Some("QueueDoesNotExist"),
            ),
            (
                r#"{"odata.error": {"code": "-1, System.ArgumentException"}}"#,
                Some("System.ArgumentException"),
            ),
            (r#"{"odata.error": {"code": "a, secret"}}"#, None),
            (r#"[{"message": "secret", "errorCode": "INVALID_FIELD"}]"#, Some("INVALID_FIELD")),
            ("<Error><Code>AccessDenied</Code><Message>secret</Message></Error>", Some("AccessDenied")),
            (
                r#"<?xml version="1.0"?><D:error xmlns:D="DAV:"><D:valid-sync-token/></D:error>"#,
                Some("valid-sync-token"),
            ),
            (r#"<error xmlns="DAV:"><a><b/></a>secret</error>"#, Some("a")),
            ("<html><error><a/></error></html>", None),
            (r#"{"error": {"code": "no word at all"}}"#, None),
            (r#"{"message": "secret"}"#, None),
            ("secret", None),
            ("", None),
        ] {
            assert_eq!(code(&none, body.as_bytes()).as_deref(), wanted, "{body}");
        }
        let azure =
            [("x-ms-error-code".parse().unwrap(), "TableNotFound".parse().unwrap())].into_iter().collect();
        assert_eq!(code(&azure, b"").as_deref(), Some("TableNotFound"));
    }
}
