//! Segments that no commit names: a writer died between making them durable and committing them.

use std::{collections::BTreeSet, sync::Arc};

use object_store::path::Path;

use super::{Log, Unnamed, commit::Segment, names, volume::damaged};
use crate::Result;

impl Log {
    /// Removes what processes that died had begun to write and nobody can see. It may be what fills the disk.
    pub(crate) async fn remove_torn(&self) -> Result<()> {
        let removed = self.store().remove_torn(self.world()).await?;
        if removed > 0 {
            tracing::info!(files = removed, "removed files that a former run had begun to write");
        }
        Ok(())
    }

    /// Removes the segments of a writer's attempt that has ended, but for those that its commits name. What cannot be removed now
    /// stays until another epoch begins.
    pub(crate) async fn remove_unnamed(&self, unnamed: &Unnamed) {
        for name in unnamed.take() {
            let Ok(path) = Path::parse(&name) else { continue };
            if let Err(error) = self.store().delete(&path).await {
                tracing::warn!(%error, "cannot remove a segment that no commit names");
            }
        }
    }

    /// Removes the orphans of `epoch`. The caller has committed under a later epoch, so whoever wrote them can never
    /// commit them any more.
    pub(crate) async fn remove_orphans(&self, epoch: u64) -> Result<()> {
        let objects = self.store().objects(&names::data()).await?;
        let mut orphans: BTreeSet<Path> =
            objects.into_iter().filter(|path| names::segment_epoch(path) == Some(epoch)).collect();
        let layout = self.layout();
        let mut sequence = self.head().sequence;
        while sequence > layout.folded() && !orphans.is_empty() {
            let commit = self.commit(sequence).await?;
            if commit.header().epoch < epoch {
                break;
            }
            spare(&mut orphans, &commit.header().segments)?;
            sequence -= 1;
        }
        for volume in layout.volumes.iter().rev() {
            if orphans.is_empty() || self.commit(volume.last).await?.header().epoch < epoch {
                break;
            }
            // One that was replaced meanwhile: the next run looks again.
            let Some(opened) = self.volume(volume).await? else {
                return Err(damaged(volume, "it is missing"));
            };
            spare(&mut orphans, Arc::as_ref(&opened).segments())?;
        }
        for orphan in &orphans {
            self.store().delete(orphan).await?;
        }
        if !orphans.is_empty() {
            tracing::info!(epoch, segments = orphans.len(), "removed segments that no commit names");
        }
        Ok(())
    }
}

fn spare(orphans: &mut BTreeSet<Path>, named: &[Segment]) -> Result<()> {
    for segment in named {
        orphans.remove(&segment.path()?);
    }
    Ok(())
}
