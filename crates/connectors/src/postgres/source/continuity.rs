//! What of the cursor still counts: which tables the stream has told everything of since they were read.

use std::{collections::BTreeSet, fmt};

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
    Republished,
}

impl fmt::Display for Lapse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRead => f.write_str("it is not read any more"),
            Self::MadeAnew => f.write_str("it was made anew, or replaced"),
            Self::Unpublished => f.write_str("it was not published for a while"),
            Self::Republished => {
                f.write_str("it was not published, or in another way, and changes in between are wanting")
            }
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
            Some(table) if !is_published(table, published) => Lapse::Unpublished,
            Some(table) if !goes_on(cursor, table, synced.published, published) => Lapse::Republished,
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
        let goes_on = |table: &Table| {
            is_published(table, published)
                && goes_on(&cursor, table, sync.published, published)
                && table.terms() == sync.terms
        };
        if !find(tables, name).is_some_and(goes_on) {
            cursor.void.insert(name.clone(), sync.generation);
        }
    }
    cursor.publication = Some(published.edition());
    for (name, synced) in &mut cursor.synced {
        // What an earlier version did not note is taken as it is.
        let row = || published.row(&find(tables, name)?.id);
        synced.published = synced.published.or_else(row);
    }
    let known = cursor.lapsed.keys().chain(syncing.iter().map(|(name, _)| name));
    cursor.left = known.filter(|name| find(tables, name).is_none()).cloned().collect();
    cursor
}

fn is_published(table: &Table, publication: &Publication) -> bool {
    publication.has_as(&table.id, table.condition.is_some())
}

/// Whether the publication has let through of `table` whatever happened since it had it in the row `noted`, as far as the catalog tells.
fn goes_on(cursor: &StreamCursor, table: &Table, noted: Option<u32>, now: &Publication) -> bool {
    let edition = now.edition();
    let same = cursor.publication.is_none_or(|then| {
        let roots = !table.partitioned || then.via_root == edition.via_root;
        then.number == edition.number && then.operations == edition.operations && roots
    });
    same && noted.is_none_or(|row| now.row(&table.id) == Some(row))
}

