//! Where a source or destination is, comparable without touching it.

use std::{
    fmt,
    path::{Component, Path, PathBuf},
};

use crate::object_stores::StoreUrl;

/// A place that is read or written. Of two sources or destinations of one system, equal places hold the same data.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// A file or folder, as an absolute path without `.` and `..`. Links are not followed.
    Path(PathBuf),
    /// A folder in object storage.
    Objects(StoreUrl),
    /// A database.
    Database {
        /// Which one, without secrets: `postgres://host:5432/orders`.
        url: String,
        /// The schema that is written to; `None`: each stream's own.
        schema: Option<String>,
    },
    /// A service that is asked, or given messages. What is sent there is not what is read there.
    Service(String),
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
            (Self::Service(_), _) | (_, Self::Service(_)) => false,
            _ => self == other,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Objects(url) => write!(f, "{url}"),
            Self::Service(url) => f.write_str(url),
            Self::Database { url, schema: None } => f.write_str(url),
            Self::Database { url, schema: Some(schema) } => write!(f, "{url}, schema {schema}"),
        }
    }
}
