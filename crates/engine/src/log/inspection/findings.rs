//! What an inspection finds.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{Error, LogId, Time, log::names, schema::StreamName};

/// More problems than this are only counted.
const TOLD: usize = 1_000;
/// And more strays of a kind.
const STRAYS_TOLD: usize = 100;
/// How the error of an object ends that is another log's.
const FOREIGN: &str = "it belongs to another log";

/// What was found in a log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// Which log it is, where that can be told.
    pub log: Option<LogId>,
    /// The last commit that is there.
    pub head: u64,
    /// The commit with which the log begins, when not everything is kept; 0 otherwise.
    pub base: u64,
    /// Objects that were read and verified.
    pub objects: u64,
    /// Changes in commits that are whole.
    pub changes: u64,
    /// What is wrong, in the order in which it was found.
    pub problems: Vec<Problem>,
    /// How many more there are.
    pub more_problems: u64,
    /// The commits that can be read, each together with all before it in its range.
    pub readable: Vec<Range>,
    /// What is lost of each stream.
    pub lost: BTreeMap<StreamName, Lost>,
    /// What is there that nothing needs: no problem.
    pub strays: Vec<Stray>,
}

/// Something wrong with an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The object's path below the log's root.
    pub object: String,
    /// What is wrong with it.
    pub what: String,
    /// What follows from that.
    pub means: String,
    /// What to do.
    pub repair: String,
}

/// Commits without a gap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Range {
    /// Its first commit, and its last.
    pub first: u64,
    /// The last one.
    pub last: u64,
    /// When the first was recorded.
    pub from: Time,
    /// When the last was.
    pub until: Time,
    /// How many changes they hold.
    pub changes: u64,
}

/// What of a stream is in objects that are damaged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// How many changes, as far as that can be told.
    pub changes: u64,
    /// The first commit that they are in, and the last.
    pub first: u64,
    /// The last one.
    pub last: u64,
}

/// Objects that nothing needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stray {
    /// Why they are there.
    pub kind: StrayKind,
    /// How many.
    pub count: u64,
    /// Their paths, the first hundred of them.
    pub objects: Vec<String>,
}

/// Why an object is there that nothing needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StrayKind {
    /// No commit names it: a process died before it could, or one is about to.
    Orphan,
    /// The layout names it to be removed.
    Doomed,
    /// It is not Tidemark's.
    Foreign,
}

impl Findings {
    /// Whether nothing is wrong.
    pub fn is_whole(&self) -> bool {
        self.problems.is_empty()
    }

    pub(super) fn is_wrong(&mut self, object: &str, what: &str, means: &str, repair: &str) {
        self.add(Problem {
            object: object.to_owned(),
            what: what.to_owned(),
            means: means.to_owned(),
            repair: repair.to_owned(),
        });
    }

    pub(super) fn add(&mut self, problem: Problem) {
        // One object may be come by in several ways.
        if self.problems.iter().any(|known| known.object == problem.object && known.what == problem.what) {
            return;
        }
        match self.problems.len() < TOLD {
            true => self.problems.push(problem),
            false => self.more_problems += 1,
        }
    }

    /// When not a single commit belongs to the log, it is the identity that is another's.
    pub(super) fn is_another_log(&mut self) {
        let is_foreign = |problem: &Problem| problem.what.ends_with(FOREIGN);
        if self.readable.is_empty() && self.problems.iter().any(is_foreign) {
            self.problems.retain(|problem| !is_foreign(problem));
            let identity = Problem {
                object: names::IDENTITY.to_owned(),
                what: "every commit belongs to another log".to_owned(),
                means: "nothing of the log can be read".to_owned(),
                repair: "restore `pipeline.json` from a backup of this staging store".to_owned(),
            };
            self.problems.insert(0, identity);
        }
    }

    /// `changes` of `stream` in commit `sequence` cannot be read.
    pub(super) fn lose(&mut self, stream: &StreamName, sequence: u64, changes: u64) {
        let first = Lost { changes: 0, first: sequence, last: sequence };
        let lost = self.lost.entry(stream.clone()).or_insert(first);
        lost.changes += changes;
        lost.first = lost.first.min(sequence);
        lost.last = lost.last.max(sequence);
    }

    pub(super) fn stray(&mut self, kind: StrayKind, object: &str) {
        let at = self.strays.iter().position(|stray| stray.kind == kind).unwrap_or_else(|| {
            self.strays.push(Stray { kind, count: 0, objects: Vec::new() });
            self.strays.len() - 1
        });
        if let Some(stray) = self.strays.get_mut(at) {
            stray.count += 1;
            if stray.objects.len() < STRAYS_TOLD {
                stray.objects.push(object.to_owned());
            }
        }
    }
}

impl Problem {
    /// What `error` says of `object`.
    pub(super) fn of_error(object: &str, error: &Error, means: &str) -> Self {
        let repair = error.hint_text().unwrap_or("restore it from a backup");
        Self {
            object: object.to_owned(),
            what: error.to_string(),
            means: means.to_owned(),
            repair: repair.to_owned(),
        }
    }
}
