//! The type of one column.

use tidemark_engine::schema::Kind;

use super::format::Format;

/// A column's type, resolved: domains down to what they are made of, arrays to their elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::postgres) struct ColumnType {
    /// What its values become.
    pub(in crate::postgres) kind: Kind,
    /// As `format_type` spells it, modifiers included: `numeric(12,2)`, `character varying(20)`, `public.mood`.
    pub(in crate::postgres) declared: String,
    /// How its values are laid out.
    pub(super) format: Format,
    /// The type underneath every domain.
    pub(super) oid: u32,
    /// That type's modifier; -1 for none.
    pub(super) modifier: i32,
    /// The function that makes its values text, schema and name quoted.
    pub(super) output: String,
}

impl ColumnType {
    /// Whether its values are read from PostgreSQL's own binary format. Those of other types are to be asked for as text,
    /// see [`ColumnType::selected`]; in a stream of `pgoutput` with `binary`, which sends every type in binary, they cannot
    /// be read.
    pub(in crate::postgres) fn is_binary(&self) -> bool {
        self.format.is_binary()
    }

    /// What a `COPY (SELECT ...) TO STDOUT (FORMAT binary)` selects for the column `quoted`.
    ///
    /// The output function rather than a cast to text, because they disagree for some types (`inet` loses its short
    /// form), and the log of changes carries what the output function makes.
    pub(in crate::postgres) fn selected(&self, quoted: &str) -> String {
        if self.is_binary() { quoted.to_owned() } else { self.as_text(quoted) }
    }

    /// The column `quoted` as the text that its type's output function makes, which is what the stream of changes carries.
    pub(in crate::postgres) fn as_text(&self, quoted: &str) -> String {
        format!("pg_catalog.textin({}({quoted}))", self.output)
    }

    /// A word for how its values look as text: columns with the same word, on whatever server, show the same value alike.
    pub(in crate::postgres) fn text_form(&self) -> String {
        text_form(&self.kind, &self.format)
    }
}

fn text_form(kind: &Kind, format: &Format) -> String {
    match (kind, format) {
        (Kind::Int16 | Kind::Int32 | Kind::Int64 | Kind::UInt32, _) => "integer".to_owned(),
        // The scale alone shows.
        (Kind::Decimal { scale, .. }, _) => format!("decimal of scale {scale}"),
        (Kind::Text | Kind::Enum { .. } | Kind::Json | Kind::Other { .. }, _) => "text".to_owned(),
        (Kind::List { of }, Format::Array { of: format, delimiter }) => {
            format!("list of {} with `{delimiter}`", text_form(of, format))
        }
        (kind, _) => kind.name(),
    }
}
