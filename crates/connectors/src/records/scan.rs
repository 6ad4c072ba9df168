//! A way through a JSON text that looks at each byte once.

use super::{infer::is_number, path::Step};

/// The text is no JSON, or it is written in a way that is not read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unusual;

/// Values nested deeper than this are not read.
pub(super) const MAX_DEPTH: usize = 64;

/// Keys of an object on the way to a value.
const MAX_KEYS: usize = 64;

/// The array of a document in which its records stand: it was found sound, and need not be gone over again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Passed(Option<(usize, usize)>);

/// A place in a JSON text (RFC 8259). It moves on value by value, and finds all that is not JSON on its way.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    line: u64,
    passed: Passed,
}

/// A value, to the letter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scanned<'a> {
    pub(super) raw: &'a str,
    /// Where it begins.
    pub(super) begin: usize,
    /// Whether it is a string with a backslash in it.
    pub(super) is_escaped: bool,
}

impl<'a> Scan<'a> {
    /// At the beginning of `text`.
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0, line: 1, passed: Passed::default() }
    }

    /// The same over a text of which a part is known.
    pub(super) fn past(text: &'a str, passed: Passed) -> Self {
        Self { passed, ..Self::new(text) }
    }

    /// What it has come past.
    pub(super) fn passed(&self) -> Passed {
        self.passed
    }

    /// The line of where it has come to, counted from 1: no text in quotes has a line end in it.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Where the next value, or what is between two, begins; and its first byte.
    pub(super) fn next(&mut self) -> Result<(usize, u8), Unusual> {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\r' => {}
                b'\n' => self.line += 1,
                byte => return Ok((self.at, *byte)),
            }
            self.at += 1;
        }
        Err(Unusual)
    }

    /// Fails if anything follows.
    pub(super) fn end(&mut self) -> Result<(), Unusual> {
        self.next().map_or(Ok(()), |_| Err(Unusual))
    }

    /// Moves over one value.
    pub(super) fn value(&mut self) -> Result<Scanned<'a>, Unusual> {
        let (begin, first) = self.next()?;
        let mut is_escaped = false;
        match (first, self.passed) {
            (_, Passed(Some((passed, end)))) if passed == begin => self.at = end,
            (b'"', _) => is_escaped = self.string()?,
            (b'{', _) => self.object(|scan, _| scan.value().map(drop))?,
            (b'[', _) => self.array(|scan| scan.value().map(drop))?,
            _ => self.literal()?,
        }
        Ok(Scanned { raw: &self.text[begin..self.at], begin, is_escaped })
    }

    /// Moves over an object. `member` is called with each key, which it takes as it is written, and moves over the value.
    pub(super) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Scanned<'a>) -> Result<(), Unusual>,
    ) -> Result<(), Unusual> {
        self.nested(b'{', b'}', |scan| {
            let (begin, first) = scan.next()?;
            if first != b'"' {
                return Err(Unusual);
            }
            let is_escaped = scan.string()?;
            let key = Scanned { raw: &scan.text[begin + 1..scan.at - 1], begin, is_escaped };
            scan.take(b':')?;
            member(scan, key)
        })
    }

    /// Moves over an array. `item` moves over each of its values.
    pub(super) fn array(
        &mut self,
        item: impl FnMut(&mut Self) -> Result<(), Unusual>,
    ) -> Result<(), Unusual> {
        self.nested(b'[', b']', item)
    }

    /// Moves over one value, and calls `record` wherever `steps` lead from there to a record, which it moves over.
    pub(super) fn descend(
        &mut self,
        steps: &[Step],
        record: &mut impl FnMut(&mut Self) -> Result<(), Unusual>,
    ) -> Result<(), Unusual> {
        let (begin, first) = self.next()?;
        match steps {
            [] => match first {
                b'[' => self.array(&mut *record)?,
                b'n' => return self.literal(),
                _ => return record(self),
            },
            [Step::Every, steps @ ..] => self.array(|scan| scan.descend(steps, record))?,
            [Step::Key(name), steps @ ..] => match self.member(name, |scan| scan.descend(steps, record))? {
                Some(()) => return Ok(()),
                None => return Err(Unusual),
            },
            [Step::Item(_), ..] => return Err(Unusual),
        }
        // The outermost array is left last.
        self.passed = Passed(Some((begin, self.at)));
        Ok(())
    }

    /// Moves over one value; what is in it at the end of `steps`.
    pub(super) fn find(&mut self, steps: &[Step]) -> Result<Option<&'a str>, Unusual> {
        match steps {
            [] => Ok(Some(self.value()?.raw)),
            [Step::Key(name), steps @ ..] => Ok(self.member(name, |scan| scan.find(steps))?.flatten()),
            [Step::Every | Step::Item(_), ..] => Err(Unusual),
        }
    }

    /// Moves over an object with few keys, none of them twice; what `inside` makes of the value of the key `name`, which it moves over.
    fn member<T>(
        &mut self,
        name: &str,
        mut inside: impl FnMut(&mut Self) -> Result<T, Unusual>,
    ) -> Result<Option<T>, Unusual> {
        let (mut found, mut keys) = (None, Vec::new());
        self.object(|scan, key| {
            if key.is_escaped || keys.len() == MAX_KEYS || keys.contains(&key.raw) {
                return Err(Unusual);
            }
            keys.push(key.raw);
            match key.raw == name {
                true => found = Some(inside(scan)?),
                false => drop(scan.value()?),
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn nested(
        &mut self,
        open: u8,
        close: u8,
        mut part: impl FnMut(&mut Self) -> Result<(), Unusual>,
    ) -> Result<(), Unusual> {
        self.take(open)?;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Unusual);
        }
        if self.next()?.1 != close {
            part(self)?;
            while self.next()?.1 == b',' {
                self.at += 1;
                part(self)?;
            }
        }
        self.depth -= 1;
        self.take(close)
    }

    fn take(&mut self, byte: u8) -> Result<(), Unusual> {
        match self.next()?.1 == byte {
            true => self.at += 1,
            false => return Err(Unusual),
        }
        Ok(())
    }

    /// Moves over a string; whether there is a backslash in it.
    fn string(&mut self) -> Result<bool, Unusual> {
        let bytes = self.text.as_bytes();
        let mut is_escaped = false;
        self.at += 1;
        loop {
            self.at += plain_bytes(&bytes[self.at..]);
            match &bytes[self.at..] {
                [b'"', ..] => {
                    self.at += 1;
                    return Ok(is_escaped);
                }
                [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => self.at += 2,
                [b'\\', b'u', digits @ ..]
                    if digits.len() >= 4 && digits[..4].iter().all(u8::is_ascii_hexdigit) =>
                {
                    self.at += 6;
                }
                _ => return Err(Unusual),
            }
            is_escaped = true;
        }
    }

    /// Moves over a number, `true`, `false` or `null`.
    fn literal(&mut self) -> Result<(), Unusual> {
        let rest = &self.text[self.at..];
        let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\t' | b'\r');
        let literal = &rest[..rest.bytes().position(|byte| ends(&byte)).unwrap_or(rest.len())];
        if !matches!(literal, "true" | "false" | "null") && !is_number(literal) {
            return Err(Unusual);
        }
        self.at += literal.len();
        Ok(())
    }
}

/// How many bytes come before the first that is special in a string: a quote, a backslash or a control character.
pub(crate) fn plain_bytes(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    let (words, rest) = bytes.as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // The highest bit of a byte is set in `a.wrapping_sub(b) & !a` where a < b, and perhaps behind such a byte, never before the first.
        let below = |word: u64, least: u8| word.wrapping_sub(ONES * u64::from(least)) & !word;
        let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
        let special = (below(word, 0x20) | is(b'"') | is(b'\\')) & (ONES << 7);
        if special != 0 {
            return number * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | ..0x20);
    words.len() * 8 + rest.iter().position(is_special).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    fn scanned(text: &str) -> Result<&str, Unusual> {
        let mut scan = Scan::new(text);
        let raw = scan.value()?.raw;
        scan.end().map(|()| raw)
    }

    /// What is JSON is scanned to the letter, and nothing else is.
    fn is_taken_for_what_it_is(text: &str) -> Result<(), TestCaseError> {
        let expected = serde_json::from_str::<&RawValue>(text).ok().map(RawValue::get);
        prop_assert_eq!(scanned(text).ok(), expected, "{}", text);
        Ok(())
    }

    #[test]
    fn only_json_is_scanned() {
        for text in [
            "{\"a\\u00e9\\\"\": [1, -0.5e+3, true, null, {}], \"b\":\"\u{7f}é\"}",
            "\"12345678\\\\\"",
            "\"\\ud800\"",
            "\"\\u12g4\"",
            "\"\\u12",
            "\"\\x\"",
            "\"1234567\n\"",
            "\"1234567",
            "01",
            "+1",
            "1.",
            "nul",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "{\"a\":1,}",
            "{\"a\":1]",
            "[1}",
            "[] []",
            "",
        ] {
            is_taken_for_what_it_is(text).unwrap();
        }
        let deep = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(scanned(&deep(MAX_DEPTH)).is_ok() && scanned(&deep(MAX_DEPTH + 1)).is_err());
    }

    proptest! {
        #[test]
        fn whatever_is_scanned_is_json(text in "([\\[\\]{}\",:\\\\ n\n]|1|-|\\.|e|\"a\"|true|null|\\\\u00e9|\\{\"b\":){0,24}") {
            is_taken_for_what_it_is(&text)?;
        }

        #[test]
        fn damage_is_found(
            texts in prop::collection::vec("[ -~é\n\u{1}\u{80}]{0,20}", 1..5),
            at in any::<prop::sample::Index>(),
            byte in "[\\[\\]{}\",:\\\\1\u{0}\u{1f} a]",
        ) {
            let document = serde_json::json!([{"a": texts, "é\"": [1.5, null]}, texts]).to_string();
            is_taken_for_what_it_is(&document)?;
            let places = document.char_indices().map(|(place, _)| place).collect::<Vec<_>>();
            let place = *at.get(&places);
            let damaged = format!("{}{byte}{}", &document[..place], document[place..].chars().skip(1).collect::<String>());
            is_taken_for_what_it_is(&damaged)?;
        }

        #[test]
        fn what_is_special_is_found(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0x80), Just(b'!'), Just(b' ')], 0..40)) {
            let special = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..0x20));
            prop_assert_eq!(plain_bytes(&bytes), special.unwrap_or(bytes.len()));
        }
    }
}
