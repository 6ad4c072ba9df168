//! The type of a column that must hold what two types hold.

/// The narrowest type that holds every value of `one` and `other` unaltered; text holds everything.
pub(super) fn widened(one: &str, other: &str) -> String {
    if one == other {
        return one.to_owned();
    }
    let either = |a: &str, b: &str| (one == a && other == b) || (one == b && other == a);
    if let (Some(a), Some(b)) = (digits(one), digits(other)) {
        return decimal(a, b);
    }
    if let (Some(a), Some(b)) = (integer(one), integer(other)) {
        return ["smallint", "integer", "bigint"][a.max(b)].to_owned();
    }
    let is_number = |name: &str| integer(name).is_some() || name.starts_with("numeric");
    if is_number(one) && is_number(other) {
        return "numeric".to_owned();
    }
    let is_small_number =
        |name: &str| integer(name).is_some() || name == "real" || name == "double precision";
    if is_small_number(one) && is_small_number(other) {
        return "double precision".to_owned();
    }
    if either("date", "timestamp without time zone") {
        return "timestamp without time zone".to_owned();
    }
    for json in ["json", "jsonb"] {
        if other == json {
            return json.to_owned();
        }
    }
    "text".to_owned()
}

/// Whether a column of type `column` would refuse some values of the type `wanted`, one by one, and can be widened instead.
pub(super) fn is_narrower(column: &str, wanted: &str) -> bool {
    let is_number = |name: &str| integer(name).is_some() || name.starts_with("numeric");
    let is_text = |name: &str| name == "text" || name.starts_with("character varying");
    let are_alike = (is_number(column) && is_number(wanted)) || (is_text(column) && is_text(wanted));
    are_alike && widened(column, wanted) != column
}

/// How a column's value becomes one of another type.
pub(super) fn conversion(column: &str, from: &str, to: &str) -> String {
    match (from, to) {
        (_, "json") => format!("to_json({column})"),
        (_, "jsonb") => format!("to_jsonb({column})"),
        // The canonical texts of the engine.
        ("timestamp without time zone", "text") => format!("to_json({column}) #>> '{{}}'"),
        ("timestamp with time zone", "text") => {
            format!("(to_json({column} AT TIME ZONE 'UTC') #>> '{{}}') || 'Z'")
        }
        _ => format!("{column}::{to}"),
    }
}

/// A condition that holds for values which the conversion would alter; `None` where it alters none.
pub(super) fn is_altered(column: &str, from: &str, to: &str) -> Option<String> {
    let loses = from == "bigint" && to == "double precision";
    loses.then(|| format!("{column}::double precision::numeric <> {column}::numeric"))
}

fn integer(name: &str) -> Option<usize> {
    ["smallint", "integer", "bigint"].iter().position(|integer| *integer == name)
}

/// Precision and scale of a `numeric(p,s)`.
fn digits(name: &str) -> Option<(u32, u32)> {
    let (precision, scale) = name.strip_prefix("numeric(")?.strip_suffix(')')?.split_once(',')?;
    Some((precision.trim().parse().ok()?, scale.trim().parse().ok()?))
}

fn decimal(one: (u32, u32), other: (u32, u32)) -> String {
    let scale = one.1.max(other.1);
    let whole = one.0.saturating_sub(one.1).max(other.0.saturating_sub(other.1));
    format!("numeric({},{scale})", (whole + scale).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_widen_along_their_families() {
        assert_eq!(widened("smallint", "bigint"), "bigint");
        assert_eq!(widened("bigint", "numeric"), "numeric");
        assert_eq!(widened("numeric(12,2)", "numeric(6,4)"), "numeric(14,4)");
        assert_eq!(widened("real", "double precision"), "double precision");
        assert_eq!(widened("date", "timestamp without time zone"), "timestamp without time zone");
        assert_eq!(widened("bigint", "json"), "json");
        assert_eq!(widened("uuid", "bigint"), "text");
    }

    #[test]
    fn columns_that_would_refuse_values_are_narrower() {
        for (column, wanted) in [
            ("integer", "bigint"),
            ("integer", "numeric(12,2)"),
            ("numeric(12,2)", "numeric(12,4)"),
            ("character varying(20)", "text"),
        ] {
            assert!(is_narrower(column, wanted), "{column}, {wanted}");
            assert!(!is_narrower(wanted, wanted) && !is_narrower("text", wanted), "{wanted}");
        }
        assert!(!is_narrower("bigint", "integer") && !is_narrower("numeric", "integer"));
        assert!(!is_narrower("json", "text"));
    }
}
