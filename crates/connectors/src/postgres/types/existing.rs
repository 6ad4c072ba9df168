//! Storing a field in a column that was there before: only where each of its values is kept, or refused by the server.
//!
//! PostgreSQL rounds and cuts silently where it casts on assignment (`numeric` to fewer digits, `timestamp` to `date`), so a
//! column is taken only when no value can come to that.

use tidemark_engine::{
    Error, Result,
    schema::{Field, Kind},
};

use super::{
    catalog::precision_and_scale,
    column_type::ColumnType,
    format::Format,
    target::{Form, Target},
};

/// The oids of types that are text but do not keep every text: `name` cuts at 63 bytes, `character(n)` pads.
const NAME: u32 = 19;
const CHARACTER: u32 = 1042;
const CHARACTER_VARYING: u32 = 1043;

/// The oids of their arrays.
const NAMES: u32 = 1003;
const CHARACTERS: u32 = 1014;
const CHARACTERS_VARYING: u32 = 1015;

impl Target {
    /// How `field` is stored in a `column` that is there.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Config`] when the column would alter some of the field's values. What else it
    /// cannot hold (a text that is too long, a label that is not in the enum) the server refuses value by value.
    pub(in crate::postgres) fn existing(field: &Field, column: &ColumnType) -> Result<Self> {
        let ours = Self::of(field, &|_| true);
        if column.declared == ours.declared {
            return Ok(ours);
        }
        let form = match form(field, column) {
            // The binary form of an array names its elements' type, which here is another than ours.
            Some(Form::Own(Format::Array { delimiter, .. })) => {
                Form::Own(Format::Array { of: Box::new(Format::Opaque), delimiter })
            }
            Some(form) => form,
            None => {
                return Err(Error::config(format!(
                    "column `{}` has the type `{}`, which does not keep every {} as it is",
                    field.name,
                    column.declared,
                    field.kind.name()
                ))
                .hint(format!("change its type to `{}`, or let Tidemark make the table", ours.declared)));
            }
        };
        Ok(Self { kind: field.kind.clone(), declared: column.declared.clone(), form })
    }
}

/// What the column takes for the field's values; `None` when it would alter some.
fn form(field: &Field, column: &ColumnType) -> Option<Form> {
    let kind = &field.kind;
    if is_free_text(column) && (column.modifier == -1 || fits_within(field, column)) {
        let is_text =
            matches!(kind, Kind::Text | Kind::Number | Kind::Json | Kind::Enum { .. } | Kind::Other { .. });
        return Some(if is_text { Form::Own(Format::Text) } else { Form::Canonical });
    }
    let is_same = field.source_type.as_ref() == Some(&column.declared);
    if *kind == column.kind && (is_same || keeps_all(column)) {
        return Some(Form::Own(column.format.clone()));
    }
    let literal = || Some(Form::Own(Format::Opaque));
    match (kind, &column.kind) {
        // Integers, and whatever their input function refuses by itself: it never rounds.
        (kind, Kind::Int16 | Kind::Int32 | Kind::Int64 | Kind::UInt32) if is_integer(kind) => literal(),
        (Kind::Number | Kind::Decimal { .. }, Kind::Int16 | Kind::Int32 | Kind::Int64) => literal(),
        (kind, Kind::Number) if is_exact(kind) && column.modifier == -1 => literal(),
        (kind, Kind::Decimal { .. } | Kind::Number) if is_exact(kind) => {
            let (_, scale) = precision_and_scale(column.modifier)?;
            (scale_of(kind)? <= scale).then(literal)?
        }
        (kind, Kind::Float64) if is_integer(kind) && !matches!(kind, Kind::Int64 | Kind::UInt64) => literal(),
        (Kind::Float32, Kind::Float64) => literal(),
        (Kind::Int8 | Kind::UInt8 | Kind::Int16 | Kind::UInt16, Kind::Float32) => literal(),
        (Kind::Date, Kind::Timestamp) => literal(),
        (Kind::Text | Kind::Enum { .. }, Kind::Enum { .. } | Kind::Uuid) => literal(),
        (Kind::Text | Kind::Enum { .. }, Kind::Json) if keeps_all(column) => literal(),
        // Other types have a spelling of their own (`money`, `inet`), which is that of their own values alone.
        (Kind::Text | Kind::Enum { .. }, Kind::Other { name }) => {
            (field.source_type.as_ref() == Some(name) && keeps_all(column)).then(literal)?
        }
        // Lengths of bits aside, which the server checks, types of one name are one type.
        (Kind::Other { name }, Kind::Other { name: existing }) if is_same_other(name, existing) => {
            keeps_all(column).then(literal)?
        }
        (Kind::List { .. }, Kind::Json) => Some(Form::Json),
        (Kind::List { of }, Kind::List { of: existing }) => list(of, existing, field, column),
        _ => None,
    }
}

