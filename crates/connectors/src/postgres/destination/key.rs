//! Keys whose bytes tell them apart as PostgreSQL does.

use tidemark_engine::schema::Kind;

/// Whether values of `kind`, kept in a column of ours declared `declared`, are different to PostgreSQL when their bytes are.
/// Not so where one value has several texts (`1.0` and `1.00`), or where a type has an equality of its own (`citext`).
pub(super) fn is_exact(kind: &Kind, declared: &str) -> bool {
    match kind {
        Kind::Text => ["text", "varchar", "character varying"].iter().any(|name| declared.starts_with(name)),
        Kind::Number | Kind::Interval | Kind::Json | Kind::List { .. } | Kind::Other { .. } => false,
        _ => true,
    }
}
