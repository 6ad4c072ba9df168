//! Reading a PostgreSQL database: its tables as they are, then every change from its log.
//!
//! | Question | Module |
//! |---|---|
//! | Which tables are there, and what is known of them? | `catalog` |
//! | Which of them does the pipeline file ask for? | `selection` |
//! | What do we make at the server, and is it still as we left it? | `name`, `publication`, `slot`, `teardown` |
//! | What does it offer? | `discover` |
//! | What keeps them from being read? | `check` |
//! | How much of its log does the server keep for us? | `held` |
//! | How are tables read as they are? | `sync/` |
//! | How does the log reach us? | `replication/` |
//! | What do its messages become? | `changes/` |
//! | Where does it go on? | `resuming` |
//! | Which tables come and go meanwhile? | `watching` |
//! | What will happen to them when it is run? | `outlook` |
//! | How is it compared with what became of it? | `compared` |
//! | How does all of it run? | `strategy`; what it keeps: `cursor`; what of that still counts: `continuity` |

mod catalog;
mod changes;
mod check;
mod compared;
mod continuity;
mod cursor;
mod definitions;
mod discover;
mod held;
mod name;
mod outlook;
mod publication;
pub(in crate::postgres) mod replication;
mod resuming;
mod selection;
mod slot;
mod strategy;
pub(in crate::postgres) mod sync;
pub(in crate::postgres) mod table;
mod teardown;
#[cfg(test)]
mod tests;
mod watching;

use tidemark_engine::{Error, Result, read::ReadStrategy};

#[cfg(feature = "fuzzing")]
pub use changes::fuzzing::messages;
pub use held::HeldBack;
#[cfg(feature = "fuzzing")]
pub use sync::fuzzing::copy;
pub use teardown::Made;

use super::{SourceConfig, connection::Server};
use crate::config::Tables;
use name::made_name;
use selection::Selection;
use strategy::Strategy;

/// A PostgreSQL database as the source of one pipeline.
#[derive(Debug, Clone)]
pub struct Source {
    server: Server,
    config: SourceConfig,
    /// What we make at the server is called so.
    made: String,
}

impl Source {
    /// The source that `config` describes, of the pipeline called `pipeline`. Connects to nothing.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Config`] when [`SourceConfig::validate`] finds a problem.
    pub fn new(config: SourceConfig, pipeline: &str) -> Result<Self> {
        if let Some(problem) = config.validate().into_iter().next() {
            let error = Error::config(format!("{}: {}", problem.path.join("."), problem.message));
            return Err(match problem.hint {
                Some(hint) => error.hint(hint),
                None => error,
            });
        }
        let server = Server::parse(config.url.expose())?;
        Ok(Self { server, config, made: made_name(pipeline) })
    }

    /// The tables that it reads.
    pub async fn read_tables(&self) -> Result<Tables> {
        let session = self.server.connect("check").await?;
        let selection = Selection::of(self.config.streams.as_ref(), &catalog::tables(&session).await?);
        let tables = selection.tables.iter().map(|wanted| wanted.table.id.to_string());
        Ok(Tables { database: session.database().await?, tables: tables.collect() })
    }

    /// What reads it.
    pub fn strategy(&self) -> impl ReadStrategy + use<> {
        Strategy::new(self.clone())
    }

    /// The publication: the DBA's, else ours.
    pub(in crate::postgres) fn publication(&self) -> &str {
        self.config.publication.as_deref().unwrap_or(&self.made)
    }

    /// The replication slot: the DBA's, else ours.
    pub(in crate::postgres) fn slot(&self) -> &str {
        self.config.slot.as_deref().unwrap_or(&self.made)
    }
}
