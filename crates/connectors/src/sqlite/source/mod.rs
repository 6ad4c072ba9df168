//! Reading an SQLite database by queries, again and again.
//!
//! | Question | Module |
//! |---|---|
//! | How is it opened, and what do its errors mean? | `database` |
//! | What does a stream ask for, and what is that like? | `query` |
//! | What is asked of what a watermark has reached? | `since` |
//! | How do records come out of it? | `sweep`, `rows`; as pages: `pages` |
//! | What does it offer? | `discover` |
//!
//! Every value is what it is in SQLite, whatever its column was declared as: a whole number (int64), a number (float64), text, or bytes.
//! In a column that holds several of these the kind widens: whole numbers and others to float64, or to number beyond 2^53; whatever else
//! meets, to text, in which bytes are `\x` and hexadecimal digits. A number that is infinite is the text `Infinity`. Text is never taken for a
//! date or anything else, unless `types` says so.

mod database;
mod discover;
mod pages;
mod query;
mod rows;
mod since;
mod sweep;

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use tidemark_engine::{
    Cursor, Error, Result,
    read::{Outlet, ReadContext, ReadStrategy},
};
use tokio::sync::Semaphore;

use self::{database::Database, pages::SqlitePages, query::Query};
use super::SourceConfig;
use crate::{
    config::Findings,
    polling::{Polled, PolledStream, PollingStrategy},
    queries::{QueryStream, plan},
};

/// How many streams are read at once, each on a thread and a connection of its own.
const READERS: usize = 4;

/// An SQLite database as the source of a pipeline.
#[derive(Debug, Clone)]
pub struct Source {
    database: Database,
    config: SourceConfig,
}

impl Source {
    /// The source that `config` describes, where relative paths begin at `base`. Opens nothing.
    pub fn new(config: SourceConfig, base: &Path) -> Self {
        Self { database: Database { file: base.join(&config.path) }, config }
    }

    /// What keeps it from being read. Changes nothing.
    pub async fn check(&self) -> Findings {
        match self.streams().await {
            Ok(streams) => {
                let problems = streams.into_iter().filter_map(Result::err);
                problems.collect::<Vec<_>>().into()
            }
            Err(error) => error.into(),
        }
    }

    /// What reads it.
    pub fn strategy(&self) -> impl ReadStrategy + use<> {
        PollingStrategy(self.clone())
    }

    /// Each stream, ready to be read, or what is wrong with it.
    async fn streams(&self) -> Result<Vec<Result<PolledStream>>> {
        let (config, readers) = (self.config.clone(), Arc::new(Semaphore::new(READERS)));
        let database = self.database.clone();
        self.database
            .run(move |connection| {
                let open = |(name, stream): (&String, &QueryStream)| {
                    let query = Query::describe(connection, &database, name, stream)?;
                    let plan = plan(name, stream, &query.terms, config.poll.0)?;
                    let pages =
                        SqlitePages::new(database.clone(), stream.clone(), plan.clone(), readers.clone());
                    Ok::<_, Error>(PolledStream { plan, pages: Box::new(pages) })
                };
                Ok(config.streams.iter().map(open).collect())
            })
            .await
    }
}

#[async_trait]
impl Polled for Source {
    async fn open(&mut self, _: &Cursor, _: &Outlet, _: &ReadContext) -> Result<Vec<PolledStream>> {
        self.streams().await?.into_iter().collect()
    }
}
