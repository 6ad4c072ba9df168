//! The columns that destinations add to the source's own. Their names are a contract.

use tidemark_engine::change::{Cell, ChangeBatch};

/// The identity of the change, see [`tidemark_engine::ChangeId`].
pub(crate) const POSITION: &str = "_tidemark_position";
/// The letter of its operation, see [`tidemark_engine::change::Op`].
pub(crate) const OP: &str = "_tidemark_op";
/// When the source made it; NULL when the source does not tell.
pub(crate) const SOURCE_TIME: &str = "_tidemark_source_time";
/// The names of the columns it carries no value for, as a JSON array; NULL when it carries all.
pub(crate) const UNCHANGED: &str = "_tidemark_unchanged";
/// When the source deleted the record; NULL while it is there. In `soft-delete`.
pub(crate) const DELETED_AT: &str = "_tidemark_deleted_at";
/// When the version of the record came about. In `history`.
pub(crate) const VALID_FROM: &str = "_tidemark_valid_from";
/// When the version was over; NULL of the one that is valid now. In `history`.
pub(crate) const VALID_TO: &str = "_tidemark_valid_to";

/// The text of [`UNCHANGED`] for the change in `row`.
pub(crate) fn unchanged_names(changes: &ChangeBatch, row: usize) -> Option<String> {
    if changes.columns().unchanged.as_ref()?.is_empty(row) {
        return None;
    }
    let fields = changes.schema().fields().iter().enumerate();
    let names = fields
        .filter(|(index, _)| matches!(changes.column(*index).cell(row), Cell::Unchanged))
        .map(|(_, field)| serde_json::Value::from(field.name.as_str()))
        .collect::<Vec<_>>();
    (!names.is_empty()).then(|| serde_json::Value::from(names).to_string())
}
