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
        if self.is_binary() {
            quoted.to_owned()
        } else {
            format!("pg_catalog.textin({}({quoted}))", self.output)
        }
    }
}
