//! Keys as bytes that are equal when a database takes the keys for equal.

use tidemark_engine::change::{Cell, Value};

/// A key. Equal bytes are equal keys; whether different bytes are different keys depends on the types of the columns.
pub(crate) type Key = Vec<u8>;

/// Adds one part of a key. `false` when it is NULL or not known: then it tells no rows apart.
pub(crate) fn add(key: &mut Key, part: &Cell<'_>) -> bool {
    let before = key.len();
    // The length stands in front, so that parts cannot run into one another.
    key.extend_from_slice(&[0; 4]);
    match part {
        Cell::Unchanged | Cell::Null => return false,
        Cell::Exception(text) => {
            key.push(1);
            key.extend_from_slice(text.as_bytes());
        }
        Cell::Value(value) => add_value(key, value),
    }
    let length = u32::try_from(key.len() - before - 4).unwrap_or(u32::MAX);
    key[before..before + 4].copy_from_slice(&length.to_le_bytes());
    true
}

fn add_value(key: &mut Key, value: &Value<'_>) {
    key.push(0);
    match value {
        Value::Int(number) | Value::Time(number) | Value::Timestamp(number) | Value::TimestampTz(number) => {
            key.extend_from_slice(&number.to_le_bytes());
        }
        Value::UInt(number) => key.extend_from_slice(&number.to_le_bytes()),
        Value::Date(days) => key.extend_from_slice(&days.to_le_bytes()),
        Value::Decimal(digits, _) => key.extend_from_slice(&digits.to_le_bytes()),
        Value::Text(text) => key.extend_from_slice(text.as_bytes()),
        Value::Bytes(bytes) | Value::Uuid(bytes) => key.extend_from_slice(bytes),
        Value::Float32(number) => add_float(key, f64::from(*number)),
        Value::Float64(number) => add_float(key, *number),
        Value::Bool(_) | Value::List(..) => key.extend_from_slice(value.to_string().as_bytes()),
    }
}

/// Every NaN equals every other, as PostgreSQL has it, and zero has no sign.
/// <https://www.postgresql.org/docs/current/datatype-numeric.html#DATATYPE-FLOAT>
fn add_float(key: &mut Key, number: f64) {
    let number = if number.is_nan() { f64::NAN } else { number + 0.0 };
    key.extend_from_slice(&number.to_bits().to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(parts: &[Cell<'_>]) -> Key {
        let mut key = Key::new();
        assert!(parts.iter().all(|part| add(&mut key, part)));
        key
    }

    #[test]
    fn equal_as_databases_have_it() {
        let float = |number| key(&[Cell::Value(Value::Float64(number))]);
        assert_eq!(float(0.0), float(-0.0));
        assert_eq!(float(f64::NAN), float(-f64::NAN));
        assert_ne!(float(1.0), float(-1.0));
        let text = |text| Cell::Value(Value::Text(text));
        assert_ne!(key(&[text("ab"), text("c")]), key(&[text("a"), text("bc")]));
        assert_ne!(key(&[text("NaN")]), key(&[Cell::Exception("NaN")]));
        assert!(!add(&mut Key::new(), &Cell::Null));
    }
}
