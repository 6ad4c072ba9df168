//! How one stream of a polled source is read.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{identity::Identity, page::Sweep, watermark::Overlap};
use crate::records::Outline;

/// Everything that the pipeline file says of it, whatever the system.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) outline: Outline,
    pub(crate) changes: Changes,
    /// Columns whose change is none.
    pub(crate) ignored: Vec<String>,
    /// How often to ask while waiting for more.
    pub(crate) poll: Duration,
    /// Whether a record that is not found any more stays as it is at destinations.
    pub(crate) keeps_vanished: bool,
    /// The share of all records, in percent, that a sweep may find gone.
    pub(crate) max_deletes: u8,
    /// Whether records stay on their pages while others come and go. Where they do not, one sweep over several pages proves nothing, and
    /// two equal ones do.
    pub(crate) steady_pages: bool,
}

/// How changes are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Changes {
    /// Everything is read every time, and compared with what is known.
    FullRefresh,
    /// Records carry a mark that grows with every change.
    Watermark {
        /// The column.
        column: String,
        /// How far back to look again.
        overlap: Overlap,
        /// How often everything is read and compared all the same, which finds what is gone.
        compare_every: Option<Duration>,
    },
    /// The system tells what has changed since it was asked last.
    Delta {
        /// Whether it brings only what has changed of a record.
        sparse: bool,
    },
}

/// By what a stream's records are known. Where that changes, what is known of them says nothing any more, and all are read anew.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manner {
    #[serde(default)]
    key: Vec<String>,
    /// Of records without a key: which columns are not compared, and which of the records are remembered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ignored: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    remembered: String,
}

impl Plan {
    pub(crate) fn identity(&self) -> Identity {
        // A change of what destinations never see is none either.
        let ignored = self.ignored.iter().chain(&self.outline.exclude).cloned().collect();
        Identity { key: self.outline.key.clone(), ignored }
    }

    pub(crate) fn manner(&self) -> Manner {
        let key = self.outline.key.clone();
        if self.is_keyed() {
            return Manner { key, ..Manner::default() };
        }
        let mut ignored = self.identity().ignored;
        ignored.sort();
        let remembered = match self.watermark() {
            Some(column) => format!("since {column}"),
            None => "all".to_owned(),
        };
        Manner { key, ignored, remembered }
    }

    pub(crate) fn is_keyed(&self) -> bool {
        !self.outline.key.is_empty()
    }

    /// Whether a record that is not found any more is deleted. One without a key is only forgotten.
    pub(crate) fn deletes_vanished(&self) -> bool {
        self.is_keyed() && !self.keeps_vanished
    }

    /// The column whose greatest value is kept.
    pub(crate) fn watermark(&self) -> Option<&str> {
        match &self.changes {
            Changes::Watermark { column, .. } => Some(column),
            Changes::FullRefresh | Changes::Delta { .. } => None,
        }
    }

    /// Whether everything is read and compared only now and then.
    pub(crate) fn compares_at_times(&self) -> bool {
        matches!(self.changes, Changes::Watermark { compare_every: Some(_), .. })
    }

    /// Whether records of `sweep` bring only what has changed of them.
    pub(crate) fn is_sparse(&self, sweep: &Sweep) -> bool {
        self.changes == (Changes::Delta { sparse: true }) && matches!(sweep, Sweep::Delta(_))
    }
}
