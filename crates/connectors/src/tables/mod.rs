//! What destinations that are databases have in common: which tables are filled together, and how a batch of changes is read by key.

mod identity;
mod key;
#[cfg(test)]
pub(crate) mod stories;
mod view;

pub(crate) use identity::Identity;
pub(crate) use key::Key;
pub(crate) use view::{Keys, View};
