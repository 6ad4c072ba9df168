//! Decimals of any length, in binary: groups of four digits. Source: `numeric_send` in the server's `numeric.c`.
//!
//! `count, weight, sign, scale`, 16 bits each, then `count` groups. The first group counts 10000 to the power of
//! `weight`; groups of zeros at either end are left out; `scale` is how many digits after the point are shown.

use std::fmt::Write as _;
use std::io::Write as _;

use bytes::{BufMut, BytesMut};

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xc000;
const INFINITY: u16 = 0xd000;
const NEGATIVE_INFINITY: u16 = 0xf000;

/// The greatest scale that the format has room for.
const LARGEST_SCALE: usize = 0x3fff;
/// The most digits before the point.
const LARGEST_WHOLE: usize = 131_072;

/// A number in binary.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numeric<'a> {
    weight: i32,
    sign: u16,
    scale: usize,
    groups: &'a [u8],
}

impl<'a> Numeric<'a> {
    /// Reads the header; `None` when the bytes are not in the format.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (header, groups) = bytes.split_at_checked(8)?;
        let field = |i: usize| u16::from_be_bytes([header[2 * i], header[2 * i + 1]]);
        let number = Self {
            weight: i32::from(field(1).cast_signed()),
            sign: field(2),
            scale: usize::from(field(3)),
            groups,
        };
        let is_known = matches!(number.sign, 0 | NEGATIVE | NAN | INFINITY | NEGATIVE_INFINITY);
        (is_known && groups.len() == usize::from(field(0)) * 2).then_some(number)
    }

    fn groups(&self) -> impl Iterator<Item = u16> + 'a {
        self.groups.as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair))
    }

    /// The group that counts 10000 to the power of `power`.
    fn group(&self, power: i32) -> u16 {
        let pair = usize::try_from(self.weight - power).ok().and_then(|i| self.groups.get(2 * i..2 * i + 2));
        pair.map_or(0, |pair| u16::from_be_bytes([pair[0], pair[1]]))
    }

    /// Its digits as a whole number, of which `scale` stand after the point; `None` when that does not hold it exactly.
    pub(super) fn unscaled(&self, scale: i8) -> Option<i128> {
        if !matches!(self.sign, 0 | NEGATIVE) {
            return None;
        }
        let mut digits = 0_i128;
        // The power of ten that the last group counts, seen from the scale.
        let mut power = (self.weight + 1) * 4 + i32::from(scale);
        for group in self.groups() {
            power -= 4;
            let (shown, hidden) = match power {
                0.. => (10_000, 1),
                -1 => (1_000, 10),
                -2 => (100, 100),
                -3 => (10, 1_000),
                _ => (1, 10_000),
            };
            if group % hidden != 0 {
                return None;
            }
            digits = digits.checked_mul(shown)?.checked_add(i128::from(group / hidden))?;
        }
        if digits != 0 && power > 0 {
            digits = digits.checked_mul(10_i128.checked_pow(power as u32)?)?;
        }
        Some(if self.sign == NEGATIVE { -digits } else { digits })
    }

    /// As `numeric_out` shows it.
    pub(super) fn write_text(&self, out: &mut String) {
        match self.sign {
            NAN => return out.push_str("NaN"),
            INFINITY => return out.push_str("Infinity"),
            NEGATIVE_INFINITY => return out.push_str("-Infinity"),
            NEGATIVE => out.push('-'),
            _ => {}
        }
        // Writing to a `String` cannot fail.
        let _ = write!(out, "{}", self.group(self.weight.max(0)));
        for power in (0..self.weight).rev() {
            let _ = write!(out, "{:04}", self.group(power));
        }
        if self.scale > 0 {
            out.push('.');
            let end = out.len() + self.scale;
            let mut power = -1;
            while out.len() < end {
                let _ = write!(out, "{:04}", self.group(power));
                power -= 1;
            }
            out.truncate(end);
        }
    }
}

