//! The server looks like the source: every record stands under a key. Each unit is one transaction, with the position.
//!
//! | Question | Module |
//! |---|---|
//! | Which key is a record's? | `template`, `incoming` |
//! | What does a record look like there? | `form`, `record` |
//! | What do the changes of a unit come to? | `fold` |
//! | How does that get there? | `holding`, `settle`, `link` |
//! | What if it concerns every record of a stream? | `pieces` |
//! | Where does the destination stand, and whose keys are these? | `ledger`, `streams`, `names` |
//! | May it be written to? | `check` |

mod check;
mod fold;
mod form;
mod holding;
mod incoming;
mod ledger;
mod link;
mod names;
mod pieces;
mod record;
mod settle;
mod streams;
mod template;
#[cfg(test)]
mod tests;

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use tidemark_engine::{
    Error, ErrorKind, LogId, Result,
    world::World,
    write::{Appetite, Standing, Unit, WriteStrategy},
};

pub(super) use self::check::check;
pub(super) use self::template::KeyTemplate;
use self::{
    holding::{Holding, Span},
    link::Link,
    pieces::FEW,
};
use super::{DestinationConfig, RecordForm, session::Server};
use crate::config::Writing;

/// Changes in a transaction, which the server runs while everybody else waits: some hundredths of a second.
const ROWS: u64 = 10_000;
const BYTES: u64 = 8 << 20;
/// Digits of the name that a process gives itself.
const OWNER: usize = 16;

/// Writes records to Redis, which keeps the position as well.
pub(super) struct Mirror {
    server: Server,
    terms: Arc<Terms>,
    /// The open destination. Taken for the length of an `apply`, so that dropping that future gives up its transaction.
    holding: Option<Holding>,
    /// The epoch that was ours when we last knew.
    epoch: Option<u64>,
}

/// How it is written.
#[derive(Debug)]
struct Terms {
    /// The destination's name.
    destination: String,
    /// What this process calls itself.
    owner: String,
    template: KeyTemplate,
    form: RecordForm,
    /// As many records as change in one transaction when something happens to all of a stream.
    few: usize,
}

impl Mirror {
    /// The destination that `config` describes, where relative paths begin at `folder`. Touches nothing.
    pub(super) fn new(
        config: &DestinationConfig,
        folder: &Path,
        writing: Writing,
        world: World,
    ) -> Result<Self> {
        let owner = world.name(OWNER);
        let terms = Terms {
            destination: writing.destination,
            owner,
            template: config.key.clone(),
            form: config.form,
            few: FEW,
        };
        let server = Server::new(config, folder, world)?;
        Ok(Self { server, terms: Arc::new(terms), holding: None, epoch: None })
    }

    /// That `error` was met. Whoever was told that the destination is another's may well take it back.
    fn met(&mut self, error: &Error) {
        if error.kind() == ErrorKind::Conflict && error.stream().is_none() {
            self.epoch = None;
        }
    }
}

async fn apply(holding: &mut Holding, unit: &mut Unit) -> Result<()> {
    let mut span =
        Span::new(unit.begin().clone(), unit.end().clone(), unit.is_into_shadows(), unit.is_retry());
    holding.begin(&span).await?;
    while let Some(delivery) = unit.next().await? {
        holding.fold(&mut span, &delivery).await?;
    }
    holding.settle(span).await
}

#[async_trait]
impl WriteStrategy for Mirror {
    fn appetite(&self) -> Appetite {
        Appetite { rows: ROWS, bytes: BYTES, ..Appetite::default() }
    }

    async fn open(&mut self, log: &LogId) -> Result<Option<Standing>> {
        // A transaction that is under way ends with its connection, or fails over the epoch that is raised now.
        self.holding = None;
        let link = Link::connect(&self.server).await?;
        let opened = Holding::open(link, self.terms.clone(), log.clone(), self.epoch).await;
        let (holding, standing) = opened.inspect_err(|error| self.met(error))?;
        self.epoch = Some(holding.epoch());
        self.holding = Some(holding);
        Ok(standing)
    }

    async fn apply(&mut self, unit: &mut Unit) -> Result<()> {
        let mut holding = self
            .holding
            .take()
            .ok_or_else(|| Error::internal("a destination was used before it was opened"))?;
        apply(&mut holding, unit).await.inspect_err(|error| self.met(error))?;
        self.holding = Some(holding);
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        self.holding = None;
        Ok(())
    }
}
