//! What the pipeline file says of PostgreSQL.

use globset::Glob;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::connection::Server;
use crate::config::{Place, Problem, Secret, Writing};

/// A PostgreSQL database, version 13 or later, read by logical replication.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// Where and as whom to connect: `postgres://user:password@host:5432/database`. Beyond this machine the server's
    /// certificate is verified; `?sslrootcert=PATH` names the authority to trust instead of the system's.
    pub url: Secret,
    /// The tables to read, as `schema.table`: a list of names or globs, or a map that gives each its options. Left out: all
    /// user tables.
    #[serde(default)]
    pub streams: Option<Streams>,
    /// A publication that a DBA has made. Left out: Tidemark makes one, which takes the ownership of the tables.
    #[serde(default)]
    pub publication: Option<String>,
    /// A logical replication slot (`pgoutput`) that a DBA has made. Left out: Tidemark makes one.
    #[serde(default)]
    pub slot: Option<String>,
    /// How many connections read tables at once in the initial sync.
    #[serde(default = "default_readers")]
    pub readers: u8,
}

fn default_readers() -> u8 {
    2
}

/// Which tables to read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "PostgresStreams")]
pub enum Streams {
    /// Names or globs: `public.orders`, `sales.*`.
    Names(Vec<String>),
    /// Each name or glob with its options. A table follows the first entry that matches, exact names first.
    Map(IndexMap<String, StreamConfig>),
}

/// How one table, or every table of a glob, is read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "PostgresStream")]
pub struct StreamConfig {
    /// The columns that tell records apart. Left out: the primary key, else the replica identity's index.
    pub key: Vec<String>,
    /// Columns to leave out. They are not staged; a change still carries them over the connection.
    pub exclude: Vec<String>,
    /// Only records for which this SQL condition holds; it becomes the publication's row filter (PostgreSQL 15 or later).
    #[serde(rename = "where")]
    pub condition: Option<String>,
}

/// A PostgreSQL database, version 13 or later, to write to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DestinationConfig {
    /// Where and as whom to connect: `postgres://user:password@host:5432/database`. Beyond this machine the server's
    /// certificate is verified; `?sslrootcert=PATH` names the authority to trust instead of the system's.
    pub url: Secret,
    /// The schema of the tables. Left out: the stream's own, `public` for a stream without one.
    #[serde(default)]
    pub schema: Option<String>,
    /// How many connections load an initial sync at once.
    #[serde(default = "default_loaders")]
    pub loaders: u8,
}

fn default_loaders() -> u8 {
    2
}

impl SourceConfig {
    /// Everything that is wrong with it, without connecting.
    pub fn validate(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = problem_of_url(&self.url).into_iter().collect();
        if self.readers == 0 {
            problems.push(
                Problem::new(["readers"], "`0` readers read nothing").hint("write `readers: 1` or more"),
            );
        }
        problems.extend(self.streams.iter().flat_map(Streams::validate));
        problems
    }
}

impl SourceConfig {
    /// Where it is, without secrets.
    pub(crate) fn place(&self) -> Place {
        place(&self.url, None)
    }
}

/// The database that `url` names; nothing of a URL that cannot be read, for it may hold a password.
pub(super) fn place(url: &Secret, schema: Option<String>) -> Place {
    let url = Server::parse(url.expose()).map_or_else(|_| "postgres".to_owned(), |server| server.place());
    Place::Database { url, schema }
}

impl Streams {
    fn validate(&self) -> Vec<Problem> {
        let names: Vec<&String> = match self {
            Self::Names(names) => names.iter().collect(),
            Self::Map(map) => map.keys().collect(),
        };
        if names.is_empty() {
            let problem = Problem::new(["streams"], "`streams` names no table");
            return vec![problem.hint("name at least one, or leave `streams` out to read all user tables")];
        }
        let at = |name: &str| match self {
            Self::Names(_) => vec!["streams".to_owned()],
            Self::Map(_) => vec!["streams".to_owned(), name.to_owned()],
        };
        let unreadable = |name: &&String| Glob::new(name).is_err();
        names
            .into_iter()
            .filter(unreadable)
            .map(|name| {
                Problem::new(at(name), format!("`{name}` is no pattern that can be read"))
                    .hint("write a name such as `public.orders`, or a pattern such as `sales.*`")
            })
            .collect()
    }
}

impl DestinationConfig {
    /// Where it is, without secrets.
    pub(crate) fn place(&self) -> Place {
        place(&self.url, self.schema.clone())
    }

    /// Everything that is wrong with it, and with how it is to be written, without connecting.
    pub fn validate(&self, _writing: &Writing) -> Vec<Problem> {
        let mut problems: Vec<Problem> = problem_of_url(&self.url).into_iter().collect();
        if self.loaders == 0 {
            problems.push(
                Problem::new(["loaders"], "`0` loaders load nothing").hint("write `loaders: 1` or more"),
            );
        }
        problems
    }
}

pub(super) fn problem_of_url(url: &Secret) -> Option<Problem> {
    let error = Server::parse(url.expose()).err()?;
    let problem = Problem::new(["url"], error.message());
    Some(match error.hint_text() {
        Some(hint) => problem.hint(hint),
        None => problem,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_found_without_connecting() {
        let config = r#"{"url": "postgres://me:secret@db?sslmode=require", "readers": 0,
                         "streams": {"public.{": {}, "public.*": {}}}"#;
        let config: SourceConfig = serde_json::from_str(config).unwrap();
        let problems = config.validate();
        let paths: Vec<String> = problems.iter().map(|problem| problem.path.join(".")).collect();
        assert_eq!(paths, ["url", "readers", "streams.public.{"]);
        assert!(!format!("{problems:?}").contains("secret"));
        let config = r#"{"url": "postgres://me@localhost", "streams": []}"#;
        let config: SourceConfig = serde_json::from_str(config).unwrap();
        assert_eq!(config.validate()[0].message, "`streams` names no table");
    }
}
