//! Which tables the pipeline file asks for.

use std::collections::{BTreeMap, BTreeSet};

use globset::{Glob, GlobMatcher};
use tidemark_engine::Error;

use super::catalog::{Column, ReplicaIdentity, Sort, Table};
use crate::postgres::{StreamConfig, Streams};

/// A table, and how it is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::postgres) struct TableToRead {
    pub(in crate::postgres) table: Table,
    /// The columns that tell records apart; empty when nothing does.
    pub(in crate::postgres) key: Vec<String>,
    /// Columns that are not staged.
    pub(in crate::postgres) excluded: BTreeSet<String>,
    /// Only records for which this holds.
    pub(in crate::postgres) condition: Option<String>,
}

/// What becomes of the pipeline file's entries.
#[derive(Debug, Default)]
pub(in crate::postgres) struct Selection {
    /// By name.
    pub(in crate::postgres) tables: Vec<TableToRead>,
    pub(in crate::postgres) problems: Vec<Error>,
    pub(in crate::postgres) warnings: Vec<Error>,
}

impl TableToRead {
    /// The columns that are staged.
    pub(in crate::postgres) fn columns(&self) -> impl Iterator<Item = &Column> {
        self.table.streamed().filter(|column| !self.excluded.contains(&column.name))
    }
}

impl Selection {
    /// What `streams` asks for among `tables`; all tables where it says nothing.
    pub(in crate::postgres) fn of(streams: Option<&Streams>, tables: &[Table]) -> Self {
        Self::knowing(streams, tables, &BTreeSet::new())
    }

    /// The same where tables called `known` were read before: that one of them is not there any more is no mistake of the pipeline file.
    pub(in crate::postgres) fn knowing(
        streams: Option<&Streams>,
        tables: &[Table],
        known: &BTreeSet<String>,
    ) -> Self {
        let mut selection = Self::default();
        let entries = entries(streams);
        let mut idle: BTreeSet<&str> = entries.iter().map(|entry| entry.name).collect();
        for table in tables {
            let name = table.id.to_string();
            let exact = entries.iter().find(|entry| entry.name == name);
            let by_glob = || entries.iter().find(|entry| entry.matches(&name));
            let Some(entry) = exact.or_else(by_glob) else { continue };
            match table.unreadable() {
                None => selection.take(table, &entry.options),
                Some((message, hint)) if exact.is_some() => {
                    selection.problems.push(Error::config(message).hint(hint));
                }
                Some((message, hint)) if table.sort == Sort::Unlogged => {
                    selection.warnings.push(Error::config(format!("{message}; it is not read")).hint(hint));
                    continue;
                }
                Some(_) => continue,
            }
            idle.remove(entry.name);
        }
        selection.problems.extend(namesakes(&selection.tables));
        let (gone, unknown): (Vec<_>, Vec<_>) = idle.into_iter().partition(|name| known.contains(*name));
        let no_table = |name| matches_nothing(name, tables);
        selection.warnings.extend(gone.into_iter().map(no_table));
        selection.problems.extend(unknown.into_iter().map(no_table));
        if selection.tables.is_empty() && selection.problems.is_empty() {
            let nothing = Error::config("the database has no table that can be read");
            selection
                .problems
                .push(nothing.hint("check the database in `url`, and that the user sees its schemas"));
        }
        selection
    }

    fn take(&mut self, table: &Table, options: &StreamConfig) {
        let key = match (&options.key, &table.identity) {
            (key, _) if !key.is_empty() => key.clone(),
            (_, ReplicaIdentity::Index(columns)) if table.primary_key.is_empty() => columns.clone(),
            _ => table.primary_key.clone(),
        };
        let table = TableToRead {
            table: table.clone(),
            key,
            excluded: options.exclude.iter().cloned().collect(),
            condition: options.condition.clone(),
        };
        self.problems.extend(problems_of_columns(&table, &options.key));
        self.tables.push(table);
    }
}

/// One line under `streams`.
struct Entry<'c> {
    name: &'c str,
    /// `None` where it is no glob that can be read, which validation has told.
    glob: Option<GlobMatcher>,
    options: StreamConfig,
}