/// Appends the binary form of `digits`, of which `scale` stand after the point.
pub(super) fn encode_unscaled(digits: i128, scale: i8, out: &mut BytesMut) -> bool {
    let small = (u64::try_from(digits.unsigned_abs()), u16::try_from(scale));
    if let (Ok(magnitude), Ok(scale)) = small
        && encode_small(digits < 0, magnitude, scale, out)
    {
        return true;
    }
    // The longest `i128` has 39 digits.
    let mut text = [0; 40];
    let mut rest = &mut text[..];
    if write!(rest, "{}", digits.unsigned_abs()).is_err() {
        return false;
    }
    let length = 40 - rest.len();
    let text = &text[..length];
    let scale = usize::try_from(scale).unwrap_or(0);
    if length > scale {
        let (whole, fraction) = text.split_at(length - scale);
        return encode(digits < 0, whole, fraction, out);
    }
    let mut fraction = [b'0'; 127];
    fraction[scale - length..scale].copy_from_slice(text);
    encode(digits < 0, &[], &fraction[..scale], out)
}

/// The same without a detour over text, for a number that, with its fraction filled up to whole groups, has room in 64 bits. False,
/// with nothing appended, for others.
fn encode_small(is_negative: bool, magnitude: u64, scale: u16, out: &mut BytesMut) -> bool {
    let filled = 10_u64.pow(u32::from(scale.next_multiple_of(4) - scale));
    let Some(mut rest) = magnitude.checked_mul(filled) else { return false };
    // The last group of 64 bits' twenty digits is the fifth.
    let (mut groups, mut count) = ([0_u16; 5], 0);
    while rest > 0 {
        groups[count] = (rest % 10_000) as u16;
        rest /= 10_000;
        count += 1;
    }
    let zeros = groups[..count].iter().take_while(|group| **group == 0).count();
    let (weight, sign) = match count {
        0 => (0, 0),
        _ => (count as i16 - 1 - scale.div_ceil(4).cast_signed(), if is_negative { NEGATIVE } else { 0 }),
    };
    out.put_u16((count - zeros) as u16);
    out.put_i16(weight);
    out.put_u16(sign);
    out.put_u16(scale);
    groups[zeros..count].iter().rev().for_each(|group| out.put_u16(*group));
    true
}

