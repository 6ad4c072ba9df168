//! Keyed hashes and how they are written.

use hmac::{Hmac, KeyInit, Mac, digest::InvalidLength};
use sha2::{Digest, Sha256, Sha512};
use tidemark_engine::{Error, Result};

/// HMAC-SHA256 of `message` (RFC 2104). Keys of any length will do.
pub(crate) fn sha256(key: &[u8], message: &[u8]) -> Result<Vec<u8>> {
    let mac = Hmac::<Sha256>::new_from_slice(key).map_err(no_key)?;
    Ok(mac.chain_update(message).finalize().into_bytes().to_vec())
}

/// HMAC-SHA512 of `message`.
pub(super) fn sha512(key: &[u8], message: &[u8]) -> Result<Vec<u8>> {
    let mac = Hmac::<Sha512>::new_from_slice(key).map_err(no_key)?;
    Ok(mac.chain_update(message).finalize().into_bytes().to_vec())
}

/// No length is refused by the specification.
fn no_key(error: InvalidLength) -> Error {
    Error::internal("a key cannot sign").source(error)
}

/// The SHA-256 of `message` in hexadecimal digits.
pub(super) fn hash(message: &[u8]) -> String {
    hex(&Sha256::digest(message))
}

/// `bytes` in hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    #[test]
    fn hashes_are_those_of_the_specification() {
        let (key, message) = (b"Jefe", b"what do ya want for nothing?");
        let wanted = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex(&sha256(key, message).unwrap()), wanted);
        assert!(hex(&sha512(key, message).unwrap()).starts_with("164b7a7bfcf819e2e395fbe73b56e0a3"));
    }
}