impl Entry<'_> {
    fn matches(&self, table: &str) -> bool {
        self.glob.as_ref().is_some_and(|glob| glob.is_match(table))
    }
}

fn entries(streams: Option<&Streams>) -> Vec<Entry<'_>> {
    let glob = |name: &str| Some(Glob::new(name).ok()?.compile_matcher());
    let entry = |name, options: &StreamConfig| Entry { name, glob: glob(name), options: options.clone() };
    let plain = StreamConfig::default();
    match streams {
        None => vec![entry("*", &plain)],
        Some(Streams::Names(names)) => names.iter().map(|name| entry(name, &plain)).collect(),
        Some(Streams::Map(map)) => map.iter().map(|(name, options)| entry(name, options)).collect(),
    }
}

/// Names with dots in them can make two tables one stream.
fn namesakes(tables: &[TableToRead]) -> Option<Error> {
    let mut seen = BTreeSet::new();
    let twice =
        tables.iter().map(|table| table.table.id.to_string()).find(|name| !seen.insert(name.clone()))?;
    let error = Error::config(format!("two tables are called `{twice}`"));
    Some(error.hint("rename one of them, or its schema: a dot in a name makes them alike"))
}

fn matches_nothing(name: &str, tables: &[Table]) -> Error {
    let error = Error::config(format!("no table is called `{name}`"));
    let readable: BTreeMap<String, ()> = tables
        .iter()
        .filter(|table| table.unreadable().is_none())
        .map(|table| (table.id.to_string(), ()))
        .collect();
    let names: Vec<&str> = readable.keys().map(String::as_str).collect();
    let qualified = names.iter().find(|table| table.split_once('.').is_some_and(|(_, table)| table == name));
    match qualified.copied().or_else(|| closest(name, &names)) {
        Some(table) => error.hint(format!("did you mean `{table}`?")),
        None if names.is_empty() => {
            error.hint("check the database in `url`: it has no tables that can be read")
        }
        None if names.len() <= 8 => error.hint(format!("choose from: {}", names.join(", "))),
        None => error.hint(format!("choose from: {}, … ({} tables)", names[..8].join(", "), names.len())),
    }
}

fn closest<'n>(typed: &str, names: &[&'n str]) -> Option<&'n str> {
    let likeness = |name: &str| strsim::jaro_winkler(&typed.to_lowercase(), name);
    let closest = names.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(closest) > 0.9).then_some(closest)
}

