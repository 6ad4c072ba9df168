//! Keys as bytes that compare as the source compares the keys.

use super::Kind;
use crate::change::Value;

/// Whether values of `kind` have [`ordered`] bytes.
pub fn is_ordered(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Int8
            | Kind::Int16
            | Kind::Int32
            | Kind::Int64
            | Kind::UInt8
            | Kind::UInt16
            | Kind::UInt32
            | Kind::UInt64
            | Kind::Uuid
            | Kind::Date
            | Kind::Bytes
            | Kind::Text
    )
}

/// `value` as bytes that compare as the values do: numbers by size, text and bytes byte by byte (in a database: `COLLATE "C"`).
/// `None` for kinds that have no order which is the same everywhere.
pub fn ordered(value: &Value<'_>) -> Option<Vec<u8>> {
    // The sign comes first and negative numbers are smaller, so its bit is turned round.
    let signed = |value: i64| (value ^ i64::MIN).to_be_bytes().to_vec();
    match value {
        Value::Int(value) => Some(signed(*value)),
        Value::UInt(value) => Some(value.to_be_bytes().to_vec()),
        Value::Date(days) => Some(signed(i64::from(*days))),
        Value::Uuid(bytes) | Value::Bytes(bytes) => Some(bytes.to_vec()),
        Value::Text(text) => Some(text.as_bytes().to_vec()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_compare_as_the_values_do() {
        let numbers = [i64::MIN, -256, -1, 0, 1, 255, 256, i64::MAX];
        let bytes = numbers.map(|number| ordered(&Value::Int(number)).unwrap());
        assert!(bytes.is_sorted());
        let texts = ["", "A", "a", "aa", "b", "\u{e9}"].map(|text| ordered(&Value::Text(text)).unwrap());
        assert!(texts.is_sorted());
        assert_eq!(ordered(&Value::Float64(1.0)), None);
    }
}
