//! Bytes as text: base64 with padding (RFC 4648, section 4), and identifiers with hyphens.

use base64::{Engine as _, prelude::BASE64_STANDARD};

pub(super) fn write(bytes: &[u8], out: &mut Vec<u8>) {
    let begin = out.len();
    out.resize(begin + bytes.len().div_ceil(3) * 4, 0);
    // There is room for all of it, so it cannot fail.
    let written = BASE64_STANDARD.encode_slice(bytes, &mut out[begin..]).unwrap_or(0);
    out.truncate(begin + written);
}

/// Puts the bytes in place of what `out` held.
pub(super) fn parse(text: &str, out: &mut Vec<u8>) -> Option<()> {
    out.clear();
    BASE64_STANDARD.decode_vec(text, out).ok()
}

pub(super) fn write_uuid(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        out.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

pub(super) fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let text: &[u8; 36] = text.as_bytes().try_into().ok()?;
    let (mut bytes, mut at) = ([0; 16], 0);
    for (index, byte) in bytes.iter_mut().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            (text[at] == b'-').then_some(())?;
            at += 1;
        }
        *byte = digit(text[at])? << 4 | digit(text[at + 1])?;
        at += 2;
    }
    Some(bytes)
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_and_bytes_come_back() {
        let (bytes, mut out): ([u8; 16], _) = (std::array::from_fn(|index| index as u8 * 17), Vec::new());
        write_uuid(&bytes, &mut out);
        assert_eq!(out, b"00112233-4455-6677-8899-aabbccddeeff");
        assert_eq!(parse_uuid("00112233-4455-6677-8899-aabbccddeeff"), Some(bytes));
        for wrong in ["", "00112233-4455-6677-8899-aabbccddeefg", "0011223344556677-8899-aabbccddeeff----"] {
            assert_eq!(parse_uuid(wrong), None, "{wrong}");
        }
        for length in 0..9 {
            let mut text = b"before".to_vec();
            write(&bytes[..length], &mut text);
            let mut read = vec![1];
            parse(std::str::from_utf8(&text[6..]).unwrap(), &mut read).unwrap();
            assert_eq!(read, bytes[..length]);
        }
        assert_eq!(parse("AA", &mut Vec::new()), None, "padding belongs to it");
    }
}
