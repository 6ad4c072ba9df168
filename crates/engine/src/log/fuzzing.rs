//! Doors for the fuzz targets, built for them alone: what reads the log's objects, given their bytes instead of a store.
//!
//! An object is believed only when its hash is that of its content, and no invented input has such a hash. So the doors take
//! objects without it and add the right one: what lies behind the hash has to bear any content too.

use std::{fmt::Debug, sync::Arc};

use bytes::Bytes;
use object_store::path::Path;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

pub use super::store::open_encrypted;

use super::{
    Commit, DeadLetter, Mark, Request, commit::Body, document, frame, identity::Identity, layout::Layout,
    sealed::Sealed, volume,
};
use crate::{Digest, ErrorKind, schema::StreamSchema};

/// `object`, sealed by its hash.
fn sealed(object: &[u8]) -> Bytes {
    [object, Digest::of(object).as_bytes()].concat().into()
}

/// Reads a commit, all of its transactions, and its frames as changes under `schema`.
pub fn commit(object: &[u8], schema: Option<&Arc<StreamSchema>>) {
    let Ok(commit) = Commit::parse(sealed(object)) else { return };
    if let Ok(transactions) = commit.transactions() {
        assert!(transactions.len() * 16 <= object.len(), "transactions that are not there");
        let body = Body::new(&transactions)
            .seal(commit.header().clone())
            .expect("a header that was read is written");
        assert_eq!(body.transactions().expect("they were just written"), transactions);
    }
    for last in [0, 1, commit.rows(), u64::MAX] {
        drop(commit.transactions_of(last / 2, last));
    }
    for frame in &commit.header().frames {
        let Some(bytes) = commit.section(frame.offset, frame.length) else { continue };
        let Some(schema) = schema else { continue };
        if let Ok(batches) = frame::read(frame, schema, bytes) {
            batches.iter().for_each(crate::contract::codec::read_every_cell);
        }
    }
}

/// Reads a volume and the commits of every page of it; after `contents` as JSON and a line feed, `object` is the plain bytes of
/// its only page, otherwise all of a volume.
pub fn volume(object: &[u8]) {
    if let Some(end) = object.iter().position(|byte| *byte == b'\n')
        && object.first() == Some(&b'{')
    {
        volume::fuzzing::page(&object[..end], &object[end + 1..]);
    } else {
        volume::fuzzing::whole(sealed(object));
    }
}

/// Reads a layout, and looks things up in it.
pub fn layout(object: &[u8]) {
    let Ok(layout) =
        Sealed::open(super::layout::MAGIC, sealed(object)).and_then(|sealed| Layout::parse(&sealed))
    else {
        return;
    };
    for sequence in [0, 1, layout.folded(), layout.base_sequence(), u64::MAX] {
        if let Some(volume) = layout.volume_of(sequence) {
            assert!(sequence <= volume.last, "a commit in a volume that ends before it");
        }
        assert_eq!(layout.covers(sequence), sequence <= layout.folded());
    }
    let again = Layout::parse(&layout.seal().expect("a layout that was read is written"));
    assert_eq!(again.as_ref(), Ok(&layout));
}

/// Reads one of the documents that people may look into: which, its first byte says. The rest is its JSON.
pub fn document(object: &[u8]) {
    let Some((kind, json)) = object.split_first() else { return };
    let Ok(json) = std::str::from_utf8(json) else { return };
    match kind {
        b'i' => read_document::<Identity>(json),
        b'm' => read_document::<Mark>(json),
        b'l' => read_document::<DeadLetter>(json),
        b'r' => read_document::<Request>(json),
        b's' => schema(json.as_bytes()),
        // As it would be found, without a hash of ours.
        _ => drop(document::read::<serde_json::Value>(&Path::from("a"), object)),
    }
}

/// A document that is read says the same when it is written and read again.
fn read_document<T: Serialize + DeserializeOwned + PartialEq + Debug>(json: &str) {
    let Ok(json) = RawValue::from_string(json.to_owned()) else { return };
    let path = Path::from("requests/1");
    // Only what has members can have the member with the hash.
    let Some(document) = Some(&json).filter(|json| json.get().starts_with('{') && json.get().len() > 2)
    else {
        return;
    };
    let document = document::write(&path, document, "a document").expect("JSON is written as it is");
    let Ok(content) = document::read::<T>(&path, &document) else { return };
    let again = document::write(&path, &content, "a document").expect("what was read is written");
    assert_eq!(document::read::<T>(&path, &again).as_ref(), Ok(&content));
}

/// A schema that is read has the same hash when it is written and read again.
fn schema(json: &[u8]) {
    let Ok(schema) = StreamSchema::from_json(json) else { return };
    let json = schema.to_json().expect("a schema that was read is written");
    let again = StreamSchema::from_json(&json).expect("a schema that was written is read");
    assert_eq!(again.digest(), schema.digest());
}

/// The commits that a page gives have the numbers that it says.
pub(super) fn check_page(first: u64, page: crate::Result<Vec<Arc<Commit>>>) {
    match page {
        Ok(commits) => {
            for (index, commit) in commits.iter().enumerate() {
                assert_eq!(commit.sequence(), first + index as u64);
                drop(commit.transactions());
            }
        }
        Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
    }
}
