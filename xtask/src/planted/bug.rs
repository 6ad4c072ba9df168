//! A planted bug: a patch, under a few lines that say what it does.
//!
//! ```text
//! Bug:   what is wrong then
//! Cost:  what that would do to whoever uses it
//! Test:  cargo test -p PACKAGE ..., which is expected to find it
//! ```

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{Result, project::Project};

/// One of them.
pub(super) struct Bug {
    /// Its file, seen from the folder of all bugs, without the ending.
    pub(super) name: String,
    pub(super) patch: PathBuf,
    /// What is wrong.
    pub(super) what: String,
    /// The arguments of `cargo test` that are expected to find it.
    pub(super) test: String,
}

impl Bug {
    /// All of them, in an order that builds little anew from one to the next: what is at the bottom comes first.
    pub(super) fn all(project: &Project) -> Result<Vec<Self>> {
        let root = project.file("planted-bugs");
        let mut bugs = Vec::new();
        for package in ["engine", "connectors", "app"] {
            let mut of_package = Vec::new();
            for entry in fs::read_dir(root.join(package))? {
                let path = entry?.path();
                if path.extension().is_some_and(|extension| extension == "patch") {
                    of_package.push(Self::read(&root, path)?);
                }
            }
            of_package.sort_by(|a, b| (&a.test, &a.name).cmp(&(&b.test, &b.name)));
            bugs.extend(of_package);
        }
        Ok(bugs)
    }

    fn read(root: &Path, patch: PathBuf) -> Result<Self> {
        let name = patch.strip_prefix(root)?.with_extension("").to_string_lossy().into_owned();
        let text = fs::read_to_string(&patch)?;
        let said =
            |label: &str| said(&text, label).ok_or_else(|| format!("`{name}` does not say `{label}:`"));
        let (what, test) = (said("Bug")?, said("Test")?);
        said("Cost")?;
        let test =
            test.strip_prefix("cargo test ").ok_or_else(|| format!("`{name}` names no `cargo test`"))?;
        Ok(Self { test: test.to_owned(), what, patch, name })
    }

    /// The arguments of `cargo test` for every test of the package that is expected to find it.
    pub(super) fn suite(&self) -> String {
        self.test.split(' ').take(2).collect::<Vec<_>>().join(" ")
    }
}

/// What stands behind `label`, and indented on the lines after it.
fn said(text: &str, label: &str) -> Option<String> {
    let mut lines = text.lines().take_while(|line| !line.starts_with("--- "));
    let first = lines.find_map(|line| line.strip_prefix(label)?.strip_prefix(':'))?;
    let rest = lines.take_while(|line| line.starts_with(' '));
    let words: Vec<_> = std::iter::once(first).chain(rest).map(str::trim).collect();
    Some(words.join(" ")).filter(|said| !said.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_says_what_it_does() {
        let text = "Bug:   a long\n       story\nTest:  cargo test -p a\n\n--- a/b\nCost: none\n";
        assert_eq!(said(text, "Bug").as_deref(), Some("a long story"));
        assert_eq!(said(text, "Test").as_deref(), Some("cargo test -p a"));
        assert_eq!(said(text, "Cost"), None);
    }

    #[test]
    fn every_planted_bug_is_described() {
        let bugs = Bug::all(&Project::here()).unwrap();
        for name in super::super::SAMPLE {
            assert!(bugs.iter().any(|bug| bug.name == name), "{name}");
        }
        for bug in bugs {
            assert!(bug.suite().starts_with("-p tidemark"), "{}: {}", bug.name, bug.suite());
        }
    }
}
