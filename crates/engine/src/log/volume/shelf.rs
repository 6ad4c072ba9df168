//! Reading commits out of volumes: a volume is verified whole, once, and the pages in use are kept for a while.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use object_store::path::Path;

use super::{Contents, Volume};
use crate::{
    Digest, Error, Result,
    log::{Commit, Log, layout::VolumeRef},
};

/// Bytes of volumes that are kept at hand.
const VOLUME_BYTES: usize = 8 << 20;
/// Pages of commits that are.
const PAGES: usize = 8;

/// What has been read lately, newest last.
#[derive(Debug, Default)]
pub(in crate::log) struct Shelf(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    volumes: VecDeque<(Digest, Arc<Volume>)>,
    pages: VecDeque<(Digest, Vec<Arc<Commit>>)>,
}

impl Shelf {
    fn commit(&self, volume: Digest, sequence: u64) -> Option<Arc<Commit>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.pages.iter().position(|(of, page)| *of == volume && holds(page, sequence).is_some())?;
        let page = kept.pages.remove(at)?;
        let commit = holds(&page.1, sequence);
        kept.pages.push_back(page);
        commit
    }

    fn volume(&self, digest: Digest) -> Option<Arc<Volume>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.volumes.iter().find(|(of, _)| *of == digest).map(|(_, volume)| volume.clone())
    }

    fn keep_volume(&self, digest: Digest, volume: &Arc<Volume>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.volumes.push_back((digest, volume.clone()));
        let held = |kept: &Kept| kept.volumes.iter().map(|(_, volume)| volume.held_bytes()).sum::<usize>();
        while kept.volumes.len() > 1 && held(&kept) > VOLUME_BYTES {
            kept.volumes.pop_front();
        }
    }

    fn keep_page(&self, digest: Digest, page: Vec<Arc<Commit>>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.pages.push_back((digest, page));
        if kept.pages.len() > PAGES {
            kept.pages.pop_front();
        }
    }
}

/// Commit `sequence`, if it is on `page`.
fn holds(page: &[Arc<Commit>], sequence: u64) -> Option<Arc<Commit>> {
    let first = page.first()?.sequence();
    page.get(usize::try_from(sequence.checked_sub(first)?).ok()?).cloned()
}

impl Log {
    /// Commit `sequence` out of `volume`, verified; `None` when the volume is missing.
    pub(in crate::log) async fn commit_in(
        &self,
        volume: &VolumeRef,
        sequence: u64,
    ) -> Result<Option<Arc<Commit>>> {
        let shelf = &self.0.shelf;
        if let Some(commit) = shelf.commit(volume.digest, sequence) {
            return Ok(Some(commit));
        }
        let Some(opened) = self.volume(volume).await? else { return Ok(None) };
        let page = self.world().compute(move || opened.page_of(sequence)).await??;
        let commit = holds(&page, sequence);
        shelf.keep_page(volume.digest, page);
        commit.map(Some).ok_or_else(|| damaged(volume, "it misses a commit"))
    }

    /// A volume, verified; `None` when it is missing.
    pub(in crate::log) async fn volume(&self, volume: &VolumeRef) -> Result<Option<Arc<Volume>>> {
        if let Some(kept) = self.0.shelf.volume(volume.digest) {
            return Ok(Some(kept));
        }
        let path = Path::parse(&volume.name).map_err(|_| damaged(volume, "it has no sound name"))?;
        let Some(bytes) = self.store().get(&path).await? else { return Ok(None) };
        let opened = self.world().compute(move || super::open(bytes)).await?;
        let opened = opened.map_err(|what| damaged(volume, what))?;
        let Contents { log, first, last, .. } = &opened.contents;
        if opened.sealed.hash != volume.digest || (*first, *last) != (volume.first, volume.last) {
            return Err(damaged(volume, "it is another volume"));
        }
        if log != self.id() {
            return Err(damaged(volume, "it belongs to another log"));
        }
        let opened = Arc::new(opened);
        self.0.shelf.keep_volume(volume.digest, &opened);
        Ok(Some(opened))
    }
}

/// The error of a volume that is not what it should be.
pub(in crate::log) fn damaged(volume: &VolumeRef, what: &str) -> Error {
    let VolumeRef { name, first, last, .. } = volume;
    Error::conflict(format!("the volume `{name}` of commits {first} to {last} is damaged: {what}"))
        .hint("restore it from a backup: nothing of it or after it is delivered")
}
