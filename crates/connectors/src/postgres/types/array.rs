//! Arrays: the binary form and the literal. Sources: "Arrays: Array Input and Output Syntax" in PostgreSQL's documentation,
//! and `array_send` in the server's `arrayfuncs.c`.

use bytes::{BufMut, BytesMut};

/// The most dimensions that an array has.
const MOST_DIMENSIONS: usize = 6;

/// An array in binary: dimensions, then elements in row-major order, each a length and its bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Elements<'a> {
    dimensions: &'a [u8],
    elements: &'a [u8],
}

impl<'a> Elements<'a> {
    /// Reads the header; `None` when the bytes are not in the format.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        // Then whether there are nulls and the elements' type, neither of which tells anything new.
        let (count, rest) = bytes.split_first_chunk::<4>()?;
        let count =
            usize::try_from(i32::from_be_bytes(*count)).ok().filter(|count| *count <= MOST_DIMENSIONS)?;
        let (dimensions, elements) = rest.get(8..)?.split_at_checked(count * 8)?;
        let array = Self { dimensions, elements };
        array.is_as_large_as_it_says().then_some(array)
    }

    /// Whether there is room for as many elements as the dimensions make: of an empty array there are none, and none is empty.
    fn is_as_large_as_it_says(&self) -> bool {
        let length = |(length, _): (i32, i32)| usize::try_from(length).ok().filter(|length| *length > 0);
        let mut lengths = self.dimensions().map(length);
        let count = lengths.try_fold(1_usize, |count, length| count.checked_mul(length?));
        // Each element has a length of four bytes.
        count.is_some_and(|count| self.dimensions.is_empty() || count <= self.elements.len() / 4)
    }

    /// Length and lower bound of each dimension.
    pub(super) fn dimensions(&self) -> impl Iterator<Item = (i32, i32)> + 'a {
        self.dimensions.chunks_exact(8).map(|pair| {
            let number = |at: usize| i32::from_be_bytes([pair[at], pair[at + 1], pair[at + 2], pair[at + 3]]);
            (number(0), number(4))
        })
    }

    /// Whether it is no more than a list: empty, or of one dimension that counts from 1.
    pub(super) fn is_list(&self) -> bool {
        match self.dimensions.len() / 8 {
            0 => true,
            1 => self.dimensions().all(|(_, lower)| lower == 1),
            _ => false,
        }
    }

    /// The next element, `None` being NULL; outside, `None` at the end and when the bytes are not in the format, which
    /// [`Elements::is_at_end`] tells apart.
    #[expect(clippy::option_option, reason = "no element, NULL and an element are three things")]
    pub(super) fn next(&mut self) -> Option<Option<&'a [u8]>> {
        let (length, rest) = self.elements.split_first_chunk::<4>()?;
        let length = i32::from_be_bytes(*length);
        if length == -1 {
            self.elements = rest;
            return Some(None);
        }
        let (element, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.elements = rest;
        Some(Some(element))
    }

    /// Whether every byte has been read.
    pub(super) fn is_at_end(&self) -> bool {
        self.elements.is_empty()
    }
}

/// Appends the header of a list of `length` elements of the type `oid`.
pub(super) fn put_header(length: i32, has_null: bool, oid: u32, out: &mut BytesMut) {
    out.put_i32(i32::from(length > 0));
    out.put_i32(i32::from(has_null));
    out.put_u32(oid);
    if length > 0 {
        out.put_i32(length);
        out.put_i32(1);
    }
}

/// One piece of a literal.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Token<'t> {
    Open,
    Close,
    Null,
    Element(&'t str),
}

/// A literal, read piece by piece: `{1,NULL,"a b"}`, `[0:1]={1,2}`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Literal<'a> {
    bounds: &'a str,
    rest: &'a str,
    delimiter: char,
}

impl<'a> Literal<'a> {
    pub(super) fn new(text: &'a str, delimiter: char) -> Self {
        let (bounds, rest) = text.split_at(text.find('{').unwrap_or(text.len()));
        Self { bounds, rest, delimiter }
    }

