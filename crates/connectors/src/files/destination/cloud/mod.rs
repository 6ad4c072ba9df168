//! The same in object storage, where nothing can be renamed, and what stands at a name is there whole or not at all.
//!
//! ```text
//! <root>/<folders>/<first commit>-<last commit>-<destination>-<n>.<format>    what readers see
//! <root>/.tidemark/<destination>/tmp/<epoch>-<entry>-<n>                      objects that are not committed, or not shown yet
//! <root>/.tidemark/<destination>/manifest/                                    what has been committed, see `chain`
//! ```
//!
//! A unit's objects are put into `tmp`, where no reader looks. One put-if-absent of the next entry of the manifest commits them: it
//! fails for whoever has been replaced. Then each is put, if absent, under the name where readers find it, and removed from `tmp`. A crash
//! between the two is completed by the next `open`, out of `tmp`; what was never committed is removed there. So a reader who lists never
//! sees what is not committed, whoever wrote it and whenever, and no visible object is ever changed or removed.
//!
//! Objects are not copied inside the store: Azure may take its time for that, and its answer does not say so.

mod chain;
mod staged;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use tidemark_engine::{
    Error, LogId, Result,
    log::Store,
    world::World,
    write::{Appetite, Standing, Unit, WriteStrategy},
};
use tokio::task::spawn_blocking;

use self::{chain::Chain, staged::Staged};
use super::{
    UNIT_BYTES, UNIT_ROWS, draft::Draft, layout::Layout, names, not_open, sealed::Workshop, stands_elsewhere,
    write,
};
use crate::{
    config::Writing,
    files::DestinationConfig,
    object_stores::{Environment, StoreUrl},
};

/// Where everything of Tidemark's own is below the root.
const OURS: &str = ".tidemark";

/// Writes objects into a folder of a cloud's storage, every change a row.
#[derive(Debug)]
pub(super) struct CloudDestination {
    config: DestinationConfig,
    writing: Writing,
    layout: Layout,
    store: Store,
    /// Tried out before anything is put into the root.
    probed: Store,
    /// Where its own objects are, below the root.
    folder: String,
    /// Taken for the length of an `apply`: after an error only `open` gives it back.
    chain: Option<Chain>,
}

impl CloudDestination {
    /// The destination that `config` describes, at `url`. Touches nothing.
    pub(super) fn new(
        config: &DestinationConfig,
        url: &StoreUrl,
        layout: Layout,
        writing: Writing,
        environment: &Environment,
    ) -> Result<Self> {
        let store = Store::new(url.connect(environment)?, url.to_string());
        let probed = hidden(url, environment)?;
        Self::in_store(store, probed, config, layout, writing)
    }

    /// The same in `store`; `probed` is the part of it that no reader looks into.
    fn in_store(
        store: Store,
        probed: Store,
        config: &DestinationConfig,
        layout: Layout,
        writing: Writing,
    ) -> Result<Self> {
        let folder = format!("{OURS}/{}", names::encode(&writing.destination)?);
        Ok(Self { config: config.clone(), writing, layout, store, probed, folder, chain: None })
    }
}

/// Whether objects can be kept at `url`. Leaves nothing behind.
pub(super) async fn check(url: &StoreUrl, environment: &Environment) -> Result<()> {
    hidden(url, environment)?.probe(&World::real()).await
}

/// The store where readers do not look.
fn hidden(url: &StoreUrl, environment: &Environment) -> Result<Store> {
    let url = url.join(OURS);
    Ok(Store::new(url.connect(environment)?, url.to_string()))
}

#[async_trait]
impl WriteStrategy for CloudDestination {
    fn appetite(&self) -> Appetite {
        Appetite { rows: UNIT_ROWS, bytes: UNIT_BYTES, linger: self.config.linger.0 }
    }

    async fn open(&mut self, _log: &LogId) -> Result<Option<Standing>> {
        self.chain = None;
        let mut chain = Chain::open(&self.store, &self.folder).await?;
        if chain.newest().is_none() {
            // A store that overwrites what it is told not to would let two processes commit.
            self.probed.probe(&World::real()).await?;
        }
        chain.take_over().await?;
        staged::complete(&self.store, &self.folder, &chain).await?;
        let standing = chain.standing().cloned();
        self.chain = Some(chain);
        Ok(standing)
    }

    async fn apply(&mut self, unit: &mut Unit) -> Result<()> {
        let mut chain = self.chain.take().ok_or_else(not_open)?;
        if chain.standing().is_some_and(|standing| standing.position != unit.begin().position) {
            return Err(stands_elsewhere(&self.writing.destination));
        }
        let entry = chain.newest().map_or((0, 0), |entry| (entry.epoch, entry.number + 1));
        let layout = self.layout.clone();
        let mut draft = Draft::new(Workshop::Nameless, layout, &self.config, &self.writing, entry, unit);
        let mut staged = Staged::new(&self.store, &self.folder);
        let mut next = unit.next().await?;
        while let Some(delivery) = next {
            // The next changes are read while these are written.
            let written = spawn_blocking(move || {
                let mut draft = write(draft, &delivery)?;
                let done = draft.take_done();
                Ok::<_, Error>((draft, done))
            });
            let (written, following) = tokio::join!(written, unit.next());
            let done;
            ((draft, done), next) = (written??, following?);
            staged.put(done).await?;
        }
        staged.put(spawn_blocking(move || draft.finish()).await??).await?;
        chain.commit(unit.end().clone(), staged.files()).await?;
        staged.reveal().await?;
        self.chain = Some(chain);
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        self.chain = None;
        Ok(())
    }
}