/// Appends the binary form of a decimal text, `-12.340`. False, with nothing appended, when it is in another notation or
/// too long for the format.
pub(super) fn encode_text(text: &str, out: &mut BytesMut) -> bool {
    match text {
        "NaN" => return encode_special(NAN, out),
        "Infinity" => return encode_special(INFINITY, out),
        "-Infinity" => return encode_special(NEGATIVE_INFINITY, out),
        _ => {}
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain = is_number(whole) && is_number(fraction) && !(whole.is_empty() && fraction.is_empty());
    is_plain && encode(digits.len() < text.len(), whole.as_bytes(), fraction.as_bytes(), out)
}

fn encode_special(sign: u16, out: &mut BytesMut) -> bool {
    out.put_slice(&[0, 0, 0, 0]);
    out.put_u16(sign);
    out.put_u16(0);
    true
}

/// Appends the number with these digits before and after the point.
fn encode(is_negative: bool, whole: &[u8], fraction: &[u8], out: &mut BytesMut) -> bool {
    let zeros = whole.iter().take_while(|digit| **digit == b'0').count();
    let whole = &whole[zeros..];
    if whole.len() > LARGEST_WHOLE || fraction.len() > LARGEST_SCALE {
        return false;
    }
    let start = out.len();
    out.put_slice(&[0; 8]);
    let mut weight = whole.len().div_ceil(4) as i16 - 1;
    let (first, rest) = whole.split_at(whole.len() % 4);
    let groups = (!first.is_empty())
        .then_some(first)
        .into_iter()
        .map(group)
        .chain(rest.chunks(4).map(group))
        // The last group of a fraction is filled up with zeros.
        .chain(fraction.chunks(4).map(|digits| group(digits) * 10_u16.pow(4 - digits.len() as u32)));
    // Where the bytes up to the last group that counts end.
    let mut end = out.len();
    for group in groups {
        if group == 0 && out.len() == start + 8 {
            weight -= 1;
            continue;
        }
        out.put_u16(group);
        if group != 0 {
            end = out.len();
        }
    }
    out.truncate(end);
    let count = (end - start - 8) / 2;
    let (weight, sign) = match count {
        0 => (0, 0),
        _ => (weight, if is_negative { NEGATIVE } else { 0 }),
    };
    let header = [count as u16, weight.cast_unsigned(), sign, fraction.len() as u16];
    for (field, value) in out[start..start + 8].chunks_exact_mut(2).zip(header) {
        field.copy_from_slice(&value.to_be_bytes());
    }
    true
}

fn group(digits: &[u8]) -> u16 {
    digits.iter().fold(0, |group, digit| group * 10 + u16::from(digit - b'0'))
}

/// Digits as a whole number, of which `scale` stand after the point, of a decimal text; `None` when that does not hold it
/// exactly.
pub(super) fn parse_unscaled(text: &str, scale: i8) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let scale = usize::try_from(scale).ok()?;
    let (shown, hidden) = fraction.split_at_checked(scale).unwrap_or((fraction, ""));
    if (whole.is_empty() && fraction.is_empty()) || hidden.bytes().any(|byte| byte != b'0') {
        return None;
    }
    let unscaled = whole.bytes().chain(shown.bytes()).try_fold(0_i128, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| i128::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })?;
    let unscaled = match scale - shown.len() {
        missing if unscaled != 0 => unscaled.checked_mul(10_i128.checked_pow(missing as u32)?)?,
        _ => unscaled,
    };
    Some(if digits.len() < text.len() { -unscaled } else { unscaled })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(text: &str) -> BytesMut {
        let mut out = BytesMut::new();
        assert!(encode_text(text, &mut out), "{text}");
        out
    }

    fn read_back(bytes: &[u8]) -> String {
        let mut text = String::new();
        Numeric::read(bytes).unwrap().write_text(&mut text);
        text
    }

    #[test]
    fn texts_survive_the_binary_form() {
        let long = format!("-{}.{}", "9".repeat(1000), "10".repeat(500));
        for text in [
            "0",
            "0.00",
            "1",
            "-1",
            "10000",
            "0.0001",
            "-0.00012300",
            "100000000.5",
            "NaN",
            "-Infinity",
            &long,
        ] {
            assert_eq!(read_back(&encoded(text)), text);
        }
        for text in ["", "-", ".", "1e5", "+1", "x", &"1".repeat(200_000)] {
            assert!(!encode_text(text, &mut BytesMut::new()), "{text}");
        }
    }

    /// As `SELECT numeric_send('-12345.678')` shows it.
    #[test]
    fn the_binary_form_is_the_servers() {
        let expected = [0, 3, 0, 1, 0x40, 0, 0, 3, 0, 1, 0x09, 0x29, 0x1a, 0x7c];
        assert_eq!(encoded("-12345.678")[..], expected);
        assert_eq!(Numeric::read(&expected).unwrap().unscaled(3), Some(-12_345_678));
        assert_eq!(Numeric::read(&expected).unwrap().unscaled(2), None);
        assert_eq!(Numeric::read(&expected).unwrap().unscaled(38), None);
        assert!(Numeric::read(&expected[..13]).is_none());
    }

    proptest! {
        #[test]
        fn both_ways_of_writing_a_small_number_write_the_same(
            magnitude: u64,
            cut in 0_u32..20,
            is_negative: bool,
            scale in 0_u16..=38,
        ) {
            let magnitude = magnitude / 10_u64.pow(cut);
            let mut small = BytesMut::new();
            prop_assume!(encode_small(is_negative, magnitude, scale, &mut small));
            let text = format!("{magnitude:0width$}", width = usize::from(scale) + 1);
            let (whole, fraction) = text.split_at(text.len() - usize::from(scale));
            let mut long = BytesMut::new();
            prop_assert!(encode(is_negative, whole.as_bytes(), fraction.as_bytes(), &mut long));
            prop_assert_eq!(small, long);
        }

        #[test]
        fn unscaled_digits_survive(digits in any::<i128>(), cut in 0_u32..39, scale in 0_i8..=38) {
            let digits = digits % 10_i128.pow(38 - cut.min(37));
            let mut out = BytesMut::new();
            prop_assert!(encode_unscaled(digits, scale, &mut out));
            let number = Numeric::read(&out).unwrap();
            prop_assert_eq!(number.unscaled(scale), Some(digits));
            prop_assert_eq!(parse_unscaled(&read_back(&out), scale), Some(digits));
        }
    }
}