    /// What stands before the first brace, `[0:1]=`; empty when every dimension counts from 1.
    pub(super) fn bounds(&self) -> &'a str {
        self.bounds
    }

    /// The next piece; an element with escapes is put together in `scratch`. `None` at the end and when the text is no
    /// literal, which [`Literal::is_at_end`] tells apart.
    pub(super) fn next<'s>(&mut self, scratch: &'s mut String) -> Option<Token<'s>>
    where
        'a: 's,
    {
        self.rest = self.rest.strip_prefix(self.delimiter).unwrap_or(self.rest);
        let first = self.rest.chars().next()?;
        match first {
            '{' | '}' => {
                self.rest = &self.rest[1..];
                Some(if first == '{' { Token::Open } else { Token::Close })
            }
            '"' => self.quoted(scratch).map(Token::Element),
            _ => {
                let end = self.rest.find([self.delimiter, '}'])?;
                let (element, rest) = self.rest.split_at(end);
                self.rest = rest;
                Some(if element.eq_ignore_ascii_case("null") { Token::Null } else { Token::Element(element) })
            }
        }
    }

    fn quoted<'s>(&mut self, scratch: &'s mut String) -> Option<&'s str>
    where
        'a: 's,
    {
        let text = &self.rest[1..];
        let end = text.find(['"', '\\'])?;
        if text.as_bytes()[end] == b'"' {
            self.rest = &text[end + 1..];
            return Some(&text[..end]);
        }
        scratch.clear();
        let mut chars = text.char_indices();
        loop {
            match chars.next()? {
                (end, '"') => {
                    self.rest = &text[end + 1..];
                    return Some(scratch);
                }
                (_, '\\') => scratch.push(chars.next()?.1),
                (_, other) => scratch.push(other),
            }
        }
    }

    /// Whether all of it has been read.
    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }
}

/// Appends an element of a literal, quoted exactly where `array_out` does.
pub(super) fn write_element(text: &str, delimiter: char, out: &mut String) {
    let is_special = |c: char| {
        matches!(c, '"' | '\\' | '{' | '}' | ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c') || c == delimiter
    };
    if !text.is_empty() && !text.eq_ignore_ascii_case("null") && !text.contains(is_special) {
        return out.push_str(text);
    }
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str) -> Vec<String> {
        let (mut literal, mut scratch, mut pieces) = (Literal::new(text, ','), String::new(), Vec::new());
        while let Some(token) = literal.next(&mut scratch) {
            pieces.push(match token {
                Token::Open => "{".to_owned(),
                Token::Close => "}".to_owned(),
                Token::Null => "null".to_owned(),
                Token::Element(text) => format!("<{text}>"),
            });
        }
        assert!(literal.is_at_end(), "{text}");
        pieces
    }

    #[test]
    fn literals_come_apart() {
        assert_eq!(pieces("{}"), ["{", "}"]);
        assert_eq!(pieces("{1,NULL,\"NULL\",\"\"}"), ["{", "<1>", "null", "<NULL>", "<>", "}"]);
        assert_eq!(pieces(r#"{"a\"b\\",a-b,"},{"}"#), ["{", r#"<a"b\>"#, "<a-b>", "<},{>", "}"]);
        assert_eq!(pieces("[0:0][1:2]={{1,2}}"), ["{", "{", "<1>", "<2>", "}", "}"]);
        assert_eq!(Literal::new("[0:0][1:2]={{1,2}}", ',').bounds(), "[0:0][1:2]=");
    }

    #[test]
    fn elements_are_quoted_where_they_must_be() {
        for text in ["", "null", "NULL", "a,b", "{", "}", "a b", "\"", "\\", "\n", "naïve", "🦀"] {
            let mut literal = String::from("{");
            write_element(text, ',', &mut literal);
            literal.push('}');
            assert_eq!(pieces(&literal)[1], format!("<{text}>"));
        }
    }
}
