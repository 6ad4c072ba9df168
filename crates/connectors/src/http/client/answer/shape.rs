//! The outline of a JSON text, without reading it.

use crate::records::plain_bytes;

/// What a text is at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A JSON value that closes what it opens.
    Whole,
    /// It ends within a value.
    Cut,
    /// It nests too deep to be read without care.
    TooDeep,
    /// It does not begin as JSON does.
    Other,
}

/// Counts brackets outside of strings. An empty text is one that was cut off: no JSON value is empty.
pub(super) fn scan(text: &str, deepest: usize) -> Shape {
    let text = text.trim_ascii();
    match text.as_bytes().first() {
        None => return Shape::Cut,
        Some(b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {}
        Some(_) => return Shape::Other,
    }
    let (mut depth, mut rest) = (0usize, text.as_bytes());
    while let [byte, behind @ ..] = rest {
        rest = behind;
        match byte {
            b'"' => match behind_string(rest) {
                Some(behind) => rest = behind,
                None => return Shape::Cut,
            },
            b'{' | b'[' => {
                depth += 1;
                if depth > deepest {
                    return Shape::TooDeep;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    if depth > 0 { Shape::Cut } else { Shape::Whole }
}

/// What is behind the string whose opening quote is before `rest`; `None` if it does not end.
fn behind_string(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        rest = &rest[plain_bytes(rest)..];
        match rest {
            [b'"', behind @ ..] => return Some(behind),
            [b'\\', _, behind @ ..] | [_, behind @ ..] => rest = behind,
            [] => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shapes_are_told_apart() {
        for (text, shape) in [
            ("{}", Shape::Whole),
            (" [1, {\"a\": \"]}\\\"\"}] \n", Shape::Whole),
            ("null", Shape::Whole),
            ("", Shape::Cut),
            ("  ", Shape::Cut),
            ("{\"a\": [1, 2", Shape::Cut),
            ("{\"a\": \"b", Shape::Cut),
            ("[[[[1]]]]", Shape::TooDeep),
            ("OK", Shape::Other),
            ("<a/>", Shape::Other),
        ] {
            assert_eq!(scan(text, 3), shape, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_beginning_of_a_document_passes_for_all_of_it(text in "[a-z\"\\\\{}\\[\\]é]{0,20}", number in any::<i32>()) {
            let whole = serde_json::json!([{"text": text, "number": number}, [text]]).to_string();
            prop_assert_eq!(scan(&whole, 9), Shape::Whole);
            for cut in (0..whole.len()).filter(|cut| whole.is_char_boundary(*cut)) {
                prop_assert_eq!(scan(&whole[..cut], 9), Shape::Cut);
            }
        }
    }
}
