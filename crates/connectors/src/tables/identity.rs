//! What is registered under a destination's name, and what out of sight beside it.

use tidemark_engine::schema::StreamName;

use crate::config::Writing;

/// Tables that are filled together: under which name the ledger has them, and how they are called.
///
/// A destination's name has no colon in it, and no table of a stream begins with [`RESERVED_PREFIX`], so none of them is ever
/// taken for another.
///
/// [`RESERVED_PREFIX`]: tidemark_engine::schema::RESERVED_PREFIX
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    name: String,
    prefix: String,
}

impl Identity {
    /// What `writing` writes to: the destination's own tables, or what is to take their place.
    pub(crate) fn of(writing: &Writing) -> Self {
        let real = Self::real(writing);
        if writing.shadow { real.beside("replay", "_tidemark_replay_") } else { real }
    }

    /// The destination's own tables.
    pub(crate) fn real(writing: &Writing) -> Self {
        Self { name: writing.destination.clone(), prefix: String::new() }
    }

    /// The shadows of streams that are filled anew.
    pub(crate) fn shadows(&self) -> Self {
        self.beside("anew", "_tidemark_shadow_")
    }

    fn beside(&self, what: &str, prefix: &str) -> Self {
        Self { name: format!("{}:{what}", self.name), prefix: format!("{prefix}{}", self.prefix) }
    }

    /// The name that the ledger has it under.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What the table of `stream` is called.
    pub(crate) fn table(&self, writing: &Writing, stream: &StreamName) -> String {
        format!("{}{}", self.prefix, writing.table.of(stream))
    }

    /// What the names of its tables begin with.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether the tables are out of sight, where nobody else has any.
    pub(crate) fn is_hidden(&self) -> bool {
        !self.prefix.is_empty()
    }
}
