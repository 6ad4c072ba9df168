//! One record, as it stands or is to stand under its key.

use std::sync::Arc;

/// A record: its columns and their texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// The names of its columns. Records of one batch share them.
    pub(super) names: Arc<Vec<String>>,
    /// The text of each, in the form of the destination; `None`: NULL.
    pub(super) values: Vec<Option<String>>,
}

impl Record {
    /// What it has in `column`, which is number `index` of `names`; NULL where it has no such column.
    pub(super) fn value(&self, names: &Arc<Vec<String>>, index: usize) -> Option<String> {
        if Arc::ptr_eq(&self.names, names) {
            return self.values[index].clone();
        }
        let at = self.names.iter().position(|name| *name == names[index])?;
        self.values[at].clone()
    }
}
