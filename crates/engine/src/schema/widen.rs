//! How an inferred kind gives way to values it cannot hold: it only ever widens.

use super::Kind;

/// The narrowest kind that holds every value of `a` and of `b` without loss of meaning, for the kinds that inference gives.
///
/// Numbers widen along int -> float -> number; a date widens to a timestamp; whatever else disagrees becomes
/// text. Whether a given number is exact in a float is for the one who sees the values to decide: an integer
/// beyond 2^53 calls for [`Kind::Number`].
pub fn widen(a: &Kind, b: &Kind) -> Kind {
    use Kind::{Date, Float64, Int64, Json, Number, Text, Timestamp};
    match (a, b) {
        _ if a == b => a.clone(),
        (Int64, Float64) | (Float64, Int64) => Float64,
        (Int64 | Float64, Number) | (Number, Int64 | Float64) => Number,
        (Date, Timestamp) | (Timestamp, Date) => Timestamp,
        // JSON text of any shape can hold every other JSON value; text cannot tell `"1"` from `1`.
        (Json, _) | (_, Json) => Json,
        _ => Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widening_is_commutative_and_settles() {
        use Kind::*;
        let kinds = [Bool, Int64, Float64, Number, Date, Timestamp, TimestampTz, Uuid, Json, Text];
        for a in &kinds {
            for b in &kinds {
                let wide = widen(a, b);
                assert_eq!(wide, widen(b, a));
                assert_eq!(widen(&wide, a), wide, "{a:?} {b:?}");
                assert_eq!(widen(&wide, b), wide, "{a:?} {b:?}");
            }
        }
    }
}