/// The tables that are to be published as they are wanted now: those of which nothing goes on. What goes on keeps its row in the
/// publication, by which it is known to have been published all the time. `from` is the whole cursor.
pub(super) fn to_publish_anew(cursor: &StreamCursor, from: &Cursor) -> BTreeSet<String> {
    let (goes_on, void): (Vec<_>, Vec<_>) = SyncCursor::all(from)
        .into_iter()
        .partition(|(name, sync)| cursor.void.get(name) != Some(&sync.generation));
    let mut anew: BTreeSet<_> = cursor.lapsed.keys().cloned().collect();
    anew.extend(void.into_iter().map(|(name, _)| name));
    anew.retain(|name| !cursor.synced.contains_key(name) && !goes_on.iter().any(|(going, _)| going == name));
    anew
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tidemark_engine::{Digest, log::Former};

    use super::*;
    use crate::postgres::{
        identifier::TableId,
        lsn::Lsn,
        source::{publication::Edition, replication::Identity},
    };

    fn table(name: &str, oid: u32) -> Table {
        Table {
            id: TableId { schema: "public".to_owned(), name: name.to_owned() },
            oid,
            published: Some(1),
            partitioned: false,
            columns: Vec::new(),
            key: vec!["id".to_owned()],
            excluded: Vec::new(),
            condition: None,
            layout: String::new(),
        }
    }

    fn identity(system: &str) -> Identity {
        Identity { system: system.to_owned(), timeline: 1, flushed: Lsn(9) }
    }

    fn begin(system: &str) -> StreamCursor {
        StreamCursor::begin(Lsn(5), identity(system), "s", published(&[]).edition())
    }

    /// Where the stream is when `tables` are complete, each in generation 3.
    fn complete(tables: &[Table]) -> StreamCursor {
        let synced = |table: &Table| {
            let (terms, parts) = (table.terms(), table.parts_of_terms());
            (
                table.id.to_string(),
                Synced { generation: 3, table: table.oid, terms, parts, published: table.published },
            )
        };
        let synced = tables.iter().map(synced).collect();
        StreamCursor { synced, ..begin("1") }
    }

    /// The cursor in which generation 4 of `table` is under way.
    fn syncing(table: &Table) -> Cursor {
        let (definition, terms) = (Digest::of(b"d"), table.terms());
        let sync = SyncCursor {
            generation: 4,
            table: table.oid,
            definition,
            terms,
            column: None,
            bounds: Vec::new(),
            published: table.published,
        };
        let mut cursor = Cursor::default();
        cursor.set(SyncCursor::part(&table.id.to_string()), sync.write().unwrap());
        cursor
    }

    fn published(tables: &[Table]) -> Publication {
        Publication::of(tables.iter().map(|table| table.id.clone()))
    }

    #[test]
    fn a_table_lapses_when_changes_of_it_are_wanting_and_says_why() {
        let tables = [table("a", 1), table("b", 2)];
        let [a, b] = &tables;
        let cursor = complete(&tables);
        let why = |now: &[Table], published: &Publication| -> Vec<String> {
            lapses(&cursor, now, published).iter().map(|it| format!("{} {}", it.table, it.why)).collect()
        };
        let whole = published(&tables);
        assert_eq!(why(&tables, &whole), [""; 0]);
        assert_eq!(why(std::slice::from_ref(a), &whole), ["public.b it is not read any more"]);
        assert_eq!(why(&[a.clone(), table("b", 7)], &whole), ["public.b it was made anew, or replaced"]);
        assert_eq!(
            why(&tables, &published(std::slice::from_ref(a))),
            ["public.b it was not published for a while"]
        );
        let other =
            Table { condition: Some("id > 1".to_owned()), excluded: vec!["x".to_owned()], ..b.clone() };
        assert_eq!(why(&[a.clone(), other], &whole), ["public.b its `exclude` and `where` changed"]);
    }

    #[test]
    fn what_there_is_of_a_table_meanwhile() {
        let tables = [table("a", 1)];
        let other = [Table { key: vec!["n".to_owned()], ..tables[0].clone() }];
        let whole = published(&tables);
        let under_way = syncing(&tables[0]);
        let cursor = complete(&tables);
        let name = "public.a";

        // Asked for: the complete generation goes on, and the new one with it.
        let goes_on = review(cursor.clone(), &under_way, &tables, &whole);
        assert_eq!((goes_on.former(name), goes_on.void.len()), (Former::Current, 0));
        // Then changes of it are wanting: neither counts any more, and that stays so until another is complete.
        for (tables, published) in [(&other, &whole), (&tables, &published(&[]))] {
            let lapsed = review(cursor.clone(), &under_way, tables, published);
            assert_eq!((lapsed.former(name), lapsed.void.get(name)), (Former::Stale, Some(&4)));
            assert_eq!(lapsed.complete_generation(name), 3);
            assert_eq!(review(lapsed, &under_way, tables, &whole).former(name), Former::Stale);
        }
        // One that never was complete has nothing before it.
        let never = complete(&[]);
        assert_eq!(review(never.clone(), &under_way, &other, &whole).former(name), Former::Nothing);

        // A new place in the log: everything lapses, and what was under way is void.
        let begun = begin("2");
        let begun = begun.with_lapsed(Some(cursor), &under_way);
        assert_eq!((begun.former(name), begun.void.get(name), begun.lsn), (Former::Stale, Some(&4), Lsn(5)));
        let begun = begin("2").with_lapsed(Some(never), &under_way);
        assert_eq!(begun.former(name), Former::Nothing);
    }

    /// It was taken out and added again, or in another way for a while; or the publication let through something else.
    #[test]
    fn a_table_that_is_published_again_lapses() {
        let tables = [table("a", 1)];
        let cursor = complete(&tables);
        let (whole, name) = (published(&tables), "public.a");
        let (same, none) = (whole.edition(), [].into());
        let other = Edition { operations: [true, false, true, true], ..same };
        let under_way = syncing(&tables[0]);
        for (edition, row) in [(same, 2), (other, 1)] {
            let now = whole.clone().with(edition, row);
            let lapsed = review(cursor.clone(), &under_way, &tables, &now);
            assert_eq!((lapsed.former(name), lapsed.void.get(name)), (Former::Stale, Some(&4)), "{now:?}");
            assert_eq!(lapsed.publication, Some(edition), "so that it is noticed when it is changed back");
            assert_eq!(to_publish_anew(&lapsed, &under_way), [name.to_owned()].into());
        }
        // What an earlier version did not note is taken as it is, and noted.
        let mut earlier = StreamCursor { publication: None, ..cursor.clone() };
        earlier.synced.get_mut(name).unwrap().published = None;
        let now = whole.clone().with(other, 7);
        let noted = review(earlier, &Cursor::default(), &tables, &now);
        assert_eq!((noted.synced[name].published, noted.publication), (Some(7), Some(other)));
        assert_eq!(to_publish_anew(&noted, &under_way), none, "what goes on keeps its row");
        let lapsed =
            StreamCursor { synced: BTreeMap::new(), lapsed: [(name.to_owned(), 3)].into(), ..cursor };
        assert_eq!(to_publish_anew(&lapsed, &under_way), none, "so does what is being read anew");
        assert_eq!(to_publish_anew(&lapsed, &Cursor::default()).len(), 1);
    }

    #[test]
    fn a_table_that_is_not_read_any_more_is_known_until_it_is_read_again() {
        let tables = [table("a", 1), table("b", 2)];
        let whole = published(&tables);
        let cursor = complete(&tables[..1]);
        let gone = review(cursor, &syncing(&tables[1]), &[], &whole);
        assert_eq!(gone.left.iter().collect::<Vec<_>>(), ["public.a", "public.b"]);
        let back = review(gone, &syncing(&tables[1]), &tables, &whole);
        assert!(back.left.is_empty());
        assert_eq!(back.former("public.a"), Former::Stale);
    }
}
