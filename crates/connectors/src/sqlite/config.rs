//! What the pipeline file says of an SQLite destination.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::Problem;

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
        let text = self.path.to_string_lossy();
        let problem = |message: String| Problem::new(["path"], message);
        if text.is_empty() {
            return vec![problem("the path is empty".into()).hint("name a file, such as `./copy.db`")];
        }
        if text.starts_with(":memory:") || text.starts_with("file:") {
            let problem = problem(format!("`{text}` is not a file's path"));
            return vec![
                problem.hint("name a file, such as `./copy.db`: what is in memory is lost at the end"),
            ];
        }
        if text.ends_with(['/', '\\']) || self.path.file_name().is_none() {
            let problem = problem(format!("`{text}` is a folder"));
            return vec![problem.hint("name a file in it, such as `copy.db`")];
        }
        Vec::new()
    }

    /// The file, where a relative path begins at `base`.
    pub(super) fn file(&self, base: &Path) -> PathBuf {
        base.join(&self.path)
    }
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