/// Text that is kept whole: `text`, `character varying`, `citext`.
fn is_free_text(column: &ColumnType) -> bool {
    column.kind == Kind::Text && !matches!(column.oid, NAME | CHARACTER)
}

/// Whether no value of the field is cut by the length of a `character varying(n)`: what is too long the server refuses, save for
/// blanks at the end, which it takes away.
fn fits_within(field: &Field, column: &ColumnType) -> bool {
    let source_type = field.source_type.as_deref().unwrap_or_default();
    let length = source_type.strip_prefix("character varying(").and_then(|rest| rest.strip_suffix(')'));
    let may_end_in_blanks =
        matches!(field.kind, Kind::Text | Kind::Json | Kind::Enum { .. } | Kind::Other { .. });
    // The modifier counts four more than the length.
    !may_end_in_blanks
        || length.and_then(|length| length.parse::<i32>().ok()).is_some_and(|n| n <= column.modifier - 4)
}

/// Lists, where each element would be kept. Elements of text are written to the array as they are read from the field.
fn list(of: &Kind, existing: &Kind, field: &Field, column: &ColumnType) -> Option<Form> {
    let Format::Array { of: format, delimiter } = &column.format else { return None };
    let element = ColumnType {
        kind: existing.clone(),
        format: (**format).clone(),
        oid: match column.oid {
            NAMES => NAME,
            CHARACTERS => CHARACTER,
            CHARACTERS_VARYING => CHARACTER_VARYING,
            _ => format.oid(),
        },
        modifier: column.modifier,
        declared: String::new(),
        output: String::new(),
    };
    let field = Field { kind: of.clone(), ..field.clone() };
    match form(&field, &element)? {
        Form::Own(of) => Some(Form::Own(Format::Array { of: Box::new(of), delimiter: *delimiter })),
        Form::Canonical | Form::Json => None,
    }
}

/// Whether a column keeps every value of its own kind: times to the microsecond, intervals in every field, numbers with every
/// digit, texts at any length, documents with their text.
fn keeps_all(column: &ColumnType) -> bool {
    let (innermost, format) = match (&column.kind, &column.format) {
        (Kind::List { of }, Format::Array { of: format, .. }) => (&**of, &**format),
        (kind, format) => (kind, format),
    };
    match innermost {
        Kind::Text => !matches!(column.oid, NAME | CHARACTER | NAMES | CHARACTERS) && column.modifier == -1,
        Kind::Json => *format != Format::Jsonb,
        // What a modifier of an unknown type does nobody knows; `timetz(0)` rounds.
        Kind::Other { name } => column.modifier == -1 || is_bits(name),
        Kind::Time | Kind::Timestamp | Kind::TimestampTz => matches!(column.modifier, -1 | 6),
        Kind::Number | Kind::Interval => column.modifier == -1,
        _ => true,
    }
}

fn is_integer(kind: &Kind) -> bool {
    scale_of(kind) == Some(0) && !matches!(kind, Kind::Decimal { .. })
}

fn is_exact(kind: &Kind) -> bool {
    scale_of(kind).is_some() || matches!(kind, Kind::Number)
}

/// How many digits after the point a number of `kind` has at most.
fn scale_of(kind: &Kind) -> Option<i32> {
    match kind {
        Kind::Int8 | Kind::Int16 | Kind::Int32 | Kind::Int64 => Some(0),
        Kind::UInt8 | Kind::UInt16 | Kind::UInt32 | Kind::UInt64 => Some(0),
        Kind::Decimal { scale, .. } => Some(i32::from(*scale)),
        _ => None,
    }
}

fn is_bits(name: &str) -> bool {
    name == "bit" || name == "bit varying"
}

