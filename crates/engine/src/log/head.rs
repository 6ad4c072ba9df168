//! Where the log ends.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use super::{Commit, Log, Syncing, names};
use crate::{Cursor, Digest, Position, Result, Time, schema::StreamName};

/// The newest commit, in as far as the next one needs to know it.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) sequence: u64,
    pub(super) hash: Digest,
    pub(super) epoch: u64,
    pub(super) time: Time,
    pub(super) watermark: Time,
    pub(super) source_position: Option<Vec<u8>>,
    pub(super) cursor: Cursor,
    pub(super) syncing: BTreeMap<StreamName, Syncing>,
    pub(super) schemas_at: u64,
}

impl Default for Head {
    /// Before the first commit.
    fn default() -> Self {
        Self {
            sequence: 0,
            hash: Digest::ZERO,
            epoch: 0,
            time: Time::from_micros(i64::MIN),
            watermark: Time::from_micros(i64::MIN),
            source_position: None,
            cursor: Cursor::default(),
            syncing: BTreeMap::new(),
            schemas_at: 0,
        }
    }
}

impl From<&Commit> for Head {
    fn from(commit: &Commit) -> Self {
        let header = commit.header();
        Self {
            sequence: header.sequence,
            hash: commit.hash(),
            epoch: header.epoch,
            time: header.time,
            watermark: header.watermark,
            source_position: header.source_position.clone(),
            cursor: header.cursor.clone(),
            syncing: header.syncing.clone(),
            schemas_at: header.schemas_at,
        }
    }
}

impl Log {
    /// The end of the log as this process knows it. Everything up to it is durable.
    pub fn head(&self) -> Position {
        let head = self.0.head.borrow();
        Position { log: self.id().clone(), sequence: head.sequence, hash: head.hash }
    }

    /// Where every part of the source has been read to, as of [`Log::head`].
    pub fn cursor(&self) -> Cursor {
        self.0.head.borrow().cursor.clone()
    }

    /// The streams whose initial sync is under way, as of [`Log::head`].
    pub fn syncing(&self) -> BTreeMap<StreamName, Syncing> {
        self.0.head.borrow().syncing.clone()
    }

    /// When the newest commit was recorded, and its watermark; `None` in an empty log.
    pub fn head_times(&self) -> Option<(Time, Time)> {
        let head = self.0.head.borrow();
        (head.sequence > 0).then_some((head.time, head.watermark))
    }

    /// Returns once the log goes beyond commit `sequence`, as this process knows it.
    pub async fn grown_beyond(&self, sequence: u64) {
        let mut head = self.0.head.subscribe();
        // The sender lives in `self`, so the wait cannot fail.
        let _ = head.wait_for(|head| head.sequence > sequence).await;
    }

    /// Looks for commits that other processes have added, and moves the head to the last.
    pub async fn refresh(&self) -> Result<()> {
        if self.head().sequence == 0 {
            let Some(newest) = self.newest_listed().await? else { return Ok(()) };
            let commit = self.commit(newest).await?;
            self.settle(&commit).await?;
            self.advance(&commit);
        }
        loop {
            let head = self.head();
            let Some(commit) = self.find(head.sequence + 1).await? else { return Ok(()) };
            self.check_follows(&commit, &head)?;
            self.settle(&commit).await?;
            self.advance(&commit);
        }
    }

    /// Makes a commit durable that this process found. One that is folded was so before.
    async fn settle(&self, commit: &Commit) -> Result<()> {
        match self.layout().covers(commit.sequence()) {
            true => Ok(()),
            false => self.0.store.settle(&names::commit(commit.sequence())).await,
        }
    }

    /// Makes a durable commit the head, unless a newer one is known.
    pub(super) fn advance(&self, commit: &Arc<Commit>) {
        self.0.recent.remember(commit);
        self.0.head.send_if_modified(|head| {
            let newer = commit.sequence() > head.sequence;
            if newer {
                *head = Head::from(commit.as_ref());
                self.0.unfolded.fetch_add(commit.held_bytes(), Ordering::Relaxed);
            }
            newer
        });
    }

    /// The newest commit that a listing shows. Later ones may exist: a listing is a hint, probing decides.
    async fn newest_listed(&self) -> Result<Option<u64>> {
        let mut folders = self.0.store.folders(&names::commits()).await?;
        folders.retain(|folder| names::number(folder).is_some());
        folders.sort_by_key(|folder| Reverse(names::number(folder)));
        for folder in folders {
            // A folder comes to be before its first commit, so the newest may be empty.
            let objects = self.0.store.objects(&folder).await?;
            if let Some(newest) = objects.iter().filter_map(names::number).max() {
                return Ok(Some(newest));
            }
        }
        Ok(None)
    }
}
