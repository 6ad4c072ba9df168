//! Runs, merged entry by entry: the newest says what is true of a key. Nothing is waited for here: a part that is needed is asked for.

use std::collections::VecDeque;

use super::{
    fingerprints::RowHash,
    marks::Marks,
    part::{Part, PartWriter, Scan, Unreadable},
    reference::PartRef,
};

/// Runs on their way into one.
#[derive(Debug)]
pub(super) struct Merge {
    /// Oldest first.
    sources: Vec<Source>,
    /// The entry that was come to last.
    key: Vec<u8>,
    row: Option<RowHash>,
    is_marked: bool,
}

#[derive(Debug)]
struct Source {
    /// The first is the one that is being read.
    parts: VecDeque<PartRef>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    scan: Scan,
    marks: Marks,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// An entry.
    Entry,
    /// The part that is the next one of this source: it has to be opened, or passed over.
    Part {
        source: usize,
        /// Whether no other source has an entry between its first and its last.
        is_alone: bool,
    },
    /// Nothing.
    End,
}

/// Why a step of a merge ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paused {
    /// There is as much as was asked for.
    Enough,
    /// See [`Next::Part`].
    Part { source: usize, is_alone: bool },
    /// Everything has been merged.
    End,
}

impl Merge {
    /// Of the parts of these runs, oldest first.
    pub(super) fn new(runs: impl IntoIterator<Item = Vec<PartRef>>) -> Self {
        let source = |parts: Vec<PartRef>| Source { parts: parts.into(), open: None };
        Self { sources: runs.into_iter().map(source).collect(), key: Vec::new(), row: None, is_marked: false }
    }

    /// The part that comes next of `source`.
    pub(super) fn upcoming(&self, source: usize) -> Option<&PartRef> {
        self.sources.get(source)?.parts.front()
    }

    /// Passes over the part that comes next of `source`.
    pub(super) fn pass(&mut self, source: usize) -> Option<PartRef> {
        self.sources.get_mut(source)?.parts.pop_front()
    }

    /// Opens the part that comes next of `source`, which is this one.
    pub(super) fn open(&mut self, source: usize, part: Part, marks: Marks) -> Result<(), Unreadable> {
        let mut scan = Scan::new(part);
        let stands = scan.advance()?;
        let source = self.sources.get_mut(source).filter(|_| stands).ok_or(Unreadable)?;
        source.open = Some(Open { scan, marks });
        Ok(())
    }

    /// Merges entries into `draft` until it has `target` bytes. Keys that are gone are left out where `forgets`: there is no older
    /// entry of theirs.
    pub(super) fn fill(
        &mut self,
        draft: &mut PartWriter,
        target: usize,
        forgets: bool,
    ) -> Result<Paused, Unreadable> {
        while draft.size() < target {
            match self.next()? {
                Next::Entry if forgets && self.row.is_none() => {}
                Next::Entry => draft.add(&self.key, self.row, self.is_marked),
                Next::Part { source, is_alone } => return Ok(Paused::Part { source, is_alone }),
                Next::End => return Ok(Paused::End),
            }
        }
        Ok(Paused::Enough)
    }

    /// Gathers keys that are there and not marked, up to `most` of them.
    pub(super) fn unmarked(&mut self, keys: &mut Vec<Vec<u8>>, most: usize) -> Result<Paused, Unreadable> {
        while keys.len() < most {
            match self.next()? {
                Next::Entry if self.row.is_some() && !self.is_marked => keys.push(self.key.clone()),
                Next::Entry => {}
                Next::Part { source, is_alone } => return Ok(Paused::Part { source, is_alone }),
                Next::End => return Ok(Paused::End),
            }
        }
        Ok(Paused::Enough)
    }

    fn next(&mut self) -> Result<Next, Unreadable> {
        let Some(newest) = self.newest_of_least() else { return Ok(Next::End) };
        if let Some(unopened) = self.unopened_like(newest) {
            return Ok(Next::Part { source: unopened, is_alone: self.is_alone(unopened) });
        }
        let Self { sources, key, .. } = self;
        if let Some(Open { scan, marks }) = &sources[newest].open {
            scan.key().clone_into(key);
            self.row = scan.row();
            self.is_marked = marks.is_set(scan.number());
        }
        for source in &mut sources[..=newest] {
            source.pass_entry(key)?;
        }
        Ok(Next::Entry)
    }

    /// Of the sources whose next key is the least one, the newest.
    fn newest_of_least(&self) -> Option<usize> {
        let mut least: Option<(usize, &[u8])> = None;
        for (index, source) in self.sources.iter().enumerate() {
            if let Some(key) = source.key()
                && least.is_none_or(|(_, least)| key <= least)
            {
                least = Some((index, key));
            }
        }
        least.map(|(index, _)| index)
    }

    /// A source that has the same next key as `newest` in a part that is not open.
    fn unopened_like(&self, newest: usize) -> Option<usize> {
        let key = self.sources[newest].key();
        let is_like = |source: &&Source| source.open.is_none() && source.key() == key;
        self.sources[..=newest].iter().rposition(|source| is_like(&source))
    }

    fn is_alone(&self, source: usize) -> bool {
        let Some(part) = self.upcoming(source) else { return false };
        let is_beyond = |other: &Source| other.key().is_none_or(|key| key > part.last.as_slice());
        self.sources.iter().enumerate().all(|(index, other)| index == source || is_beyond(other))
    }
}

impl Source {
    /// The next key.
    #[inline]
    fn key(&self) -> Option<&[u8]> {
        match &self.open {
            Some(open) => Some(open.scan.key()),
            None => self.parts.front().map(|part| part.first.as_slice()),
        }
    }

    /// Moves on if its next entry is that of `key`.
    #[inline]
    fn pass_entry(&mut self, key: &[u8]) -> Result<(), Unreadable> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if open.scan.key() == key && !open.scan.advance()? {
            self.open = None;
            self.parts.pop_front();
        }
        Ok(())
    }
}
