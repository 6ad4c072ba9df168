//! Decimals as Kafka Connect has them: the unscaled number in two's complement, big end first, in as few bytes as hold it.

/// Those of a number.
pub(super) fn bytes_of(unscaled: i128) -> Vec<u8> {
    shortest(&unscaled.to_be_bytes())
}

/// The scale and the unscaled number of a decimal text; `None` where it is none (`NaN`).
pub(super) fn parts(text: &str) -> Option<(usize, Vec<u8>)> {
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    // Little end first while it grows.
    let mut number: Vec<u8> = vec![0];
    for digit in whole.chars().chain(fraction.chars()) {
        let mut carry = digit.to_digit(10)?;
        for byte in &mut number {
            carry += u32::from(*byte) * 10;
            *byte = (carry & 0xff) as u8;
            carry >>= 8;
        }
        if carry > 0 {
            number.push(carry as u8);
        }
    }
    number.push(0);
    if is_negative {
        let mut carry = 1;
        for byte in &mut number {
            carry += u32::from(!*byte);
            *byte = (carry & 0xff) as u8;
            carry >>= 8;
        }
    }
    number.reverse();
    Some((fraction.len(), shortest(&number)))
}

/// Without the bytes at the big end that say nothing but the sign, which the next one says as well.
fn shortest(bytes: &[u8]) -> Vec<u8> {
    let says_nothing = |pair: &&[u8]| matches!((pair[0], pair[1] & 0x80), (0, 0) | (0xff, 0x80));
    let spare = bytes.windows(2).take_while(says_nothing).count();
    bytes[spare..].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_short_as_they_can_be() {
        assert_eq!(bytes_of(0), [0]);
        assert_eq!(bytes_of(127), [0x7f]);
        assert_eq!(bytes_of(128), [0, 0x80]);
        assert_eq!(bytes_of(-128), [0x80]);
        assert_eq!(bytes_of(-129), [0xff, 0x7f]);
        assert_eq!(bytes_of(1234), [0x04, 0xd2]);
    }

    #[test]
    fn a_text_has_a_scale_and_a_number() {
        assert_eq!(parts("12.34"), Some((2, bytes_of(1234))));
        assert_eq!(parts("-12.340"), Some((3, bytes_of(-12_340))));
        assert_eq!(parts("0"), Some((0, vec![0])));
        assert_eq!(parts("NaN"), None);
        for number in [i128::MAX, i128::MIN + 1, -1, 255, -255, -256, 65_536] {
            assert_eq!(parts(&number.to_string()), Some((0, bytes_of(number))), "{number}");
        }
    }
}