/// Columns that are named and do not fit.
fn problems_of_columns(wanted: &TableToRead, key: &[String]) -> Vec<Error> {
    let TableToRead { table, excluded, .. } = wanted;
    let names: Vec<&str> = table.streamed().map(|column| column.name.as_str()).collect();
    let mut problems = Vec::new();
    for (column, option) in key.iter().map(|c| (c, "key")).chain(excluded.iter().map(|c| (c, "exclude"))) {
        if !names.contains(&column.as_str()) {
            problems.push(
                Error::config(format!("column `{column}` under `{option}` of `{}` does not exist", table.id))
                    .hint(format!("choose from: {}", names.join(", "))),
            );
        }
    }
    if let Some(column) = wanted.key.iter().find(|column| excluded.contains(*column)) {
        problems.push(
            Error::config(format!("key column `{column}` of `{}` is excluded", table.id))
                .hint("keep it, or name another `key`"),
        );
    }
    let identity = table.identity_columns();
    let untold = key.iter().find(|column| !identity.contains(&column.as_str()));
    if let Some(column) = untold.filter(|column| names.contains(&column.as_str())) {
        problems.push(
            Error::config(format!("deletes from `{}` do not tell its key column `{column}`", table.id))
                .hint(format!("run `ALTER TABLE {} REPLICA IDENTITY FULL;`", table.id.sql())),
        );
    }
    if wanted.columns().next().is_none() {
        problems.push(
            Error::config(format!("`{}` has no column to read", table.id)).hint("leave it out of `streams`"),
        );
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::{identifier::TableId, source::catalog::Rights};

    fn table(name: &str, sort: Sort) -> Table {
        let column = |(attnum, name): (i16, &str)| Column {
            name: name.to_owned(),
            attnum,
            type_oid: 23,
            typmod: -1,
            declared: "integer".to_owned(),
            not_null: true,
            generated: name == "sum",
            select: true,
        };
        let (schema, name) = name.split_once('.').unwrap();
        Table {
            oid: 1,
            id: TableId { schema: schema.to_owned(), name: name.to_owned() },
            sort,
            columns: [(1, "id"), (2, "a"), (3, "sum")].into_iter().map(column).collect(),
            primary_key: vec!["id".to_owned()],
            identity: ReplicaIdentity::Default,
            rights: Rights { schema: true, select: true, owner: true, hidden_rows: false },
        }
    }

    fn database() -> Vec<Table> {
        vec![
            table("public.orders", Sort::Table),
            table("public.unlogged", Sort::Unlogged),
            table("sales.days", Sort::View),
            table("sales.years", Sort::Partitioned),
        ]
    }

    fn select(streams: &str) -> Selection {
        Selection::of(Some(&serde_json::from_str(streams).unwrap()), &database())
    }

    fn names(selection: &Selection) -> Vec<String> {
        selection.tables.iter().map(|table| table.table.id.to_string()).collect()
    }

    fn problems(selection: &Selection) -> Vec<String> {
        let text = |error: &Error| format!("{error} ({})", error.hint_text().unwrap_or_default());
        selection.problems.iter().map(text).collect()
    }

    #[test]
    fn globs_take_what_can_be_read() {
        let all = Selection::of(None, &database());
        assert_eq!(names(&all), ["public.orders", "sales.years"]);
        assert_eq!((all.problems.len(), all.warnings.len()), (0, 1));
        assert_eq!(names(&select(r#"["sales.*"]"#)), ["sales.years"]);
    }

    #[test]
    fn an_exact_name_goes_before_a_glob() {
        let selection = select(r#"{"*": {"exclude": ["a"]}, "public.orders": {"where": "a > 1"}}"#);
        let [orders, years] = selection.tables.as_slice() else { panic!("{selection:?}") };
        assert_eq!((orders.condition.as_deref(), orders.excluded.len()), (Some("a > 1"), 0));
        assert_eq!(years.columns().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["id"]);
    }

    #[test]
    fn entries_that_match_nothing_are_told_by_name() {
        assert_eq!(
            problems(&select(r#"["public.order", "years", "x.*", "sales.days"]"#)),
            [
                "`sales.days` is a view: it has no changes of its own (name the tables behind it)",
                "no table is called `public.order` (did you mean `public.orders`?)",
                "no table is called `x.*` (choose from: public.orders, sales.years)",
                "no table is called `years` (did you mean `sales.years`?)",
            ]
        );
    }

    #[test]
    fn a_table_that_was_read_and_is_gone_is_no_mistake() {
        let streams = serde_json::from_str(r#"["public.orders", "public.gone", "public.never"]"#).unwrap();
        let known = ["public.orders".to_owned(), "public.gone".to_owned()].into();
        let selection = Selection::knowing(Some(&streams), &database(), &known);
        let said = |errors: &[Error]| errors.iter().map(Error::to_string).collect::<Vec<_>>();
        assert_eq!(said(&selection.warnings), ["no table is called `public.gone`"]);
        assert_eq!(said(&selection.problems), ["no table is called `public.never`"]);
    }

    #[test]
    fn columns_that_do_not_fit_are_told_by_name() {
        let selection = select(r#"{"public.orders": {"key": ["a", "b"], "exclude": ["a", "sum"]}}"#);
        assert_eq!(
            problems(&selection),
            [
                "column `b` under `key` of `public.orders` does not exist (choose from: id, a)",
                "column `sum` under `exclude` of `public.orders` does not exist (choose from: id, a)",
                "key column `a` of `public.orders` is excluded (keep it, or name another `key`)",
                "deletes from `public.orders` do not tell its key column `a` (run `ALTER TABLE \
                 \"public\".\"orders\" REPLICA IDENTITY FULL;`)",
            ]
        );
    }
}
