//! The objects of a staging store.

use std::sync::Arc;

use tidemark_engine::{log::fuzzing, schema::StreamSchema};

/// The schema of the stream as a line of JSON, then a commit without its hash.
pub(crate) fn commit(input: &[u8]) {
    let (schema, object) = match input.iter().position(|byte| *byte == b'\n') {
        Some(end) if input.first() == Some(&b'{') => (&input[..end], &input[end + 1..]),
        _ => (&[][..], input),
    };
    let schema: Option<Arc<StreamSchema>> = StreamSchema::from_json(schema).ok();
    fuzzing::commit(object, schema.as_ref());
}

/// A volume without its hash; or its contents as a line of JSON, and behind it its only page.
pub(crate) fn volume(input: &[u8]) {
    fuzzing::volume(input);
}

/// A layout without its hash.
pub(crate) fn layout(input: &[u8]) {
    fuzzing::layout(input);
}

/// A letter that says which document, then its JSON without its hash.
pub(crate) fn document(input: &[u8]) {
    fuzzing::document(input);
}

/// An encrypted object, a ring of keys, or a key.
pub(crate) fn encrypted(input: &[u8]) {
    fuzzing::open_encrypted(input);
}
