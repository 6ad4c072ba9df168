//! What of the cursor still counts: which tables the stream has told everything of since they were read.

use tidemark_engine::{Cursor, Result};

use super::{
    cursor::{StreamCursor, SyncCursor},
    publication::Publication,
    table::Table,
};

/// The cursor without the tables of which changes are wanting: those that were left out for a while, in the pipeline file or in
/// the publication, that are other tables under the same name, or that are read in another way now. Selected again, they
/// are read anew, and destinations begin them anew.
pub(super) fn review(
    mut cursor: StreamCursor,
    from: &Cursor,
    tables: &[Table],
    published: &Publication,
) -> Result<StreamCursor> {
    let find = |name: &str| tables.iter().find(|table| table.id.to_string() == name);
    for (name, synced) in cursor.synced.clone() {
        let why = match find(&name) {
            None => "is not read any more",
            Some(table) if table.oid != synced.table => "was made anew, or replaced",
            Some(table) if table.terms() != synced.terms => "is to be read in another way",
            Some(table) if !published.has(&table.id) => "was not published for a while",
            Some(_) => continue,
        };
        tracing::warn!(
            table = name,
            "table `{name}` {why}: it is read from the beginning, should it be read again"
        );
        cursor.synced.remove(&name);
        cursor.lapsed.insert(name, synced.generation);
    }
    for (name, sync) in SyncCursor::all(from) {
        let goes_on = |table: &Table| published.has(&table.id) && table.terms() == sync.terms;
        if !find(&name).is_some_and(goes_on) {
            cursor.void.insert(name, sync.generation);
        }
    }
    Ok(cursor)
}
