//! The text of a message, as it travels.

use base64::{Engine, prelude::BASE64_STANDARD};
use quick_xml::escape::partial_escape;
use tidemark_engine::{Error, Result};

use super::Encoding;

/// What a queue takes: "Put Message", a message of up to 64 KiB.
pub(super) const LARGEST: usize = 64 << 10;

/// The request's body for a message that says `body`; `None` where that is more than a queue takes.
pub(super) fn of(body: &[u8], encoding: Encoding) -> Result<Option<String>> {
    let text = match encoding {
        Encoding::Base64 => BASE64_STANDARD.encode(body),
        Encoding::Text => plain(body)?,
    };
    let element = || format!("<QueueMessage><MessageText>{text}</MessageText></QueueMessage>");
    Ok((text.len() <= LARGEST).then(element))
}

fn plain(body: &[u8]) -> Result<String> {
    let unsound = || {
        Error::data("the message holds a character that a queue does not take as text")
            .hint("use `encoding: base64`")
    };
    let text = std::str::from_utf8(body).map_err(|_| unsound())?;
    let sound = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    // A parser makes one line feed of either.
    let escaped = |text: &str| partial_escape(text).replace('\r', "&#13;");
    if text.chars().all(sound) { Ok(escaped(text)) } else { Err(unsound()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(body: &str, encoding: Encoding) -> Option<String> {
        let element = of(body.as_bytes(), encoding).unwrap()?;
        let text = element.strip_prefix("<QueueMessage><MessageText>").unwrap();
        Some(text.strip_suffix("</MessageText></QueueMessage>").unwrap().to_owned())
    }

    #[test]
    fn messages_are_base64_or_text_of_at_most_64_kib() {
        assert_eq!(text("{\"a\": 1}", Encoding::Base64).unwrap(), "eyJhIjogMX0=");
        assert_eq!(text("a <b> & \"c\"\r", Encoding::Text).unwrap(), "a &lt;b&gt; &amp; \"c\"&#13;");
        assert!(text(&"x".repeat(48 << 10), Encoding::Base64).is_some());
        assert!(text(&"x".repeat((48 << 10) + 1), Encoding::Base64).is_none());
        assert!(text(&"x".repeat(64 << 10), Encoding::Text).is_some());
        assert!(text(&"x".repeat((64 << 10) + 1), Encoding::Text).is_none());
        for odd in [&b"\x01"[..], b"\xff", "\u{ffff}".as_bytes()] {
            assert!(of(odd, Encoding::Text).is_err() && of(odd, Encoding::Base64).is_ok());
        }
    }
}
