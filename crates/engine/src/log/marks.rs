//! Where destinations stand, as they last said: for people who ask. One chain of objects for each destination; the
//! destination itself knows better, and nothing is decided by a mark alone.

use std::collections::BTreeMap;

use bytes::Bytes;
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use super::{Log, document, names, store::Placed};
use crate::{
    Error, Position, Result, Time,
    schema::StreamName,
    write::{Anew, Hold},
};

/// How many old marks are kept beside the newest.
const KEPT: u64 = 2;

/// What a destination last said of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Where it stands.
    pub position: Position,
    /// The streams that it holds at another place.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub held: BTreeMap<StreamName, Hold>,
    /// The streams that are being filled anew.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub anew: BTreeMap<StreamName, Anew>,
    /// The commit after which it began: 0, or where a replay started.
    pub from: u64,
    /// The moment that it shows, when it was filled as of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
    /// What is to be played in all else, as a note: see [`Plan`](crate::write::Plan).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// The streams it is given; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub streams: Vec<StreamName>,
    /// How many changes it has applied since it began.
    pub rows: u64,
    /// When it said so.
    pub time: Time,
    /// How it is.
    pub state: MarkState,
}

/// How a destination is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum MarkState {
    /// Its loop runs.
    Running,
    /// Its loop ended in good order.
    Stopped,
    /// Its loop gives it nothing, because somebody has paused it.
    Paused,
    /// Its loop tries again after an error.
    Retrying {
        /// The error.
        error: String,
    },
    /// Its loop ended with an error.
    Failed {
        /// The error.
        error: String,
    },
}

/// The chain of marks of one destination.
#[derive(Debug)]
pub struct Marks {
    log: Log,
    destination: String,
    /// The newest mark's number; 0 when there is none.
    number: u64,
    /// A mark whose put seemed to fail, and may have happened all the same.
    unresolved: Option<Bytes>,
}

impl Marks {
    /// The chain of `destination` and its newest mark.
    pub async fn open(log: &Log, destination: &str) -> Result<(Self, Option<Mark>)> {
        let folder = names::positions(destination);
        let number = log.newest_mark_number(&folder).await?;
        let marks = Self { log: log.clone(), destination: destination.to_owned(), number, unresolved: None };
        Ok((marks, log.newest_mark(&folder).await?))
    }

    /// Forgets every mark of `destination`.
    pub async fn remove(log: &Log, destination: &str) -> Result<()> {
        for object in log.store().objects(&names::positions(destination)).await? {
            log.store().delete(&object).await?;
        }
        Ok(())
    }

    /// Adds a mark and forgets old ones.
    ///
    /// Fails with [`crate::ErrorKind::Conflict`] when another process marks the same destination.
    pub async fn add(&mut self, mark: &Mark) -> Result<()> {
        let store = self.log.store();
        let mut number = self.number + 1;
        if let Some(unresolved) = self.unresolved.take()
            && store.get(&names::position(&self.destination, number)).await? == Some(unresolved)
        {
            number += 1;
        }
        let path = names::position(&self.destination, number);
        let bytes = document::write(&path, mark, "a mark")?;
        self.unresolved = Some(bytes.clone());
        if store.place(&path, bytes).await? != Placed::Ours {
            // Whoever is left in the end goes on behind what the other has said.
            self.unresolved = None;
            self.number = self.log.newest_mark_number(&names::positions(&self.destination)).await?;
            let message = format!("another process marks destination `{}`", self.destination);
            return Err(Error::conflict(message).hint("let only one process run this pipeline"));
        }
        self.unresolved = None;
        self.number = number;
        if let Some(old) = number.checked_sub(KEPT + 1).filter(|old| *old > 0) {
            store.delete(&names::position(&self.destination, old)).await?;
        }
        Ok(())
    }
}

impl Log {
    async fn newest_mark_number(&self, folder: &Path) -> Result<u64> {
        let objects = self.store().objects(folder).await?;
        Ok(objects.iter().filter_map(names::number).max().unwrap_or(0))
    }

    /// The newest mark in the folder of a destination.
    pub(super) async fn newest_mark(&self, folder: &Path) -> Result<Option<Mark>> {
        loop {
            let number = self.newest_mark_number(folder).await?;
            if number == 0 {
                return Ok(None);
            }
            let path = names::mark(folder, number);
            let damaged = |what: &str| {
                let message = format!("the mark `{path}` of a destination is damaged: {what}");
                Error::conflict(message).hint("delete it: the destination itself knows where it stands")
            };
            match self.store().get(&path).await? {
                Some(bytes) => {
                    return document::read(&path, &bytes).map(Some).map_err(|what| damaged(&what));
                }
                // Others have been added since, and this one removed.
                None if self.newest_mark_number(folder).await? != number => {}
                None => return Err(damaged("it is missing")),
            }
        }
    }
}
