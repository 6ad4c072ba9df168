//! What a PostgreSQL server sends.

use tidemark_connectors::postgres::fuzzing;

/// Messages, each with its length before it.
pub(crate) fn pgoutput(input: &[u8]) {
    fuzzing::messages(input);
}

/// How many columns, and an oid and a modifier for each, one byte every time; how many sizes of pieces, and each; then the stream.
pub(crate) fn copy(input: &[u8]) {
    let Some((columns, rest)) = counted(input, 2) else { return };
    let Some((sizes, stream)) = counted(rest, 1) else { return };
    let types: Vec<_> =
        columns.as_chunks::<2>().0.iter().map(|[oid, modifier]| of_bytes(*oid, *modifier)).collect();
    if !types.is_empty() {
        fuzzing::copy(&types, stream, sizes);
    }
}

/// Oids beyond a byte are found by their remainder; of a modifier it counts whether there is one, and whether it is odd.
fn of_bytes(oid: u8, modifier: u8) -> (u32, i32) {
    let modifier = if modifier == u8::MAX { -1 } else { i32::from(modifier) };
    (u32::from(oid), modifier)
}

/// Up to 15 things of `size` bytes, behind how many they are.
fn counted(input: &[u8], size: usize) -> Option<(&[u8], &[u8])> {
    let (count, rest) = input.split_first()?;
    rest.split_at_checked(usize::from(*count % 16) * size)
}

/// A text.
pub(crate) fn value(input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input) {
        fuzzing::value(text);
    }
}
