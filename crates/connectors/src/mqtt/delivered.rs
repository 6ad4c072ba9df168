//! The messages that the broker sent last, as far as a cursor remembers them.
//!
//! A message is durable before it is acknowledged, so a crash between the two has the broker send it again, on the next connection and
//! marked as such. It has the packet identifier that it had: a message of this identifier and content that is durable already is
//! acknowledged, and not written again. No broker has more messages on their way than it was allowed to, which is what is remembered.
//!
//! An identifier is free for another message once the broker has heard the acknowledgement. Most brokers count identifiers up and
//! come back to one after 65,535 messages. Of one that uses them again at once, another message of the same content could be taken
//! for the one before, so nothing that it sends again is left out from the moment on that it is seen to do so.

use std::collections::VecDeque;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::session::{IN_FLIGHT, Message};

/// Bytes of a message's digest.
const DIGEST: usize = 8;

/// What stands for a message's content.
pub(super) type Digest = [u8; DIGEST];

/// The last messages, by their packet identifiers, the latest last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Delivered(VecDeque<(u16, Digest)>);

/// A short digest of all that a message says.
pub(super) fn digest(message: &Message) -> Digest {
    let mut hasher = blake3::Hasher::new();
    let mut add = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    add(message.topic.as_bytes());
    add(&message.payload);
    let properties = &message.properties;
    for text in [&properties.content_type, &properties.response_topic].into_iter().flatten() {
        add(text.as_bytes());
    }
    for (name, value) in &properties.user {
        add(name.as_bytes());
        add(value.as_bytes());
    }
    let mut short = [0; DIGEST];
    short.copy_from_slice(&hasher.finalize().as_bytes()[..DIGEST]);
    short
}

impl Delivered {
    /// Takes note of a message. The identifier is its own from now on, and the oldest message is forgotten.
    pub(super) fn remember(&mut self, id: u16, digest: Digest) {
        self.0.retain(|(other, _)| *other != id);
        self.0.push_back((id, digest));
        if self.0.len() > usize::from(IN_FLIGHT) {
            self.0.pop_front();
        }
    }

    /// Whether a message of this content was the last to have the identifier.
    pub(super) fn knows(&self, id: u16, digest: Digest) -> bool {
        self.0.contains(&(id, digest))
    }

    /// Whether one of the last messages had the identifier.
    pub(super) fn has(&self, id: u16) -> bool {
        self.0.iter().any(|(other, _)| *other == id)
    }
}

impl Serialize for Delivered {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = self.0.iter().flat_map(|(id, digest)| id.to_le_bytes().into_iter().chain(*digest));
        serializer.serialize_str(&BASE64_STANDARD.encode(bytes.collect::<Vec<_>>()))
    }
}

impl<'de> Deserialize<'de> for Delivered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64_STANDARD.decode(text).map_err(de::Error::custom)?;
        let (entries, rest) = bytes.as_chunks::<{ DIGEST + 2 }>();
        if !rest.is_empty() {
            return Err(de::Error::custom("half a message"));
        }
        let entry = |entry: &[u8; DIGEST + 2]| {
            let mut digest = [0; DIGEST];
            digest.copy_from_slice(&entry[2..]);
            (u16::from_le_bytes([entry[0], entry[1]]), digest)
        };
        Ok(Self(entries.iter().map(entry).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_messages_are_known_and_no_others() {
        let mut delivered = Delivered::default();
        for id in 1..=IN_FLIGHT + 1 {
            delivered.remember(id, [7; DIGEST]);
        }
        assert!(!delivered.has(1) && delivered.knows(2, [7; DIGEST]) && !delivered.knows(2, [8; DIGEST]));
        delivered.remember(2, [8; DIGEST]);
        assert!(delivered.knows(2, [8; DIGEST]) && !delivered.knows(2, [7; DIGEST]));
        assert_eq!(delivered.0.len(), usize::from(IN_FLIGHT));
        let json = serde_json::to_string(&delivered).unwrap();
        assert_eq!(serde_json::from_str::<Delivered>(&json).unwrap(), delivered);
        assert!(serde_json::from_str::<Delivered>("\"AAAA\"").is_err());
    }
}
