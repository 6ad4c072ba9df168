//! Where a source or destination is, comparable without touching it.

use std::{
    fmt,
    path::{Component, Path, PathBuf},
};

/// A place that is read or written. Of two sources or destinations of one system, equal places hold the same data.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// A file or folder, as an absolute path without `.` and `..`. Links are not followed.
    Path(PathBuf),
    /// A database.
    Database {
        /// Which one, without secrets: `postgres://host:5432/orders`.
        url: String,
        /// The schema that is written to; `None`: each stream's own.
        schema: Option<String>,
    },
}

impl Place {
    /// The file or folder at `path`; a relative one begins at the working folder.
    pub fn path(path: &Path) -> Self {
        let mut plain = PathBuf::new();
        for component in std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).components() {
            match component {
                Component::CurDir => {}
                Component::ParentDir => drop(plain.pop()),
                other => plain.push(other),
            }
        }
        Self::Path(plain)
    }

    /// Whether nothing is there. Of a database nobody knows without asking it.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Path(path) if !path.exists())
    }

    /// Whether writing to `other` may overwrite what is read here, as far as the places alone tell.
    pub fn is_written_by(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Database { url, .. }, Self::Database { url: other, schema }) => {
                url == other && schema.is_none()
            }
            _ => self == other,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Database { url, schema: None } => f.write_str(url),
            Self::Database { url, schema: Some(schema) } => write!(f, "{url}, schema {schema}"),
        }
    }
}
