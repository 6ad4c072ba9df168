//! What of the cursor still counts: which tables the stream has told everything of since they were read.

use std::fmt;

use tidemark_engine::{Cursor, Error};

use super::{
    cursor::{StreamCursor, SyncCursor, Synced},
    publication::Publication,
    table::Table,
};

/// Why what was read of a table does not count any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lapse {
    NotRead,
    MadeAnew,
    /// These words of the pipeline file say something else of it.
    Terms(Vec<&'static str>),
    Unpublished,
}

impl fmt::Display for Lapse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRead => f.write_str("it is not read any more"),
            Self::MadeAnew => f.write_str("it was made anew, or replaced"),
            Self::Unpublished => f.write_str("it was not published for a while"),
            Self::Terms(words) if words.is_empty() => f.write_str("its `key`, `exclude` or `where` changed"),
            Self::Terms(words) => write!(f, "its {} changed", words.join(" and ")),
        }
    }
}

/// A table that lapses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lapsed {
    pub(super) table: String,
    pub(super) why: Lapse,
}

impl Lapsed {
    /// As something that will happen when the pipeline is run.
    pub(super) fn ahead(&self) -> Error {
        let Self { table, why } = self;
        match why {
            Lapse::NotRead => Error::config(format!(
                "table `{table}` is not there any more, or not read: what destinations have of it stays"
            ))
            .hint("nothing is to be done; should it be read again, it is read from the beginning"),
            why => Error::config(format!("table `{table}` will be read anew, because {why}"))
                .hint("nothing is to be done: destinations keep what they have of it until it is read"),
        }
    }

    fn say(&self) {
        let Self { table, why } = self;
        match why {
            Lapse::NotRead => tracing::warn!(
                table,
                "table `{table}` is not read any more: what destinations have of it stays; should it be read again, it is read \
                 from the beginning"
            ),
            why => tracing::warn!(
                table,
                "table `{table}` is read anew, because {why}: destinations keep what they have of it until then"
            ),
        }
    }
}

/// The tables that lapse now: those that were left out for a while, in the pipeline file or in the publication, that are other
/// tables under the same name, or that are read in another way now. Changes of them are wanting.
pub(super) fn lapses(cursor: &StreamCursor, tables: &[Table], published: &Publication) -> Vec<Lapsed> {
    let why = |name: &str, synced: &Synced| {
        Some(match find(tables, name) {
            None => Lapse::NotRead,
            Some(table) if table.oid != synced.table => Lapse::MadeAnew,
            Some(table) if table.terms() != synced.terms => Lapse::Terms(changed(table, synced)),
            Some(table) if !published.has(&table.id) => Lapse::Unpublished,
            Some(_) => return None,
        })
    };
    let lapsed =
        |(name, synced): (&String, &Synced)| Some(Lapsed { table: name.clone(), why: why(name, synced)? });
    cursor.synced.iter().filter_map(lapsed).collect()
}

/// The cursor without what does not count any more. Tables that lapse are read anew where they are selected, and destinations
/// keep what they have of them until that is done.
pub(super) fn review(
    mut cursor: StreamCursor,
    from: &Cursor,
    tables: &[Table],
    published: &Publication,
) -> StreamCursor {
    for lapsed in lapses(&cursor, tables, published) {
        lapsed.say();
        if let Some(synced) = cursor.synced.remove(&lapsed.table) {
            cursor.lapsed.insert(lapsed.table, synced.generation);
        }
    }
    let syncing = SyncCursor::all(from);
    for (name, sync) in &syncing {
        let goes_on = |table: &Table| published.has(&table.id) && table.terms() == sync.terms;
        if !find(tables, name).is_some_and(goes_on) {
            cursor.void.insert(name.clone(), sync.generation);
        }
    }
    let known = cursor.lapsed.keys().chain(syncing.iter().map(|(name, _)| name));
    cursor.left = known.filter(|name| find(tables, name).is_none()).cloned().collect();
    cursor
}

fn find<'t>(tables: &'t [Table], name: &str) -> Option<&'t Table> {
    tables.iter().find(|table| table.id.to_string() == name)
}

/// Which words of the pipeline file say something else of `table` than when it was read.
fn changed(table: &Table, synced: &Synced) -> Vec<&'static str> {
    let parts = table.parts_of_terms();
    let words = ["`key`", "`exclude`", "`where`"].into_iter().zip(parts.iter().zip(&synced.parts));
    words.filter(|(_, (now, then))| now != then).map(|(word, _)| word).collect()
}
