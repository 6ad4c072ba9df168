//! What is in the store that nothing names. It is no problem: a process that died leaves it, and the next one removes it.

use std::collections::BTreeSet;

use object_store::path::Path;

use super::{Inspection, StrayKind};
use crate::{
    Result,
    log::{layout::Fenced, names},
};

impl Inspection {
    pub(super) async fn strays(&mut self) -> Result<()> {
        let store = self.log.store().clone();
        let listing = store.objects(&Path::default()).await?;
        // Whatever was committed or folded while we looked is named by now.
        self.name_what_came_since().await?;
        let layout = self.log.layout();
        let doomed: BTreeSet<&str> =
            layout.doomed.iter().flat_map(|doomed| &doomed.objects).map(String::as_str).collect();
        let fenced: BTreeSet<_> = layout.fences.iter().map(|fence| fence.object).collect();
        for path in &listing {
            let kind =
                match names::kind(path) {
                    Some(names::ObjectKind::Commit(sequence)) if layout.covers(sequence) => {
                        match fenced.contains(&Fenced::Commit(sequence)) {
                            true => continue,
                            false => StrayKind::Doomed,
                        }
                    }
                    Some(
                        names::ObjectKind::Segment | names::ObjectKind::Volume | names::ObjectKind::Schema,
                    ) if !self.is_named(path.as_ref()) => match doomed.contains(path.as_ref()) {
                        true => StrayKind::Doomed,
                        false => StrayKind::Orphan,
                    },
                    Some(names::ObjectKind::Scratch | names::ObjectKind::Probe) => StrayKind::Orphan,
                    Some(_) => continue,
                    None => StrayKind::Foreign,
                };
            self.findings.stray(kind, path.as_ref());
        }
        Ok(())
    }

    async fn name_what_came_since(&mut self) -> Result<()> {
        self.newer_layout().await?;
        let layout = self.log.layout();
        for volume in layout.all_volumes() {
            if self.is_named(&volume.name) {
                continue;
            }
            self.name(&volume.name);
            // One that is damaged or missing has been told of.
            if let Ok(Some(opened)) = self.log.volume(volume).await {
                opened.segments().iter().for_each(|segment| self.name(&segment.name));
            }
        }
        let mut sequence = self.findings.head + 1;
        while let Ok(Some(commit)) = self.log.find(sequence).await {
            for segment in &commit.header().segments {
                self.name(&segment.name);
                self.name(names::schema(&segment.stream, segment.schema).as_ref());
            }
            for frame in &commit.header().frames {
                self.name(names::schema(&frame.stream, frame.schema).as_ref());
            }
            sequence += 1;
        }
        Ok(())
    }
}
