//! HMACs, made and compared.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha384, Sha512};

use super::config::{Algorithm, Encoding};

/// Whether `signature` is the HMAC of `pieces`, one after the other, under `key`. Takes as long whatever bytes of it differ.
pub(super) fn matches(algorithm: Algorithm, key: &[u8], pieces: &[&[u8]], signature: &[u8]) -> bool {
    match algorithm {
        Algorithm::Sha256 => verify::<Hmac<Sha256>>(key, pieces, signature),
        Algorithm::Sha384 => verify::<Hmac<Sha384>>(key, pieces, signature),
        Algorithm::Sha512 => verify::<Hmac<Sha512>>(key, pieces, signature),
    }
}

fn verify<M: Mac + KeyInit>(key: &[u8], pieces: &[&[u8]], signature: &[u8]) -> bool {
    // An HMAC takes keys of any length.
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return false };
    pieces.iter().for_each(|piece| mac.update(piece));
    mac.verify_slice(signature).is_ok()
}

impl Encoding {
    /// The bytes that `text` stands for.
    pub(super) fn decode(self, text: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Base64 => STANDARD.decode(text).ok(),
            Self::Hex => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let (pairs, rest) = text.as_chunks::<2>();
                if !rest.is_empty() {
                    return None;
                }
                pairs.iter().map(|[high, low]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    #[test]
    fn the_rfcs_signatures_match() {
        let cases = [
            (Algorithm::Sha256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            (
                Algorithm::Sha384,
                "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
            ),
            (
                Algorithm::Sha512,
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ),
        ];
        for (algorithm, hex) in cases {
            let signature = Encoding::Hex.decode(hex.as_bytes()).unwrap();
            let pieces: [&[u8]; 2] = [b"what do ya want ", b"for nothing?"];
            assert!(matches(algorithm, b"Jefe", &pieces, &signature));
            assert!(!matches(algorithm, b"jefe", &pieces, &signature));
            assert!(!matches(algorithm, b"Jefe", &pieces[..1], &signature));
            assert!(!matches(algorithm, b"Jefe", &pieces, &signature[1..]));
            assert!(!matches(algorithm, b"Jefe", &pieces, b""));
        }
    }

    #[test]
    fn what_is_not_hexadecimal_is_not_decoded() {
        assert_eq!(Encoding::Hex.decode(b"00fFa1"), Some(vec![0, 255, 0xa1]));
        for text in ["0", "0g", "+1", "é"] {
            assert_eq!(Encoding::Hex.decode(text.as_bytes()), None, "{text}");
        }
    }
}
