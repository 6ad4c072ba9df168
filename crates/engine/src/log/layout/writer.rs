//! How the next layout comes to be, once, by one writer at a time.
//!
//! Safety rests on names. An entry is put if its number is free, so of two writers one is out, for good. Old entries are removed,
//! and their numbers free again, except for the first of every writer: that is the number which the writer before would try. One
//! that has not written yet may still find its number free long after it was taken, so after its first put it looks whether it has
//! written into the past.

use std::sync::Arc;

use super::{Fence, Fenced, Layout};
use crate::{
    Error, Result, Stop,
    log::{Log, names, putting::Put},
};

/// How many entries are kept, the newest among them.
const KEPT: u64 = 3;

/// Adds to the chain.
#[derive(Debug)]
pub(crate) struct LayoutWriter {
    log: Log,
    name: String,
    /// The newest entry, as this writer knows it.
    layout: Arc<Layout>,
    has_written: bool,
    /// Whether it is not known what became of the last put.
    is_unresolved: bool,
    /// Whether somebody else has written since.
    was_overtaken: bool,
}

impl LayoutWriter {
    /// A writer that goes on after the newest layout.
    pub(crate) async fn open(log: &Log) -> Result<Self> {
        log.refresh_layout().await?;
        let name = log.world().name(8);
        let layout = log.layout();
        Ok(Self {
            log: log.clone(),
            name,
            layout,
            has_written: false,
            is_unresolved: false,
            was_overtaken: false,
        })
    }

    /// The newest layout.
    pub(crate) fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// The writer's own name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The number of the entry that it writes next.
    pub(crate) fn next_number(&self) -> u64 {
        self.layout.number + 1
    }

    /// Whether nothing of it can become visible any more.
    pub(crate) fn is_resolved(&self) -> bool {
        !self.is_unresolved
    }

    /// Whether it has written an entry.
    pub(crate) fn has_written(&self) -> bool {
        self.has_written
    }

    /// Whether its first entry came too late: another one that begins behind the newest may go on.
    pub(crate) fn came_too_late(&self) -> bool {
        self.was_overtaken && self.layout.writer != self.name
    }

    /// Adds what `change` makes of the newest layout. It is durable when this returns, and everybody looks there.
    ///
    /// Fails with [`crate::ErrorKind::Conflict`] when somebody else has written since: this writer is out.
    pub(crate) async fn put(&mut self, change: impl FnOnce(&mut Layout), stop: &Stop) -> Result<()> {
        let former = self.layout.as_ref();
        let mut layout = former.clone();
        change(&mut layout);
        layout.number = self.next_number();
        layout.begins = !self.has_written;
        layout.time = self.log.world().now().max(former.time.next());
        layout.writer = self.name.clone();
        if layout.begins && former.number > 0 {
            let fence = Fence { object: Fenced::Layout(layout.number), against: former.writer.clone() };
            layout.fences.push(fence);
        }
        if layout.folded() < former.folded() {
            return Err(Error::internal("a layout would lose commits that are folded"));
        }
        let is_first = layout.begins;
        let sealed = layout.seal()?;
        self.is_unresolved = true;
        if self.log.put(&names::layout(layout.number), &sealed.bytes, stop).await? == Put::Theirs {
            self.was_overtaken = true;
            return Err(self.replaced(layout.number));
        }
        self.is_unresolved = false;
        self.has_written = true;
        if is_first && self.log.newest_layout_number().await? > Some(layout.number) {
            self.log.store().delete(&names::layout(layout.number)).await?;
            self.was_overtaken = true;
            return Err(self.replaced(layout.number));
        }
        self.layout = Arc::new(layout);
        self.log.0.layout.advance(self.layout.clone());
        if let Err(error) = self.forget_old().await {
            tracing::debug!(%error, "cannot remove old entries of the layout: the next one tries again");
        }
        Ok(())
    }

    /// Removes entries that are neither among the newest nor somebody's first.
    async fn forget_old(&self) -> Result<()> {
        let is_fence = |number| self.layout.fences.iter().any(|fence| fence.object == Fenced::Layout(number));
        for object in self.log.store().objects(&names::layouts()).await? {
            let old = names::number(&object).filter(|number| number + KEPT <= self.layout.number);
            if old.is_some_and(|number| !is_fence(number)) {
                self.log.store().delete(&object).await?;
            }
        }
        Ok(())
    }

    fn replaced(&self, number: u64) -> Error {
        Error::conflict(format!(
            "another process has taken over the layout of this log: entry {number} is not ours"
        ))
        .hint("let only one process run this pipeline; nothing was lost")
    }
}
