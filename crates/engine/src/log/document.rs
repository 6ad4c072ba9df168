//! The form of small objects that people may look into: one JSON object, whose last member `blake3` is the hash of the object's path
//! below the log's root, a line feed, and the JSON as it would be without that member.
//!
//! ```text
//! {"ask":"resync","streams":[],"blake3":"<64 hexadecimal digits>"}
//! ```
//!
//! So a document that was cut, changed by a bit, or put under another name is not believed.

use bytes::Bytes;
use object_store::path::Path;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Digest, Error, Result};

const MEMBER: &[u8] = b",\"blake3\":\"";
const DIGITS: usize = 64;
const END: &[u8] = b"\"}";

/// `content`, which has members, as the document at `path`. `what` names it in errors.
pub(super) fn write(path: &Path, content: &impl Serialize, what: &str) -> Result<Bytes> {
    let unwritable = |error| Error::internal(format!("cannot write down {what}")).source(error);
    let mut json = serde_json::to_vec(content).map_err(unwritable)?;
    let digest = digest(path, &json).to_string();
    json.pop();
    for part in [MEMBER, digest.as_bytes(), END] {
        json.extend_from_slice(part);
    }
    Ok(json.into())
}

/// The content of the document found at `path`. What it fails with says what is wrong.
pub(super) fn read<T: DeserializeOwned>(path: &Path, document: &[u8]) -> Result<T, String> {
    let unsound = || "its hash does not match its content and its name".to_owned();
    let digits = document.strip_suffix(END).and_then(|rest| rest.split_last_chunk::<DIGITS>());
    let (rest, digits) = digits.ok_or_else(unsound)?;
    let mut json = rest.strip_suffix(MEMBER).ok_or_else(unsound)?.to_vec();
    json.push(b'}');
    let found = std::str::from_utf8(digits).ok().and_then(Digest::parse);
    if found != Some(digest(path, &json)) {
        return Err(unsound());
    }
    serde_json::from_slice(&json).map_err(|error| format!("its content cannot be read: {error}"))
}

fn digest(path: &Path, json: &[u8]) -> Digest {
    Digest::of(&[path.as_ref().as_bytes(), b"\n", json].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_bit_length_or_name_is_noticed() {
        let (path, other) = (Path::from("requests/1"), Path::from("requests/2"));
        let content = serde_json::json!({"ask": "resync", "streams": ["a", "b"]});
        let document = write(&path, &content, "a request").unwrap();
        assert_eq!(read::<serde_json::Value>(&path, &document).unwrap(), content);
        let whole: serde_json::Value = serde_json::from_slice(&document).unwrap();
        assert_eq!(whole["streams"], content["streams"], "others read it as it is");
        read::<serde_json::Value>(&other, &document).unwrap_err();
        for at in 0..document.len() {
            let mut flipped = document.to_vec();
            flipped[at] ^= 0x10;
            read::<serde_json::Value>(&path, &flipped).unwrap_err();
            read::<serde_json::Value>(&path, &document[..at]).unwrap_err();
        }
    }
}
