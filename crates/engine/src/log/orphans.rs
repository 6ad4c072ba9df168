//! Segments that no commit names: a writer died between making them durable and committing them.

use std::{collections::HashSet, sync::Arc};

use object_store::path::Path;

use super::{Log, commit::Segment, names, volume::damaged};
use crate::Result;

impl Log {
    /// Removes the orphans of `epoch`. The caller has committed under a later epoch, so whoever wrote them can never
    /// commit them any more.
    pub(crate) async fn remove_orphans(&self, epoch: u64) -> Result<()> {
        let objects = self.store().objects(&names::data()).await?;
        let mut orphans: HashSet<Path> =
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

fn spare(orphans: &mut HashSet<Path>, named: &[Segment]) -> Result<()> {
    for segment in named {
        orphans.remove(&segment.path()?);
    }
    Ok(())
}
