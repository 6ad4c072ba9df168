//! What the pipeline file says of a stream that a query finds.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::overlap;
use crate::{
    config::{Interval, Problem},
    records,
};

/// A table, or what a query finds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QueryStream {
    /// A table or view to read whole. Left out, with no `query`: the one that is called like the stream.
    pub table: Option<String>,
    /// What to read instead of a table: one SELECT, which may begin with WITH.
    pub query: Option<String>,
    /// The columns that tell records apart. Left out: a table's primary key; of a query none, and records are known by all that
    /// they hold.
    pub key: Vec<String>,
    /// The column whose value grows with every change of a record: a time of the last change, a version. Left out: everything is read
    /// each time, and compared.
    pub watermark: Option<String>,
    /// How far before the greatest mark to look again, for records that are committed late: `5m` for times, a whole number for
    /// numbers. Records that are known already are not staged again.
    pub overlap: Option<String>,
    /// How often everything is read and compared beside a `watermark`, which finds what is gone. Left out: never.
    pub compare_every: Option<Interval>,
    /// Columns whose change alone is none: a counter, the time of a visit.
    pub ignore: Vec<String>,
    /// Columns to leave out.
    pub exclude: Vec<String>,
    /// Kinds by column, where what the database says will not do: `int64`, `decimal(12,2)`, `date`, `timestamptz`, `json`, …
    pub types: BTreeMap<String, String>,
    /// The share of all records, in percent, that a sweep may find gone. More stops the pipeline and deletes nothing.
    #[schemars(range(min = 0, max = 100))]
    pub max_deletes: u8,
}

impl Default for QueryStream {
    fn default() -> Self {
        Self {
            table: None,
            query: None,
            key: Vec::new(),
            watermark: None,
            overlap: None,
            compare_every: None,
            ignore: Vec::new(),
            exclude: Vec::new(),
            types: BTreeMap::new(),
            max_deletes: 20,
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked<'a> {
    /// Everything in a table or view.
    Table(&'a str),
    /// What a query finds.
    Query(&'a str),
}

impl QueryStream {
    /// What is asked for by the stream `name`.
    pub(crate) fn asked<'a>(&'a self, name: &'a str) -> Asked<'a> {
        match (&self.query, &self.table) {
            // A semicolon would end the statement that the query is put into.
            (Some(query), _) => Asked::Query(query.trim().trim_end_matches(';').trim_end()),
            (None, Some(table)) => Asked::Table(table),
            (None, None) => Asked::Table(name),
        }
    }

    /// Whether it has a key, as far as the pipeline file tells: a table may have one.
    pub(crate) fn may_have_key(&self) -> bool {
        self.query.is_none() || !self.key.is_empty()
    }
}

/// Everything that is wrong with `streams`, without touching the database.
pub(crate) fn validate(streams: &IndexMap<String, QueryStream>) -> Vec<Problem> {
    let mut problems = Vec::new();
    if streams.is_empty() {
        problems.push(
            Problem::new(["streams"], "`streams` names nothing to read")
                .hint("name at least one table, such as `streams: {orders: {key: [id]}}`"),
        );
    }
    for (name, stream) in streams {
        let path = ["streams".to_owned(), name.clone()];
        problems.extend(records::problems(&path, &stream.key, &stream.exclude, &stream.types));
        problems.extend(stream.validate(name).into_iter().map(|(key, message, hint)| {
            let path = path.iter().cloned().chain([key.to_owned()]).collect::<Vec<_>>();
            Problem::new(path, message).hint(hint)
        }));
    }
    problems
}

impl QueryStream {
    /// What is wrong with it beyond its columns: the key it stands under, what, and what to do.
    fn validate(&self, name: &str) -> Vec<(&'static str, String, String)> {
        let mut problems = Vec::new();
        let mut add = |key, message: String, hint: &str| problems.push((key, message, hint.to_owned()));
        if self.query.is_some() && self.table.is_some() {
            add("table", format!("stream `{name}` has both a `query` and a `table`"), "keep one of them");
        }
        if self.query.as_ref().is_some_and(|_| self.asked(name) == Asked::Query("")) {
            add("query", format!("`query` of stream `{name}` is empty"), "write a SELECT");
        }
        if let Some(watermark) = self.watermark.as_ref().filter(|it| self.exclude.contains(*it)) {
            add("exclude", format!("watermark column `{watermark}` is excluded"), "keep it");
        }
        for (key, is_given) in
            [("overlap", self.overlap.is_some()), ("compare_every", self.compare_every.is_some())]
        {
            if is_given && self.watermark.is_none() {
                let message =
                    format!("`{key}` of stream `{name}` says something of a `watermark`, which is not there");
                add(key, message, "remove it, or name a `watermark`");
            }
        }
        if let Some(text) = self.overlap.as_ref().filter(|text| overlap::parse(text).is_none()) {
            let message = format!("`overlap` of stream `{name}` cannot be `{text}`");
            add("overlap", message, "write a duration such as `5m` for times, or a whole number for numbers");
        }
        if let Some(column) = self.key.iter().find(|column| self.ignore.contains(*column)) {
            add("ignore", format!("key column `{column}` is ignored"), "keep it, or choose another `key`");
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(json: &str) -> Vec<String> {
        let streams: IndexMap<String, QueryStream> = serde_json::from_str(json).unwrap();
        let shown = |problem: Problem| format!("{}: {}", problem.path.join("."), problem.message);
        validate(&streams).into_iter().map(shown).collect()
    }

    #[test]
    fn every_problem_is_found_without_a_database() {
        assert_eq!(problems("{}"), ["streams: `streams` names nothing to read"]);
        let sound = r#"{"a": {}, "b": {"query": "SELECT 1 AS id;", "key": ["id"], "watermark": "at", "overlap": "5m"},
                        "c": {"watermark": "version", "overlap": "100", "compare_every": "1h"}}"#;
        assert_eq!(problems(sound), [""; 0]);
        let wrong = r#"{"a": {"query": " ; ", "table": "t", "key": ["id", "id"], "types": {"x": "varchar"}},
                        "b": {"overlap": "soon", "ignore": ["id"], "key": ["id"]}}"#;
        assert_eq!(
            problems(wrong),
            [
                "streams.a.key.1: `id` is listed twice",
                "streams.a.types.x: `varchar` is no kind of column",
                "streams.a.table: stream `a` has both a `query` and a `table`",
                "streams.a.query: `query` of stream `a` is empty",
                "streams.b.overlap: `overlap` of stream `b` says something of a `watermark`, which is not there",
                "streams.b.overlap: `overlap` of stream `b` cannot be `soon`",
                "streams.b.ignore: key column `id` is ignored",
            ]
        );
    }
}