fn is_same_other(name: &str, existing: &str) -> bool {
    name == existing || (is_bits(name) && is_bits(existing))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(kind: Kind, format: Format, declared: &str, modifier: i32) -> ColumnType {
        let oid = format.oid();
        ColumnType { kind, format, declared: declared.into(), oid, modifier, output: String::new() }
    }

    fn stored(kind: Kind, column: &ColumnType) -> Option<Form> {
        Target::existing(&Field::new("c", kind), column).ok().map(|target| target.form)
    }

    #[test]
    fn columns_that_would_round_or_cut_are_refused() {
        let scaled = column(
            Kind::Decimal { precision: 5, scale: 1 },
            Format::Numeric,
            "numeric(5,1)",
            (5 << 16 | 1) + 4,
        );
        assert!(stored(Kind::Decimal { precision: 9, scale: 1 }, &scaled).is_some());
        assert!(stored(Kind::Int64, &scaled).is_some());
        assert!(stored(Kind::Decimal { precision: 5, scale: 2 }, &scaled).is_none());
        assert!(stored(Kind::Number, &scaled).is_none());
        assert!(stored(Kind::Float64, &scaled).is_none());
        let date = column(Kind::Date, Format::Date, "date", -1);
        assert!(stored(Kind::Timestamp, &date).is_none());
        let seconds = column(Kind::Timestamp, Format::Timestamp, "timestamp(0) without time zone", 0);
        assert!(stored(Kind::Timestamp, &seconds).is_none());
        let double = column(Kind::Float64, Format::Float8, "double precision", -1);
        assert!(stored(Kind::Int32, &double).is_some());
        assert!(stored(Kind::Int64, &double).is_none());
        let name = ColumnType { oid: NAME, ..column(Kind::Text, Format::Text, "name", -1) };
        assert!(stored(Kind::Text, &name).is_none());
    }

    #[test]
    fn columns_that_would_spell_values_in_another_way_are_refused() {
        let short = ColumnType {
            oid: CHARACTER_VARYING,
            ..column(Kind::Text, Format::Text, "character varying(20)", 24)
        };
        assert!(stored(Kind::Text, &short).is_none() && stored(Kind::Json, &short).is_none());
        assert_eq!(stored(Kind::Int64, &short), Some(Form::Canonical));
        let from = |source_type: &str, kind, column: &ColumnType| {
            let mut field = Field::new("c", kind);
            field.source_type = Some(source_type.to_owned());
            Target::existing(&field, column).is_ok()
        };
        assert!(from("character varying(20)", Kind::Text, &short));
        assert!(from("character varying(10)", Kind::Text, &short));
        assert!(!from("character varying(21)", Kind::Text, &short));
        let texts = Kind::List { of: Box::new(Kind::Text) };
        let array = Format::Array { of: Box::new(Format::Text), delimiter: ',' };
        for (oid, declared) in [(NAMES, "name[]"), (CHARACTERS, "character(3)[]")] {
            let names = ColumnType { oid, ..column(texts.clone(), array.clone(), declared, 7) };
            assert!(stored(texts.clone(), &names).is_none(), "{declared}");
            assert!(from(declared, texts.clone(), &names), "{declared}");
        }
        let other =
            |name: &str, modifier| column(Kind::Other { name: name.into() }, Format::Opaque, name, modifier);
        let rounding =
            ColumnType { declared: "time(0) with time zone".into(), ..other("time with time zone", 0) };
        assert!(stored(Kind::Other { name: "time with time zone".into() }, &rounding).is_none());
        for name in ["money", "\"char\"", "inet"] {
            assert!(stored(Kind::Text, &other(name, -1)).is_none(), "{name}");
            assert!(stored(Kind::Other { name: name.into() }, &other(name, -1)).is_some(), "{name}");
        }
        let jsonb = column(Kind::Json, Format::Jsonb, "jsonb", -1);
        assert!(stored(Kind::Json, &jsonb).is_none() && stored(Kind::Text, &jsonb).is_none());
        assert!(from("jsonb", Kind::Json, &jsonb));
    }

    #[test]
    fn text_takes_everything_and_a_refusal_says_what_would() {
        let text = column(Kind::Text, Format::Text, "text", -1);
        assert_eq!(stored(Kind::Text, &text), Some(Form::Own(Format::Text)));
        assert_eq!(stored(Kind::Date, &text), Some(Form::Canonical));
        let error = Target::existing(
            &Field::new("at", Kind::Timestamp),
            &column(Kind::Date, Format::Date, "date", -1),
        );
        let error = error.unwrap_err();
        assert_eq!(
            error.to_string(),
            "column `at` has the type `date`, which does not keep every timestamp as it is"
        );
        assert_eq!(
            error.hint_text(),
            Some("change its type to `timestamp without time zone`, or let Tidemark make the table")
        );
    }
}
