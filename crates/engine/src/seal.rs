//! Small secrets that have to stand in the log, where nobody is to read them: a token that a source has replaced.
//!
//! A sealed secret is
//!
//! ```text
//! "TIDETOKN"          8 bytes
//! nonce               12 bytes, random
//! secret              encrypted (AES-256-GCM)
//! tag                 16 bytes: over the secret and what it is for
//! ```
//!
//! under a key that is derived (HKDF with SHA-256, RFC 5869) from a secret of the pipeline file: who has the file can open it,
//! who has the log alone cannot.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce, UnboundKey},
    error::Unspecified,
    hkdf::{HKDF_SHA256, Salt},
    rand,
};
use bytes::Bytes;
use zeroize::Zeroizing;

use crate::{Error, Result};

const MAGIC: &[u8; 8] = b"TIDETOKN";
const HEADER: usize = MAGIC.len() + NONCE_LEN;

/// What seals and opens small secrets.
#[derive(Debug)]
pub struct Seal {
    key: LessSafeKey,
    purpose: Vec<u8>,
}

impl Seal {
    /// The seal that `secret` makes for `purpose`: other purposes have other keys.
    pub fn derive(secret: &[u8], purpose: &str) -> Result<Self> {
        let purpose = purpose.as_bytes().to_vec();
        let key = Salt::new(HKDF_SHA256, b"tidemark sealed secret, version 1").extract(secret);
        let info = [purpose.as_slice()];
        let key = key.expand(&info, &AES_256_GCM).map(UnboundKey::from).map_err(no_cipher)?;
        Ok(Self { key: LessSafeKey::new(key), purpose })
    }

    /// `secret`, sealed.
    pub fn close(&self, secret: &[u8]) -> Result<Bytes> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(no_cipher)?;
        let mut sealed = vec![0; HEADER + secret.len() + MAX_TAG_LEN];
        let (header, rest) = sealed.split_at_mut(HEADER);
        header[..MAGIC.len()].copy_from_slice(MAGIC);
        header[MAGIC.len()..].copy_from_slice(&nonce);
        let (content, tag) = rest.split_at_mut(secret.len());
        let nonce = Nonce::assume_unique_for_key(nonce);
        let aad = Aad::from(self.purpose.as_slice());
        self.key.seal_out_of_place_scatter(nonce, aad, secret, content, &[], tag).map_err(no_cipher)?;
        Ok(sealed.into())
    }

    /// The secret that was `sealed`; `None` when it was sealed otherwise, or is damaged.
    pub fn open(&self, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let rest = sealed.strip_prefix(MAGIC)?;
        let (nonce, content) = rest.split_first_chunk::<NONCE_LEN>()?;
        let mut content = Zeroizing::new(content.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length =
            self.key.open_in_place(nonce, Aad::from(self.purpose.as_slice()), &mut content).ok()?.len();
        content.truncate(length);
        Some(content)
    }
}

/// The cipher works on sound input, or the library is not what it should be.
fn no_cipher(error: Unspecified) -> Error {
    Error::internal("cannot encrypt").source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_secret_for_the_same_purpose_opens() {
        let seal = Seal::derive(b"client secret", "a").unwrap();
        let sealed = seal.close(b"token").unwrap();
        assert!(!sealed.windows(5).any(|window| window == b"token"));
        assert_ne!(sealed, seal.close(b"token").unwrap());
        assert_eq!(seal.open(&sealed).unwrap().as_slice(), b"token");
        assert!(Seal::derive(b"client secret", "b").unwrap().open(&sealed).is_none());
        assert!(Seal::derive(b"other secret", "a").unwrap().open(&sealed).is_none());
        for damaged in 0..sealed.len() {
            let mut other = sealed.to_vec();
            other[damaged] ^= 1;
            assert!(seal.open(&other).is_none(), "{damaged}");
        }
        for short in 0..sealed.len() {
            assert!(seal.open(&sealed[..short]).is_none(), "{short}");
        }
    }
}
