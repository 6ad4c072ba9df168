//! How a field is stored in a table, and its values written there.

use bytes::{BufMut, BytesMut};
use tidemark_engine::{
    Result,
    change::{Cell, Value, write_json},
    schema::{Field, Kind},
};

use super::{encode, format::Format, literal};

/// How one field of a stream is stored in a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::postgres) struct Target {
    pub(super) kind: Kind,
    pub(super) declared: String,
    pub(super) form: Form,
}

/// What a column takes for a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    /// The value itself.
    Own(Format),
    /// Its canonical text, in a column of text.
    Canonical,
    /// A list as JSON.
    Json,
}

/// What became of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(in crate::postgres) enum Written {
    /// It was appended.
    Appended,
    /// Nothing was appended: the value has no binary form, and travels as text or not at all.
    NeedsText,
}

/// Types of `pg_catalog` that travel as text, and whose input function takes anywhere what their output function made
/// anywhere. Left out are those that name things of their own database (`regclass`) or of their own transactions.
const PORTABLE: &[&str] = &[
    "\"char\"",
    "bit varying",
    "box",
    "cidr",
    "circle",
    "daterange",
    "inet",
    "int4range",
    "int8range",
    "jsonpath",
    "line",
    "lseg",
    "macaddr",
    "macaddr8",
    "money",
    "numrange",
    "path",
    "pg_lsn",
    "point",
    "polygon",
    "time with time zone",
    "tsquery",
    "tsrange",
    "tstzrange",
    "tsvector",
    "xml",
];

/// The same, of extensions and of later versions than the earliest we write to: where the database has them.
const PORTABLE_WHERE_AVAILABLE: &[&str] = &[
    "citext",
    "datemultirange",
    "hstore",
    "int4multirange",
    "int8multirange",
    "ltree",
    "nummultirange",
    "tsmultirange",
    "tstzmultirange",
];

impl Target {
    /// How `field` is stored in a table that we make. `is_available` tells whether the database finds a type by an unqualified
    /// name (`to_regtype`).
    pub(in crate::postgres) fn of(field: &Field, is_available: &dyn Fn(&str) -> bool) -> Self {
        let source_type = field.source_type.as_deref().unwrap_or_default();
        let (declared, form) = stored(&field.kind, source_type, is_available);
        Self { kind: field.kind.clone(), declared, form }
    }

    /// The type to declare the column with, spelled as `format_type` spells it: a column that is declared so already is stored
    /// as we would.
    pub(in crate::postgres) fn declared(&self) -> &str {
        &self.declared
    }

    /// Whether a `COPY` in binary can carry the column.
    pub(in crate::postgres) fn is_binary(&self) -> bool {
        match &self.form {
            Form::Own(format) => format.is_binary(),
            Form::Canonical | Form::Json => true,
        }
    }

