//! The user's own key: what it looks like as text, and what it is called.

use std::fmt;

use base64::{Engine, alphabet, engine::DecodePaddingMode, engine::general_purpose};
use zeroize::Zeroizing;

use crate::{Error, Result};

/// Bytes of every key here.
pub(super) const KEY: usize = 32;

/// What keys of their own are derived for, so that nothing made of a master key serves two purposes.
const FOR_NAMES: &str = "tidemark staging encryption, version 1: the name of a master key";
const FOR_RINGS: &str = "tidemark staging encryption, version 1: what seals the ring of log keys";

/// As `openssl rand -base64 32` writes them, with the padding or without.
const BASE64: general_purpose::GeneralPurpose = general_purpose::GeneralPurpose::new(
    &alphabet::STANDARD,
    general_purpose::GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A key that the user keeps: 32 random bytes. It seals the log keys of a store and nothing else. It is never shown; its
/// [`KeyId`] stands for it.
#[derive(Clone)]
pub struct MasterKey {
    id: KeyId,
    sealing: Zeroizing<[u8; KEY]>,
}

impl MasterKey {
    /// Reads a key that is written as base64 or as 64 hexadecimal digits, with or without white space around it.
    ///
    /// Fails with [`crate::ErrorKind::Config`], and then shows nothing of `text`.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let bytes = match hexadecimal(text) {
            Some(bytes) => bytes,
            None => Zeroizing::new(BASE64.decode(text).map_err(|_| unsound("it is neither"))?),
        };
        let key = Zeroizing::new(<[u8; KEY]>::try_from(bytes.as_slice()).map_err(|_| match bytes.len() {
            0 => unsound("it is empty"),
            length => unsound(&format!("it has {length} bytes")),
        })?);
        let name = blake3::derive_key(FOR_NAMES, key.as_slice());
        let sealing = Zeroizing::new(blake3::derive_key(FOR_RINGS, key.as_slice()));
        Ok(Self { id: KeyId::of(&name), sealing })
    }

    /// What it is called.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// What seals rings.
    pub(super) fn sealing(&self) -> &[u8; KEY] {
        &self.sealing
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}

fn unsound(what: &str) -> Error {
    Error::config(format!("a key must be 32 bytes, as base64 or as 64 hexadecimal digits; {what}"))
        .hint("make one with `openssl rand -base64 32`")
}

/// `None` unless it is 64 digits: any other text may still be base64.
fn hexadecimal(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let digits = text.as_bytes();
    if digits.len() != 2 * KEY || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let byte = |pair: &[u8]| Some(value(pair[0])? << 4 | value(pair[1])?);
    digits.chunks_exact(2).map(byte).collect::<Option<Vec<u8>>>().map(Zeroizing::new)
}

/// The name of a key: 16 hexadecimal digits derived from it, from which nothing of the key can be found.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; Self::BYTES]);

impl KeyId {
    pub(super) const BYTES: usize = 8;

    /// The beginning of a key that was derived for a name.
    pub(super) fn of(derived: &[u8; KEY]) -> Self {
        let mut id = [0; Self::BYTES];
        id.copy_from_slice(&derived[..Self::BYTES]);
        Self(id)
    }

    pub(super) fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The key of a store, and those it had before.
#[derive(Debug, Clone)]
pub struct MasterKeys {
    current: MasterKey,
    previous: Vec<MasterKey>,
}

impl MasterKeys {
    /// `current` seals; `previous` only open what they sealed.
    ///
    /// Fails with [`crate::ErrorKind::Config`] when one is given twice: somebody meant to change it and did not.
    pub fn new(current: MasterKey, previous: Vec<MasterKey>) -> Result<Self> {
        if let Some(twice) = previous.iter().find(|key| key.id == current.id) {
            let message = format!("key `{}` is given as the current key and as a previous one", twice.id);
            return Err(Error::config(message).hint("give a new key, and the old one under `previous`"));
        }
        Ok(Self { current, previous })
    }

    /// The key that seals.
    pub fn current(&self) -> &MasterKey {
        &self.current
    }

    /// The key that is called `id`.
    pub(super) fn get(&self, id: KeyId) -> Option<&MasterKey> {
        std::iter::once(&self.current).chain(&self.previous).find(|key| key.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn one_key_in_every_spelling_is_one_key() {
        let hex = "00".repeat(31) + "fF";
        let base64 = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAP8=";
        let ids =
            [&hex, &hex.to_uppercase(), base64, base64.trim_end_matches('='), &format!(" {base64}\r\n")]
                .map(|text| MasterKey::parse(text).unwrap().id());
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        assert_ne!(MasterKey::parse(&"00".repeat(32)).unwrap().id(), ids[0]);
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_shown() {
        for text in ["", "correct horse", &"ab".repeat(31), &"ab".repeat(33), "c2hvcnQ=", &"é".repeat(32)] {
            let error = MasterKey::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(text.is_empty() || !format!("{error:?}").contains(text), "{error:?}");
            assert!(error.hint_text().unwrap().contains("openssl rand -base64 32"));
        }
    }

    #[test]
    fn nothing_prints_a_key() {
        let text = "ab".repeat(32);
        let key = MasterKey::parse(&text).unwrap();
        assert_eq!(format!("{key:?}"), format!("MasterKey({})", key.id()));
        assert!(!text.contains(&key.id().to_string()));
    }

    #[test]
    fn a_key_is_not_its_own_predecessor() {
        let key = |digits: &str| MasterKey::parse(&digits.repeat(32)).unwrap();
        assert!(MasterKeys::new(key("ab"), vec![key("cd")]).is_ok());
        assert_eq!(
            MasterKeys::new(key("ab"), vec![key("cd"), key("ab")]).unwrap_err().kind(),
            ErrorKind::Config
        );
    }
}
