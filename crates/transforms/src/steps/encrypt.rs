//! `encrypt`: who has the key can read the value, nobody else.
//!
//! An encrypted value is base64 of
//!
//! ```text
//! nonce        12 bytes: the first of HMAC-SHA256(nonce key, text)
//! ciphertext   as long as the text
//! tag          16 bytes
//! ```
//!
//! where `text` is the value's canonical text, encrypted with AES-256-GCM-SIV (RFC 8452) under the key, without associated data. The
//! nonce key is HMAC-SHA256(key, "tidemark encrypt, version 1: nonces"). The nonce follows from the text, so that a replay gives the same
//! bytes and a key that is encrypted stays a key: equal values look equal, and nothing else of them is to be seen but their length.

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
};
use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use tidemark_engine::schema::Kind;
use zeroize::Zeroizing;

use super::replacing::Replace;
use crate::{Key, columns::New};

const KEY: usize = 32;
const FOR_NONCES: &[u8] = b"tidemark encrypt, version 1: nonces";

/// As `openssl rand -base64 32` writes them, with the padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What encrypts values.
#[derive(Clone)]
pub(crate) struct Cipher {
    key: Arc<LessSafeKey>,
    nonces: hmac::Key,
}

impl Cipher {
    /// With `key`; what is wrong with it.
    pub(crate) fn new(key: &Key) -> Result<Self, String> {
        let unsound =
            || "the key of `encrypt` must be 32 bytes, as base64 or as 64 hexadecimal digits".to_owned();
        let bytes = bytes_of(key.expose().trim()).ok_or_else(unsound)?;
        let cipher = UnboundKey::new(&AES_256_GCM_SIV, &bytes).map_err(|_| unsound())?;
        let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &bytes), FOR_NONCES);
        let nonces = hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref());
        Ok(Self { key: Arc::new(LessSafeKey::new(cipher)), nonces })
    }
}

fn bytes_of(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let digits = text.as_bytes();
    let bytes = if digits.len() == 2 * KEY && digits.iter().all(u8::is_ascii_hexdigit) {
        let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
        (0..digits.len()).step_by(2).map(byte).collect::<Option<Vec<_>>>()
    } else {
        BASE64.decode(text).ok()
    };
    bytes.map(Zeroizing::new).filter(|bytes| bytes.len() == KEY)
}

impl Replace for Cipher {
    fn replaced(&self, text: &str, _from: &Kind) -> Result<New, &'static str> {
        let tag = hmac::sign(&self.nonces, text.as_bytes());
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&tag.as_ref()[..NONCE_LEN]);
        let mut sealed = text.as_bytes().to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed)
            .map_err(|_| "the cipher refuses a value")?;
        Ok(New::Text(STANDARD.encode([nonce.as_slice(), &sealed].concat())))
    }

    fn name(&self) -> String {
        "`encrypt`".to_owned()
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encrypted_comes_back_and_looks_the_same_each_time() {
        let cipher = Cipher::new(&Key::from("00".repeat(32))).unwrap();
        let encrypt = |text: &str| match cipher.replaced(text, &Kind::Text).unwrap() {
            New::Text(text) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(encrypt("secret"), encrypt("secret"));
        assert_ne!(encrypt("secret")[..16], encrypt("secrets")[..16]);
        let mut bytes = STANDARD.decode(encrypt("secret")).unwrap();
        let sealed = bytes.split_off(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(&bytes).unwrap();
        let mut sealed = sealed;
        let opened = cipher.key.open_in_place(nonce, Aad::empty(), &mut sealed).unwrap();
        assert_eq!(opened, b"secret");
    }

    #[test]
    fn a_key_is_32_bytes() {
        for wrong in ["", "secret", &"0".repeat(63), "AAAA"] {
            assert!(Cipher::new(&Key::from(wrong.to_owned())).is_err(), "{wrong}");
        }
        assert!(Cipher::new(&Key::from("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned())).is_ok());
    }
}