    /// Appends `cell` as a field of a `COPY` in binary: its length in 32 bits and its bytes, -1 for NULL and for
    /// [`Cell::Unchanged`].
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Data`] when PostgreSQL cannot hold the value.
    #[inline]
    pub(in crate::postgres) fn write_binary(&self, cell: &Cell<'_>, out: &mut BytesMut) -> Result<Written> {
        if matches!(cell, Cell::Null | Cell::Unchanged) {
            out.put_i32(-1);
            return Ok(Written::Appended);
        }
        let start = out.len();
        let written = match (&self.form, cell) {
            (Form::Own(format), Cell::Value(value)) => {
                encode::measured(out, |out| encode::value(format, &self.kind, value, out))?
            }
            (Form::Own(format), Cell::Exception(text)) => {
                encode::measured(out, |out| encode::exception(format, text, out))?
            }
            _ => {
                let text = self.literal_text(cell)?.unwrap_or_default();
                encode::measured(out, |out| {
                    out.put_slice(text.as_bytes());
                    Ok(true)
                })?
            }
        };
        if written {
            return Ok(Written::Appended);
        }
        out.truncate(start);
        Ok(Written::NeedsText)
    }

    /// Appends `cell` as a field of a `COPY` as text: escaped, `\N` for NULL and for [`Cell::Unchanged`].
    ///
    /// Fails as [`Target::write_binary`] does.
    pub(in crate::postgres) fn write_text(&self, cell: &Cell<'_>, out: &mut BytesMut) -> Result<()> {
        match (&self.form, cell) {
            (_, Cell::Null | Cell::Unchanged) => out.put_slice(b"\\N"),
            (Form::Own(_), Cell::Value(Value::Text(text))) if self.kind != Kind::Interval => {
                encode::escaped(literal::checked_text(text)?, out);
            }
            _ => encode::escaped(&self.literal_text(cell)?.unwrap_or_default(), out),
        }
        Ok(())
    }

    /// The text that the column's input function reads as `cell`, for a parameter; `None` for NULL and for
    /// [`Cell::Unchanged`].
    ///
    /// Fails as [`Target::write_binary`] does.
    pub(in crate::postgres) fn literal_text(&self, cell: &Cell<'_>) -> Result<Option<String>> {
        let mut text = String::new();
        match (&self.form, cell) {
            (_, Cell::Null | Cell::Unchanged) => return Ok(None),
            (Form::Own(_), Cell::Value(value)) => literal::write(value, &self.kind, &mut text)?,
            (Form::Canonical, Cell::Value(value)) => text = value.to_string(),
            (Form::Json, Cell::Value(value)) => write_json(value, &self.kind, &mut text),
            (Form::Json, Cell::Exception(exception)) => {
                write_json(&Value::Text(exception), &Kind::Text, &mut text);
            }
            (Form::Own(_) | Form::Canonical, Cell::Exception(exception)) => text.push_str(exception),
        }
        literal::checked_text(&text)?;
        Ok(Some(text))
    }
}

/// How values of `kind` are stored, and under which type. `source_type` tells `json` from `jsonb`, and the text that does not
/// mind its letters' case.
fn stored(kind: &Kind, source_type: &str, is_available: &dyn Fn(&str) -> bool) -> (String, Form) {
    let (declared, format) = match kind {
        Kind::Bool => ("boolean", Format::Bool),
        Kind::Int8 | Kind::Int16 | Kind::UInt8 => ("smallint", Format::Int2),
        Kind::Int32 | Kind::UInt16 => ("integer", Format::Int4),
        Kind::Int64 | Kind::UInt32 => ("bigint", Format::Int8),
        Kind::UInt64 => ("numeric(20,0)", Format::Numeric),
        Kind::Float32 => ("real", Format::Float4),
        Kind::Float64 => ("double precision", Format::Float8),
        Kind::Decimal { precision, scale } => {
            return (format!("numeric({precision},{scale})"), Form::Own(Format::Numeric));
        }
        Kind::Number => ("numeric", Format::Numeric),
        Kind::Bytes => ("bytea", Format::Bytea),
        Kind::Date => ("date", Format::Date),
        Kind::Time => ("time without time zone", Format::Time),
        Kind::Timestamp => ("timestamp without time zone", Format::Timestamp),
        Kind::TimestampTz => ("timestamp with time zone", Format::TimestampTz),
        Kind::Interval => ("interval", Format::Interval),
        Kind::Uuid => ("uuid", Format::Uuid),
        // The source has taken the text of a `jsonb` apart already; that of any other JSON is kept.
        Kind::Json if source_type.trim_end_matches("[]") == "jsonb" => ("jsonb", Format::Jsonb),
        Kind::Json => ("json", Format::Json),
        Kind::Text if is_citext(source_type) && is_available("citext") => ("citext", Format::Text),
        Kind::Other { name } => return other(name, is_available),
        Kind::List { of } => return list(of, source_type, is_available),
        _ => ("text", Format::Text),
    };
    (declared.to_owned(), Form::Own(format))
}

fn is_citext(source_type: &str) -> bool {
    source_type.trim_end_matches("[]").rsplit('.').next() == Some("citext")
}

fn other(name: &str, is_available: &dyn Fn(&str) -> bool) -> (String, Form) {
    // A length belongs to the column, which the kind does not tell.
    let name = if name == "bit" { "bit varying" } else { name };
    if PORTABLE.contains(&name) || (PORTABLE_WHERE_AVAILABLE.contains(&name) && is_available(name)) {
        return (name.to_owned(), Form::Own(Format::Opaque));
    }
    ("text".to_owned(), Form::Own(Format::Text))
}

/// A list is an array, except that an array's elements cannot be arrays of differing lengths: then it is JSON.
fn list(of: &Kind, source_type: &str, is_available: &dyn Fn(&str) -> bool) -> (String, Form) {
    match stored(of, source_type, is_available) {
        (_, Form::Own(Format::Array { .. }) | Form::Json) => ("json".to_owned(), Form::Json),
        (declared, Form::Own(format)) => {
            // In binary an array names its elements' type, and an extension's has another oid in each database.
            let format = if declared == "citext" { Format::Opaque } else { format };
            let format = Format::Array { of: Box::new(format), delimiter: literal::delimiter(of) };
            (format!("{declared}[]"), Form::Own(format))
        }
        (declared, Form::Canonical) => (declared, Form::Canonical),
    }
}
