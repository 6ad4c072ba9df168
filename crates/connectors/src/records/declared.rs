//! Values of kinds that a person declared: read more freely than inferred ones, but never with a loss.

use super::infer::is_number;

/// `true`, `t`, `1` and their opposites, in any case.
pub(crate) fn bool(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "1" => Some(true),
        "false" | "f" | "0" => Some(false),
        _ => None,
    }
}

/// The unscaled digits of a decimal number at `scale`, of at most `precision` digits. Digits beyond the scale must be
/// zeros.
pub(crate) fn decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let (kept, beyond) = fraction.split_at_checked(fraction.len().min(usize::try_from(scale).ok()?))?;
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(kept) || beyond.bytes().any(|byte| byte != b'0')
    {
        return None;
    }
    let missing = u32::try_from(usize::try_from(scale).ok()? - kept.len()).ok()?;
    let unscaled = whole
        .bytes()
        .chain(kept.bytes())
        .try_fold(0_i128, |number, digit| number.checked_mul(10)?.checked_add(i128::from(digit - b'0')))?;
    let unscaled = unscaled.checked_mul(10_i128.checked_pow(missing)?)?;
    let fits = unscaled < 10_i128.checked_pow(u32::from(precision))?;
    fits.then_some(if negative { -unscaled } else { unscaled })
}

/// A number as JSON writes it.
pub(crate) fn number(text: &str) -> Option<&str> {
    is_number(text).then_some(text)
}

/// `\x` and two hexadecimal digits a byte.
pub(crate) fn bytes(text: &str) -> Option<Vec<u8>> {
    hex(text.strip_prefix("\\x")?)
}

/// 32 hexadecimal digits, with hyphens in their places or none.
pub(crate) fn uuid(text: &str) -> Option<[u8; 16]> {
    let hyphens = text.bytes().enumerate().filter(|(_, byte)| *byte == b'-').map(|(at, _)| at);
    if text.len() != 32 && !hyphens.eq([8, 13, 18, 23]) {
        return None;
    }
    hex(&text.replace('-', ""))?.try_into().ok()
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |&[high, low]: &[u8; 2]| u8::try_from(digit(high)? * 16 + digit(low)?).ok();
    rest.is_empty().then(|| pairs.iter().map(byte).collect()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_keep_every_digit_or_are_refused() {
        assert_eq!(decimal("12.34", 12, 2), Some(1234));
        assert_eq!(decimal("-0.05", 12, 2), Some(-5));
        assert_eq!(decimal("7", 12, 2), Some(700));
        assert_eq!(decimal("7.5000", 12, 2), Some(750));
        assert_eq!(decimal("007", 3, 0), Some(7));
        for text in ["", ".", "-", "1.234", "1e3", "NaN", "1.2.3", "1,5", "100", "1.2é"] {
            assert_eq!(decimal(text, 4, 2), None, "{text}");
        }
    }

    #[test]
    fn bytes_and_uuids_read() {
        assert_eq!(bytes("\\x00fF"), Some(vec![0, 255]));
        assert_eq!(bytes("\\x0"), None);
        assert_eq!(uuid("11111111-1111-1111-1111-111111111111"), Some([0x11; 16]));
        assert_eq!(uuid("11111111111111111111111111111111"), Some([0x11; 16]));
        assert_eq!(uuid("1111111111111111111111111111111-"), None);
        assert_eq!(uuid("11111111-1111-1111-1111-11111111111"), None);
    }
}
