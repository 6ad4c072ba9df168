//! Looking at all records of a source: which of the known ones are not there any more?

use tidemark_engine::{Result, log::StateObject};

use super::{
    marks::Marked,
    merge::{Merge, Paused},
    reference::PartRef,
    shelf::Shelf,
};

/// How a look at all records is getting on.
#[derive(Debug, Default)]
pub(super) enum Sweep {
    /// None is under way.
    #[default]
    Rests,
    /// Records are being seen.
    Sees(Marked),
    /// It is over, and what was not seen is being told.
    Tells(Unseen),
}

/// What was known at the end of a sweep, and what of it was seen.
#[derive(Debug)]
pub(super) struct Unseen {
    runs: Vec<Vec<PartRef>>,
    marked: Marked,
    /// How far it has been told.
    merge: Merge,
}

impl Sweep {
    /// What has been seen so far, while records are being seen.
    pub(super) fn marked(&mut self) -> Option<&mut Marked> {
        match self {
            Self::Sees(marked) => Some(marked),
            Self::Rests | Self::Tells(_) => None,
        }
    }

    /// The objects that are needed to tell what was not seen.
    pub(super) fn objects(&self) -> impl Iterator<Item = &StateObject> {
        let runs = match self {
            Self::Tells(unseen) => unseen.runs.as_slice(),
            Self::Rests | Self::Sees(_) => &[],
        };
        runs.iter().flatten().map(|part| &part.object)
    }
}

impl Unseen {
    /// Of the parts of these runs, oldest first.
    pub(super) fn new(runs: Vec<Vec<PartRef>>, marked: Marked) -> Self {
        Self { merge: Merge::new(runs.iter().cloned()), runs, marked }
    }

    /// Begins again at the first key.
    pub(super) fn rewind(&mut self) {
        self.merge = Merge::new(self.runs.iter().cloned());
    }

    /// The next keys, up to `most`; none when that were all.
    pub(super) async fn next(&mut self, shelf: &mut Shelf, most: usize) -> Result<Vec<Vec<u8>>> {
        let mut keys = Vec::new();
        loop {
            let mut merge = std::mem::replace(&mut self.merge, Merge::new([]));
            let gathered = shelf.world().compute(move || {
                let paused = merge.unmarked(&mut keys, most);
                (merge, keys, paused)
            });
            let paused;
            (self.merge, keys, paused) = gathered.await?;
            match paused.map_err(|unreadable| shelf.unreadable(unreadable))? {
                Paused::Part { source, .. } if self.is_all_seen(source) => drop(self.merge.pass(source)),
                Paused::Part { source, .. } => {
                    let Some(part) = self.merge.upcoming(source) else { continue };
                    let marks = self.marked.get(&part.object.name).cloned().unwrap_or_default();
                    let opened = self.merge.open(source, shelf.part(&part.clone()).await?, marks);
                    opened.map_err(|unreadable| shelf.unreadable(unreadable))?;
                }
                Paused::Enough | Paused::End => return Ok(keys),
            }
        }
    }

    /// Whether the part that comes next of `source` has nothing to tell: all of it was seen, and it hides nothing.
    fn is_all_seen(&self, source: usize) -> bool {
        let part = self.merge.upcoming(source).filter(|_| source == 0);
        part.is_some_and(|part| {
            self.marked.get(&part.object.name).is_some_and(|marks| marks.count() == part.entries)
        })
    }
}
