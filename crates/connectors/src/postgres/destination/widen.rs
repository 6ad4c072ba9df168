//! The type of a column that must hold what two types hold.

/// The type that holds everything.
pub(super) const TEXT: &str = "text";

/// What floating-point types hold beside numbers; spelled alike everywhere.
const SPECIAL: &str = "('NaN', 'Infinity', '-Infinity')";

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
    match (one, other) {
        // `jsonb` takes a text apart; what has been kept as `json` keeps its text.
        ("json", "jsonb") | ("jsonb", "json") => "json".to_owned(),
        // A text that is there is no document; a document is a text.
        (_, "json" | "jsonb") if !is_text(one) => other.to_owned(),
        _ => TEXT.to_owned(),
    }
}

/// How a column's value becomes one of another type. To text: as the engine writes it, which is how later values come.
pub(super) fn conversion(column: &str, from: &str, to: &str) -> String {
    let seconds = format!(
        "CASE WHEN extract(microseconds FROM {column})::bigint % 1000000 = 0 THEN 'SS'
              WHEN extract(microseconds FROM {column})::bigint % 1000 = 0 THEN 'SS.MS' ELSE 'SS.US' END"
    );
    let date = "'YYYY-MM-DD\"T\"HH24:MI:'";
    match (from, to) {
        (_, "json") => format!("to_json({column})"),
        (_, "jsonb") => format!("to_jsonb({column})"),
        ("timestamp without time zone", TEXT) => format!("to_char({column}, {date} || {seconds})"),
        ("timestamp with time zone", TEXT) => {
            format!("to_char({column} AT TIME ZONE 'UTC', {date} || {seconds} || '\"Z\"')")
        }
        ("time without time zone", TEXT) => format!("to_char({column}::interval, 'HH24:MI:' || {seconds})"),
        ("real" | "double precision", TEXT) => format!(
            r"CASE WHEN {column} IN {SPECIAL} THEN {column}::text
              ELSE regexp_replace({column}::text::numeric::text, '^(-?\d+)$', '\1.0') END"
        ),
        (_, TEXT) if is_castable(from) => format!("{column}::text"),
        // What the type's own output function makes; a cast to text makes something else of some (`inet`).
        (_, TEXT) => format!("CASE WHEN {column} IS NOT NULL THEN format('%s', {column}) END"),
        _ => format!("{column}::{to}"),
    }
}

/// A condition that holds for values which the conversion would alter; `None` where it alters none.
pub(super) fn is_altered(column: &str, from: &str, to: &str) -> Option<String> {
    match (from, to) {
        ("bigint", "double precision") => {
            Some(format!("{column}::double precision::numeric <> {column}::numeric"))
        }
        // The engine spells years of five digits and those before Christ in another way, and infinity not at all.
        ("date" | "timestamp without time zone" | "timestamp with time zone", TEXT) => {
            Some(format!("NOT isfinite({column}) OR {column} NOT BETWEEN '0001-01-02' AND '9999-12-30'"))
        }
        // Beyond these the engine writes an exponent, and PostgreSQL another one.
        ("real" | "double precision", TEXT) => Some(format!(
            "NOT ({column} IN {SPECIAL} OR abs({column}) >= 1e-5 AND abs({column}) < 1e16 OR {column}::text = '0')"
        )),
        // The engine spells intervals and lists in its own way.
        (_, TEXT) if from.starts_with("interval") || from.ends_with("[]") => {
            Some(format!("{column} IS NOT NULL"))
        }
        _ => None,
    }
}

fn is_text(name: &str) -> bool {
    name == TEXT || name == "citext" || name.starts_with("character varying")
}

/// Types whose cast to text is what their output function makes.
fn is_castable(name: &str) -> bool {
    integer(name).is_some()
        || name.starts_with("numeric")
        || is_text(name)
        || matches!(name, "boolean" | "uuid" | "json" | "jsonb" | "bytea" | "date")
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
    fn documents_keep_their_text() {
        assert_eq!(widened("json", "jsonb"), "json");
        assert_eq!(widened("jsonb", "json"), "json");
        assert_eq!(widened("json", "text"), "text");
        assert_eq!(widened("text", "json"), "text");
    }

    #[test]
    fn what_has_no_exact_text_is_altered() {
        for from in ["real", "interval", "bigint[]", "date"] {
            assert!(is_altered("c", from, "text").is_some(), "{from}");
        }
        for from in ["bigint", "numeric(12,2)", "uuid", "inet", "jsonb", "boolean", "time without time zone"]
        {
            assert_eq!(is_altered("c", from, "text"), None, "{from}");
        }
    }
}
