//! Which rows of a destination the source should have too.

use tidemark_engine::write::WriteMode;

/// The column that says, where it is not NULL, that the source has the row no more: it was deleted, or the version is over.
pub(crate) fn ended_by(mode: WriteMode) -> Option<&'static str> {
    match mode {
        WriteMode::SoftDelete => Some("_tidemark_deleted_at"),
        WriteMode::History => Some("_tidemark_valid_to"),
        WriteMode::Append | WriteMode::Mirror | WriteMode::Replace => None,
    }
}
