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
    if is_free_text(column) {
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
        (Kind::Text | Kind::Enum { .. }, Kind::Enum { .. } | Kind::Uuid | Kind::Json) => literal(),
        // Lengths of bits aside, which the server checks, types of one name are one type.
        (Kind::Text | Kind::Enum { .. }, Kind::Other { .. }) => literal(),
        (Kind::Other { name }, Kind::Other { name: existing }) if is_same_other(name, existing) => literal(),
        (Kind::List { .. }, Kind::Json) => Some(Form::Json),
        (Kind::List { of }, Kind::List { of: existing }) => list(of, existing, field, column),
        _ => None,
    }
}

/// Text that is kept whole: `text`, `character varying`, `citext`.
fn is_free_text(column: &ColumnType) -> bool {
    column.kind == Kind::Text && !matches!(column.oid, NAME | CHARACTER)
}

/// Lists, where each element would be kept. Elements of text are written to the array as they are read from the field.
fn list(of: &Kind, existing: &Kind, field: &Field, column: &ColumnType) -> Option<Form> {
    let Format::Array { of: format, delimiter } = &column.format else { return None };
    let element = ColumnType {
        kind: existing.clone(),
        format: (**format).clone(),
        // Of the element's own type and modifier the array's column tells the modifier alone.
        oid: if **format == Format::Text { 25 } else { format.oid() },
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
/// digit, texts at any length.
fn keeps_all(column: &ColumnType) -> bool {
    let innermost = match &column.kind {
        Kind::List { of } => of,
        kind => kind,
    };
    match innermost {
        Kind::Text => !matches!(column.oid, NAME | CHARACTER) && column.modifier == -1,
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

fn is_same_other(name: &str, existing: &str) -> bool {
    let is_bits = |name: &str| name == "bit" || name == "bit varying";
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
