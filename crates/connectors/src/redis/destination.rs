//! Redis as a destination.

use std::path::Path;

use tidemark_engine::{
    Result,
    log::Ledger,
    write::{WriteMode, WriteStrategy},
};

use super::{
    DestinationConfig,
    mirror::{self, Mirror},
    streams,
};
use crate::config::{Findings, Writing};

/// Redis as a destination: with `write: append` changes become entries of streams, with `write: mirror` records stand under keys.
pub struct Destination;

impl Destination {
    /// Everything that would keep it from being written to, and what should be known of the server. Writes nothing.
    pub async fn check(config: &DestinationConfig, folder: &Path, writing: &Writing) -> Findings {
        match writing.mode {
            WriteMode::Mirror => mirror::check(config, folder, writing).await,
            _ => streams::check(config, folder).await.err().into_iter().collect::<Vec<_>>().into(),
        }
    }

    /// What writes to it; connects to nothing yet. A mirror keeps its position in Redis, and `ledger` is that of streams.
    pub(crate) fn strategy(
        config: &DestinationConfig,
        folder: &Path,
        writing: Writing,
        ledger: Ledger,
    ) -> Result<Box<dyn WriteStrategy>> {
        match writing.mode {
            WriteMode::Mirror => Ok(Box::new(Mirror::new(config, folder, writing, ledger.world().clone())?)),
            _ => Ok(Box::new(streams::strategy(config, folder, ledger)?)),
        }
    }
}
