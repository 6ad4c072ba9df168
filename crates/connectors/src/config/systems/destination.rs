//! What the program asks of a destination, before and beside writing to it.

use std::path::Path;

use async_trait::async_trait;
use tidemark_engine::{Result, log::Ledger, schema::StreamName, write::WriteStrategy};

use crate::{
    comparing::Replica,
    config::{Findings, Home, Place, Problem, Tables, Writing},
};

/// A destination as its part of the pipeline file describes it. What only some systems have is absent unless they say otherwise.
#[async_trait]
pub trait DestinationSystem: Send + Sync {
    /// The word after `type:`.
    fn system(&self) -> &'static str;

    /// Where it writes to, where relative paths begin at `folder`.
    fn place(&self, folder: &Path) -> Place;

    /// Everything that is wrong with it, and with how it is to be written, as far as can be told without touching the destination.
    fn validate(&self, writing: &Writing) -> Vec<Problem>;

    /// Everything that would keep it from being written to, as far as connecting tells. Changes nothing.
    async fn check(&self, home: &Home, writing: &Writing) -> Findings;

    /// What writes to it. Where it cannot keep its position itself, that stands in `ledger`.
    fn strategy(&self, home: &Home, writing: &Writing, ledger: Ledger) -> Result<Box<dyn WriteStrategy>>;

    /// Whether what it holds can be exchanged in one step for what was filled out of sight.
    fn exchanges(&self) -> bool {
        false
    }

    /// The tables that `streams` go to; `None` where that cannot be what a source reads.
    async fn tables(&self, _writing: &Writing, _streams: &[StreamName]) -> Result<Option<Tables>> {
        Ok(None)
    }

    /// What Tidemark keeps there beside the data, for people to read. What it keeps in files of its own goes with them.
    async fn made(&self, _writing: &Writing) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// Removes it. The data stays.
    async fn tear_down(&self, _writing: &Writing) -> Result<()> {
        Ok(())
    }

    /// The destination as it is compared with its source; `None` where its records cannot be asked for.
    fn compared(&self, _home: &Home, _writing: &Writing) -> Result<Option<Box<dyn Replica>>> {
        Ok(None)
    }
}
