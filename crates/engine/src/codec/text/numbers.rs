//! Numbers as text, digit for digit and bit for bit.

use std::{
    fmt::Display,
    io::{Cursor, Write},
};

pub(super) fn write_int(value: impl Display, out: &mut Vec<u8>) {
    // Writing to a `Vec` cannot fail.
    let _ = write!(out, "{value}");
}

/// The shortest digits that read back to the same bits. NaN has many bit patterns: `NaN` is the usual one, others stand beside it.
pub(super) fn write_float64(value: f64, infinity: &str, out: &mut Vec<u8>) {
    let _ = match value {
        _ if value.to_bits() == f64::NAN.to_bits() => out.write_all(b"NaN"),
        _ if value.is_nan() => write!(out, "NaN(0x{:016x})", value.to_bits()),
        _ if value.is_infinite() => write_infinity(value.is_sign_negative(), infinity, out),
        _ => write!(out, "{value:?}"),
    };
}

/// The same of 32 bits.
pub(super) fn write_float32(value: f32, infinity: &str, out: &mut Vec<u8>) {
    let _ = match value {
        _ if value.to_bits() == f32::NAN.to_bits() => out.write_all(b"NaN"),
        _ if value.is_nan() => write!(out, "NaN(0x{:08x})", value.to_bits()),
        _ if value.is_infinite() => write_infinity(value.is_sign_negative(), infinity, out),
        _ => write!(out, "{value:?}"),
    };
}

fn write_infinity(is_negative: bool, infinity: &str, out: &mut Vec<u8>) -> std::io::Result<()> {
    write!(out, "{}{infinity}", if is_negative { "-" } else { "" })
}

pub(super) fn parse_float64(text: &str, infinity: &str) -> Option<f64> {
    if let Some(bits) = nan_bits(text, 16) {
        return Some(f64::from_bits(bits)).filter(|value| value.is_nan());
    }
    match special(text, infinity) {
        Some(value) => Some(value),
        None => plain_float(text)?.parse().ok().filter(|value: &f64| value.is_finite()),
    }
}

pub(super) fn parse_float32(text: &str, infinity: &str) -> Option<f32> {
    if let Some(bits) = nan_bits(text, 8) {
        return Some(f32::from_bits(u32::try_from(bits).ok()?)).filter(|value| value.is_nan());
    }
    match special(text, infinity) {
        Some(value) if value.is_nan() => Some(f32::NAN),
        Some(value) => Some(if value > 0.0 { f32::INFINITY } else { f32::NEG_INFINITY }),
        None => plain_float(text)?.parse().ok().filter(|value: &f32| value.is_finite()),
    }
}

fn special(text: &str, infinity: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        _ if text == infinity => Some(f64::INFINITY),
        _ if text.strip_prefix('-') == Some(infinity) => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

fn nan_bits(text: &str, digits: usize) -> Option<u64> {
    let bits = text.strip_prefix("NaN(0x")?.strip_suffix(')')?;
    (bits.len() == digits && !bits.starts_with('+')).then(|| u64::from_str_radix(bits, 16).ok())?
}

/// `text` where it is a number, and not one of the words that the parser knows too.
fn plain_float(text: &str) -> Option<&str> {
    let is_of_numbers = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E');
    text.bytes().all(is_of_numbers).then_some(text)
}

/// Every digit, with exactly `scale` of them behind the point.
pub(super) fn write_decimal(value: i128, scale: i8, out: &mut Vec<u8>) {
    let scale = usize::from(scale.unsigned_abs());
    if value < 0 {
        out.push(b'-');
    }
    // 39 digits and up to 38 zeros before them.
    let mut buffer = Cursor::new([0; 80]);
    let _ = write!(buffer, "{:0width$}", value.unsigned_abs(), width = scale + 1);
    let length = usize::try_from(buffer.position()).unwrap_or(0);
    let digits = &buffer.get_ref()[..length];
    let (whole, fraction) = digits.split_at(length - scale);
    out.extend_from_slice(whole);
    if scale > 0 {
        out.push(b'.');
        out.extend_from_slice(fraction);
    }
}

pub(super) fn parse_decimal(text: &str, scale: i8) -> Option<i128> {
    let scale = usize::from(scale.unsigned_abs());
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = match scale {
        0 => (digits, ""),
        _ => digits.split_once('.')?,
    };
    if fraction.len() != scale || whole.is_empty() {
        return None;
    }
    // Counted downwards: there is one more negative number than positive ones.
    let mut value = 0i128;
    for byte in whole.bytes().chain(fraction.bytes()) {
        let digit = byte.is_ascii_digit().then(|| i128::from(byte - b'0'))?;
        value = value.checked_mul(10)?.checked_sub(digit)?;
    }
    if is_negative { Some(value) } else { value.checked_neg() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_look_as_they_should() {
        assert_eq!(text(|out| write_float64(-0.0, "INF", out)), "-0.0");
        assert_eq!(text(|out| write_float64(f64::NEG_INFINITY, "INF", out)), "-INF");
        assert_eq!(text(|out| write_float32(0.1, "INF", out)), "0.1");
        assert_eq!(text(|out| write_float64(-f64::NAN, "INF", out)), "NaN(0xfff8000000000000)");
        assert_eq!(text(|out| write_decimal(-5, 2, out)), "-0.05");
        assert_eq!(text(|out| write_decimal(0, 0, out)), "0");
        assert_eq!(text(|out| write_decimal(7, 38, out)), format!("0.{}7", "0".repeat(37)));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for wrong in
            ["", "inf", "Infinity", "nan", "1e999", "0x1", "NaN(0x7ff0000000000000)", "NaN(0x1)", "1_0"]
        {
            assert_eq!(parse_float64(wrong, "INF").map(f64::to_bits), None, "{wrong}");
        }
        for wrong in ["", "-", "1", "1.2", "1.234", ".12", "+1.23", "1.2x", "--1.23"] {
            assert_eq!(parse_decimal(wrong, 2), None, "{wrong}");
        }
        assert_eq!(parse_decimal(&"9".repeat(40), 0), None);
    }

    proptest! {
        #[test]
        fn floats_keep_every_bit(bits: u64, nan in any::<bool>()) {
            // Few numbers of random bits are none.
            let bits = if nan { bits | 0x7FF0_0000_7F80_0000 } else { bits };
            let value = f64::from_bits(bits);
            let written = text(|out| write_float64(value, "INF", out));
            prop_assert_eq!(parse_float64(&written, "INF").map(f64::to_bits), Some(bits));
            let bits = bits as u32;
            let written = text(|out| write_float32(f32::from_bits(bits), "INF", out));
            prop_assert_eq!(parse_float32(&written, "INF").map(f32::to_bits), Some(bits));
        }

        #[test]
        fn decimals_keep_every_digit(value: i128, scale in 0i8..=38) {
            for value in [value, i128::MIN, i128::MAX, value % 1_000] {
                let written = text(|out| write_decimal(value, scale, out));
                prop_assert_eq!(parse_decimal(&written, scale), Some(value));
            }
        }
    }
}
