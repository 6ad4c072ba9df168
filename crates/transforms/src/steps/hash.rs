//! `hash`: equal values stay equal, and nobody without the key can find out what they were.

use aws_lc_rs::hmac;
use tidemark_engine::schema::Kind;

use super::replacing::Replace;
use crate::{Key, columns::New};

/// A shorter key could be guessed.
const LEAST: usize = 16;

/// HMAC with SHA-256 (RFC 2104, FIPS 180-4) of a value's canonical text.
#[derive(Debug, Clone)]
pub(crate) struct Hasher(hmac::Key);

impl Hasher {
    /// With `key`; what is wrong with it.
    pub(crate) fn new(key: &Key) -> Result<Self, String> {
        let bytes = key.expose().as_bytes();
        if bytes.len() < LEAST {
            return Err(format!(
                "the key of `hash` must have at least {LEAST} bytes; it has {}",
                bytes.len()
            ));
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }
}

impl Replace for Hasher {
    fn replaced(&self, text: &str, _from: &Kind) -> Result<New, &'static str> {
        let tag = hmac::sign(&self.0, text.as_bytes());
        Ok(New::Text(tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    fn name(&self) -> String {
        "`hash`".to_owned()
    }
}
