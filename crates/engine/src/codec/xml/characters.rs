//! Text of any characters in XML 1.0, which cannot hold all of them.
//!
//! | Character | Stands as |
//! |---|---|
//! | `&`, `<`, `>` | `&amp;`, `&lt;`, `&gt;` |
//! | line feed, carriage return | `&#10;`, `&#13;`: a parser would take the latter for the former, and a change is one line |
//! | U+0000 to U+001F otherwise, save the tab; U+FFFE, U+FFFF | `_x0000_` and so on: XML has no way to say them |
//! | `_` before `x` and four hexadecimal digits | `_x005F_`, so that `_x0000_` means one thing |
//!
//! `_xHHHH_` is what Office Open XML does (ECMA-376, part 1, section 22.9.2.19, `ST_Xstring`), and SQL/XML in names.

use std::{borrow::Cow, io::Write};

use crate::codec::text::Unsound;

/// Appends `text` as the content of an element.
pub fn write(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let mut written = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let character: &[u8] = match byte {
            b'&' => b"&amp;",
            b'<' => b"&lt;",
            b'>' => b"&gt;",
            b'\n' => b"&#10;",
            b'\r' => b"&#13;",
            b'\t' => continue,
            0..0x20 => &numbered(u32::from(*byte)),
            b'_' if is_like_an_escape(&bytes[at..]) => b"_x005F_",
            // U+FFFE and U+FFFF, in UTF-8.
            0xEF if bytes[at..].starts_with(b"\xEF\xBF\xBE") => b"_xFFFE_",
            0xEF if bytes[at..].starts_with(b"\xEF\xBF\xBF") => b"_xFFFF_",
            _ => continue,
        };
        out.extend_from_slice(&bytes[written..at]);
        out.extend_from_slice(character);
        written = at + if *byte == 0xEF { 3 } else { 1 };
    }
    out.extend_from_slice(&bytes[written..]);
}

fn numbered(code: u32) -> [u8; 7] {
    let mut text = [0; 7];
    // Four digits always fit.
    let _ = write!(&mut text[..], "_x{code:04X}_");
    text
}

fn is_like_an_escape(bytes: &[u8]) -> bool {
    matches!(bytes, [b'_', b'x', digits @ ..] if digits.len() >= 4 && digits[..4].iter().all(u8::is_ascii_hexdigit))
}

/// The text that `content`, free of entities, stands for.
pub(super) fn read(content: &str) -> Result<Cow<'_, str>, Unsound> {
    if !content.contains("_x") {
        return Ok(content.into());
    }
    let (mut text, mut rest) = (String::with_capacity(content.len()), content);
    while let Some(at) = rest.find("_x") {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        let is_escape = is_like_an_escape(from.as_bytes()) && from.as_bytes().get(6) == Some(&b'_');
        let length = if is_escape { 7 } else { 1 };
        if is_escape {
            let code = u32::from_str_radix(&from[2..6], 16).ok().and_then(char::from_u32);
            text.push(code.ok_or("an escape stands for no character")?);
        } else {
            text.push('_');
        }
        rest = &from[length..];
    }
    text.push_str(rest);
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        write(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn read_back(content: &str) -> String {
        let unescaped = quick_xml::escape::unescape(content).unwrap();
        read(&unescaped).unwrap().into_owned()
    }

    #[test]
    fn what_xml_cannot_hold_is_escaped() {
        for (text, expected) in [
            ("plain _ text_x", "plain _ text_x"),
            ("a<b>&c\n\r\t", "a&lt;b&gt;&amp;c&#10;&#13;\t"),
            ("\0\u{1f}\u{fffe}\u{ffff}\u{fffd}", "_x0000__x001F__xFFFE__xFFFF_\u{fffd}"),
            ("_x0041_", "_x005F_x0041_"),
            ("_x005F_x0041_", "_x005F_x005F_x005F_x0041_"),
            // What follows is escaped too, and must not end an escape that is none.
            ("_x0041\0", "_x005F_x0041_x0000_"),
        ] {
            assert_eq!(written(text), expected);
            assert_eq!(read_back(expected), text);
        }
        assert!(read("_xD800_").is_err());
    }

    /// Whether XML 1.0 has it, and a line too.
    fn is_of_a_line(character: char) -> bool {
        character == '\t' || character >= ' ' && !matches!(character, '\u{fffe}' | '\u{ffff}')
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text in "(_|x|0|1|A|é|\\PC|\\p{Cc}|\u{fffe}|\u{ffff}|[&<>;#\r\n\t ]){0,40}") {
            let written = written(&text);
            prop_assert!(written.chars().all(is_of_a_line));
            prop_assert_eq!(read_back(&written), text);
        }
    }
}
