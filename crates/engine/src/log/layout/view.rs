//! The newest layout that this process knows of.

use std::sync::{Arc, PoisonError, RwLock};

use super::{Layout, MAGIC};
use crate::{
    Error, LogId, Result,
    log::{Log, names, sealed::Sealed},
};

/// The newest layout known here.
#[derive(Debug)]
pub(in crate::log) struct View(RwLock<Arc<Layout>>);

impl View {
    pub(in crate::log) fn new(log: LogId) -> Self {
        Self(RwLock::new(Arc::new(Layout::none(log))))
    }

    fn get(&self) -> Arc<Layout> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes `layout` the newest, unless a newer one is known.
    pub(in crate::log) fn advance(&self, layout: Arc<Layout>) {
        let mut newest = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if layout.number > newest.number {
            *newest = layout;
        }
    }
}

impl Log {
    /// What stands where, as this process knows it.
    pub(crate) fn layout(&self) -> Arc<Layout> {
        self.0.layout.get()
    }

    /// Looks for a newer layout. Whether there was one.
    pub(crate) async fn refresh_layout(&self) -> Result<bool> {
        let before = self.layout().number;
        loop {
            let Some(newest) = self.newest_layout_number().await?.filter(|newest| *newest > before) else {
                return Ok(false);
            };
            // One that has been removed since was followed by others.
            if let Some(layout) = self.find_layout(newest).await? {
                self.0.layout.advance(Arc::new(layout));
                return Ok(true);
            }
            if self.newest_layout_number().await? == Some(newest) {
                return Err(damaged(newest, "it is listed, but missing"));
            }
        }
    }

    /// The number of the newest entry of the chain.
    pub(super) async fn newest_layout_number(&self) -> Result<Option<u64>> {
        Ok(self.layout_numbers().await?.into_iter().max())
    }

    /// The numbers of all entries of the chain that are there, in no order.
    pub(in crate::log) async fn layout_numbers(&self) -> Result<Vec<u64>> {
        let objects = self.store().objects(&names::layouts()).await?;
        Ok(objects.iter().filter_map(names::number).collect())
    }

    /// Entry `number` of the chain, verified; `None` when there is none.
    pub(in crate::log) async fn find_layout(&self, number: u64) -> Result<Option<Layout>> {
        let path = names::layout(number);
        let Some(bytes) = self.store().get(&path).await? else { return Ok(None) };
        let read = move || Sealed::open(MAGIC, bytes).and_then(|sealed| Layout::parse(&sealed));
        let layout = self.world().compute(read).await?.map_err(|what| damaged(number, what))?;
        if layout.number != number {
            return Err(damaged(number, "it is another layout"));
        }
        if &layout.log != self.id() {
            return Err(damaged(number, "it belongs to another log"));
        }
        self.store().settle(&path).await?;
        Ok(Some(layout))
    }
}

fn damaged(number: u64, what: &str) -> Error {
    Error::conflict(format!("layout {number} (`{}`) is damaged: {what}", names::layout(number)))
        .hint("restore it from a backup: it says where the commits of the log are")
}
