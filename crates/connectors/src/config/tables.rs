//! Tables of a database, to be compared with those of another.

use std::collections::BTreeSet;

/// Tables that are read or written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    /// The database's identity, the same by whatever name or address it is reached.
    pub database: String,
    /// Their names.
    pub tables: BTreeSet<String>,
}

impl Tables {
    /// The tables that are also among `other`'s, by name.
    pub fn shared_with<'t>(&'t self, other: &'t Self) -> Vec<&'t str> {
        match self.database == other.database {
            true => self.tables.intersection(&other.tables).map(String::as_str).collect(),
            false => Vec::new(),
        }
    }
}
