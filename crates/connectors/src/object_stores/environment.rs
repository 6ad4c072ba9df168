//! What the machine knows: its environment's variables, and the files they lead to.

use std::{collections::BTreeMap, env, fs, io, path::PathBuf};

use tidemark_engine::{Error, Result};

/// The variables of an environment.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// That of this process.
    pub fn of_this_process() -> Self {
        let variables = env::vars_os();
        Self(
            variables
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
        )
    }

    /// One of these variables.
    pub fn of<N: Into<String>, V: Into<String>>(variables: impl IntoIterator<Item = (N, V)>) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// The variable `name`; one that is empty is as good as none.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Those whose names begin with `prefix`, in small letters, as the library of the stores knows them.
    pub(super) fn starting_with(&self, prefix: &str) -> impl Iterator<Item = (String, &str)> {
        let named = self.0.iter().filter(move |(name, value)| name.starts_with(prefix) && !value.is_empty());
        named.map(|(name, value)| (name.to_ascii_lowercase(), value.as_str()))
    }

    /// Whether `name` is set to say yes.
    pub(super) fn says_yes(&self, name: &str) -> bool {
        let yes =
            |value: &str| matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "y" | "on");
        self.get(name).is_some_and(yes)
    }

    /// The file that `name` leads to, else that of the home folder: its text, `None` where there is none. A home that is another
    /// user's (`HOME=/root` in a container) has none for us; a file that was named is meant.
    pub(super) fn file(&self, name: &str, in_home: &str) -> Result<Option<String>> {
        let (path, is_named) = match (self.get(name), self.get("HOME")) {
            (Some(path), _) => (PathBuf::from(path), true),
            (None, Some(home)) => (PathBuf::from(home).join(in_home), false),
            (None, None) => return Ok(None),
        };
        let is_absent = |kind| match kind {
            io::ErrorKind::NotFound => true,
            io::ErrorKind::PermissionDenied | io::ErrorKind::NotADirectory => !is_named,
            _ => false,
        };
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if is_absent(error.kind()) => Ok(None),
            Err(error) => Err(Error::config(format!("cannot read `{}`", path.display())).source(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_that_holds_nothing_for_us_is_as_good_as_none() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let file = file.path().to_str().unwrap();
        let below = format!("{file}/credentials");
        assert_eq!(Environment::of([("HOME", file)]).file("FILE", ".aws/credentials").unwrap(), None);
        assert!(Environment::of([("FILE", below)]).file("FILE", ".aws/credentials").is_err());
    }
}
