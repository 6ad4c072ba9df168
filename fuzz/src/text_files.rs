//! Files that people and programs write.

use tidemark_connectors::records::fuzzing;

/// What separates fields, then a line with the sizes of pieces, then the file.
pub(crate) fn csv(input: &[u8]) {
    let Some((delimiter, rest)) = input.split_first() else { return };
    let Some((sizes, file)) = sizes(rest) else { return };
    if !matches!(delimiter, b'"' | b'\r' | b'\n') && delimiter.is_ascii() {
        fuzzing::csv(file, *delimiter, sizes);
    }
}

/// A line with the sizes of pieces, then the file.
pub(crate) fn json_lines(input: &[u8]) {
    let Some((sizes, file)) = sizes(input) else { return };
    fuzzing::jsonl(file, sizes);
}

/// Each byte of the first line is the size of a piece.
fn sizes(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = input.iter().position(|byte| *byte == b'\n')?;
    Some((&input[..end], &input[end + 1..])).filter(|(sizes, _)| !sizes.is_empty())
}

/// A text.
pub(crate) fn value(input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input) {
        fuzzing::value(text);
    }
}
