//! The runs that what is known stands in, and when they become fewer.

use tidemark_engine::{Result, log::StateObject};

use super::{
    marks::Marked,
    merge::{Merge, Paused},
    part::PartWriter,
    reference::{PartRef, RunRef},
    shelf::Shelf,
};

/// Runs of about the same size before they become one.
const ALIKE: usize = 4;
/// A cursor names up to so many parts of a run itself, if their keys are short.
const NAMED: usize = 2;
const SHORT: usize = 512;
/// Runs below this share of a part are all of the same size.
const SMALL: u64 = 32;

/// Sorted entries, in parts.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) parts: Vec<PartRef>,
    /// The object that lists the parts, where there are too many for a cursor.
    list: Option<StateObject>,
}

impl Run {
    /// Of parts that are durable.
    pub(super) async fn new(parts: Vec<PartRef>, shelf: &Shelf) -> Result<Self> {
        let keys: usize = parts.iter().map(|part| part.first.len() + part.last.len()).sum();
        let list = match parts.len() <= NAMED && keys <= SHORT {
            true => None,
            false => Some(shelf.put_list(&parts).await?),
        };
        Ok(Self { parts, list })
    }

    pub(super) async fn open(reference: RunRef, shelf: &Shelf) -> Result<Self> {
        Ok(match reference {
            RunRef::Parts(parts) => Self { parts, list: None },
            RunRef::Listed(object) => Self { parts: shelf.list(&object).await?, list: Some(object) },
        })
    }

    pub(super) fn reference(&self) -> RunRef {
        match &self.list {
            Some(list) => RunRef::Listed(list.clone()),
            None => RunRef::Parts(self.parts.clone()),
        }
    }

    pub(super) fn objects(&self) -> impl Iterator<Item = &StateObject> {
        self.parts.iter().map(|part| &part.object).chain(&self.list)
    }

    fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.object.bytes).sum()
    }
}

/// From which run on, oldest first, all become one, if that is worth it. So an entry is written again as often as the logarithm of their
/// number is great, and there are never many runs, nor much in them that is void.
pub(super) fn ripe(runs: &[Run], part: usize) -> Option<usize> {
    let sizes: Vec<u64> = runs.iter().map(Run::bytes).collect();
    ripe_of(&sizes, (part as u64 / SMALL).max(1))
}

fn ripe_of(sizes: &[u64], small: u64) -> Option<usize> {
    let (oldest, newer) = sizes.split_first()?;
    if !newer.is_empty() && newer.iter().sum::<u64>() * 2 >= *oldest {
        return Some(0);
    }
    let magnitude = |size: &u64| (size / small).max(1).ilog(ALIKE as u64);
    let last = magnitude(sizes.last()?);
    let alike = sizes.iter().rev().take_while(|size| magnitude(size) <= last).count();
    (alike >= ALIKE).then(|| sizes.len() - alike)
}

/// Makes one run of `runs`, oldest first; the `first` is the oldest there is, so what it says to be gone can be forgotten. Parts that none of
/// the others has a key for stay as they are, unless they are small. What is `marked` stays so.
pub(super) async fn merge(
    runs: &[Run],
    is_oldest: bool,
    target: usize,
    shelf: &mut Shelf,
    mut marked: Option<&mut Marked>,
) -> Result<Run> {
    let mut merge = Merge::new(runs.iter().map(|run| run.parts.clone()));
    let (mut draft, mut parts) = (PartWriter::default(), Vec::new());
    loop {
        let filled = shelf.world().compute(move || {
            let paused = merge.fill(&mut draft, target, is_oldest);
            (merge, draft, paused)
        });
        let paused;
        (merge, draft, paused) = filled.await?;
        match paused.map_err(|unreadable| shelf.unreadable(unreadable))? {
            Paused::Enough => put(&mut draft, &mut parts, shelf, marked.as_deref_mut()).await?,
            Paused::End => break,
            Paused::Part { source, is_alone } => {
                let Some(part) = merge.upcoming(source) else { continue };
                let can_stay =
                    is_alone && part.object.bytes >= target as u64 / 2 && (part.gone == 0 || !is_oldest);
                if can_stay {
                    put(&mut draft, &mut parts, shelf, marked.as_deref_mut()).await?;
                    parts.extend(merge.pass(source));
                    continue;
                }
                let part = part.clone();
                let marks = marked.as_deref_mut().and_then(|marked| marked.remove(&part.object.name));
                let opened = merge.open(source, shelf.part(&part).await?, marks.unwrap_or_default());
                opened.map_err(|unreadable| shelf.unreadable(unreadable))?;
            }
        }
    }
    put(&mut draft, &mut parts, shelf, marked).await?;
    Run::new(parts, shelf).await
}

/// Ends a part, if it has anything in it.
pub(super) async fn put(
    draft: &mut PartWriter,
    parts: &mut Vec<PartRef>,
    shelf: &mut Shelf,
    marked: Option<&mut Marked>,
) -> Result<()> {
    let Some(mut written) = draft.finish() else { return Ok(()) };
    let marks = std::mem::take(&mut written.marks);
    let part = shelf.put(written).await?;
    if let Some(marked) = marked {
        marked.insert(part.object.name.clone(), marks);
    }
    parts.push(part);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_stay_few_and_entries_are_not_written_often() {
        let (mut sizes, mut written, mut most) = (Vec::<u64>::new(), 0, 0);
        for added in 0..20_000u64 {
            sizes.push(1 + added % 3);
            while let Some(from) = ripe_of(&sizes, 1) {
                let whole = sizes.drain(from..).sum();
                written += whole;
                sizes.push(whole);
            }
            most = most.max(sizes.len());
        }
        let whole: u64 = sizes.iter().sum();
        assert!(most <= 24, "{most} runs");
        assert!(written < 10 * whole, "{written} written for {whole}");
        assert!(sizes[1..].iter().sum::<u64>() * 2 < sizes[0]);
    }

    #[test]
    fn a_few_changes_do_not_write_everything_again() {
        let mut sizes = vec![1_000_000];
        for added in 0..1_000u64 {
            sizes.push(1 + added % 2);
            while let Some(from) = ripe_of(&sizes, 16) {
                assert!(from > 0, "{sizes:?}");
                let whole = sizes.drain(from..).sum();
                sizes.push(whole);
            }
        }
    }
}
