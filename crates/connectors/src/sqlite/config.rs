//! What the pipeline file says of SQLite.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    config::{Interval, Problem},
    queries::{self, QueryStream},
};

/// An SQLite database file, read by queries, again and again. It is never written to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// The database file, from the pipeline file's folder.
    pub path: PathBuf,
    /// The tables and queries to read, by the names of their streams.
    #[schemars(extend("minProperties" = 1))]
    pub streams: IndexMap<String, QueryStream>,
    /// How often to ask while waiting for changes.
    #[serde(default = "default_poll")]
    pub poll: Interval,
}

fn default_poll() -> Interval {
    Interval(Duration::from_secs(10))
}

impl SourceConfig {
    /// Everything that is wrong with it, without touching a file.
    pub fn validate(&self) -> Vec<Problem> {
        problem_of_path(&self.path, "./shop.db").into_iter().chain(queries::validate(&self.streams)).collect()
    }
}

/// An SQLite database file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DestinationConfig {
    /// The database file, from the pipeline file's folder. Made when absent.
    pub path: PathBuf,
}

impl DestinationConfig {
    /// Everything that is wrong with it, without touching a file.
    pub fn validate(&self) -> Vec<Problem> {
        problem_of_path(&self.path, "./copy.db").into_iter().collect()
    }

    /// The file, where a relative path begins at `base`.
    pub(super) fn file(&self, base: &Path) -> PathBuf {
        base.join(&self.path)
    }
}

/// Why `path` is no file's, where one such as `example` belongs.
fn problem_of_path(path: &Path, example: &str) -> Option<Problem> {
    let text = path.to_string_lossy();
    let problem = |message: String| Problem::new(["path"], message);
    if text.is_empty() {
        return Some(problem("the path is empty".into()).hint(format!("name a file, such as `{example}`")));
    }
    if text.starts_with(":memory:") || text.starts_with("file:") {
        let hint = format!("name a file, such as `{example}`: what is in memory is lost at the end");
        return Some(problem(format!("`{text}` is not a file's path")).hint(hint));
    }
    let is_folder = text.ends_with(['/', '\\']) || path.file_name().is_none();
    is_folder.then(|| {
        problem(format!("`{text}` is a folder")).hint(format!("name a file in it, such as `{example}`"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_are_no_files_are_refused() {
        let problems = |path: &str| DestinationConfig { path: path.into() }.validate().len();
        for path in ["copy.db", "./data/copy.sqlite", "/var/lib/copy.db"] {
            assert_eq!(problems(path), 0, "{path}");
        }
        for path in ["", ":memory:", "file:copy.db?mode=ro", "data/", "..", "/"] {
            assert_eq!(problems(path), 1, "{path}");
        }
    }
}
