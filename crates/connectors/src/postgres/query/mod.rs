//! Reading a PostgreSQL database by queries, again and again: without a replication slot, views and functions included.
//!
//! | Question | Module |
//! |---|---|
//! | What does the pipeline file say? | `config` |
//! | What does a stream ask for, and what is that like? | `statement` |
//! | How do records come out of it? | `sweep`; as pages: `pages` |
//! | What does it offer? | `discover` |
//!
//! Values are what they are when the log of changes is read: see [`types`](super::types).

mod config;
mod discover;
mod pages;
mod statement;
mod sweep;

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use tidemark_engine::{
    Cursor, Error, Result,
    read::{Outlet, ReadContext, ReadStrategy},
};
use tokio::sync::Semaphore;

pub use self::config::QueryConfig;
use self::{pages::QueryPages, statement::Query};
use super::connection::{Server, Session, failure};
use crate::{
    config::{Findings, Tables},
    polling::{Plan, Polled, PolledStream, PollingStrategy},
    queries::{QueryStream, plan},
};

/// What every sweep and every look begins with: one state of the database, which nobody changes.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// A PostgreSQL database that is asked, as the source of a pipeline.
#[derive(Debug, Clone)]
pub struct QuerySource {
    server: Server,
    config: QueryConfig,
}

impl QuerySource {
    /// The source that `config` describes. Connects to nothing.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Config`] when the URL cannot be read.
    pub fn new(config: QueryConfig) -> Result<Self> {
        Ok(Self { server: Server::parse(config.url.expose())?, config })
    }

    /// What keeps it from being read. Changes nothing.
    pub async fn check(&self) -> Findings {
        let session = match self.server.connect("check").await {
            Ok(session) => session,
            Err(error) => return error.into(),
        };
        let mut problems = Vec::new();
        for (name, stream) in &self.config.streams {
            problems.extend(self.look(&session, name, stream).await.err());
        }
        problems.into()
    }

    /// What reads it.
    pub fn strategy(&self) -> impl ReadStrategy + use<> {
        PollingStrategy(self.clone())
    }

    /// The tables that it reads by their names. What queries read is not looked into.
    pub async fn read_tables(&self) -> Result<Tables> {
        let session = self.server.connect("check").await?;
        let sql = "SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c
                   JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = pg_catalog.to_regclass($1)";
        let mut tables = BTreeSet::new();
        for (name, stream) in &self.config.streams {
            let Some(id) = statement::table(name, stream) else { continue };
            let row = session.query_opt(sql, &[&id]).await;
            let row =
                row.map_err(|error| failure(format!("cannot look for the table of `{name}`"), error))?;
            tables.extend(row.map(|row| row.get::<_, String>(0)));
        }
        Ok(Tables { database: session.database().await?, tables })
    }

    /// What the stream `name` asks for, and how it is read.
    async fn look(&self, session: &Session, name: &str, stream: &QueryStream) -> Result<(Query, Arc<Plan>)> {
        let doing = || format!("cannot look at stream `{name}`");
        session.batch_execute(BEGIN).await.map_err(|error| failure(doing(), error))?;
        let looked = async {
            let query = Query::describe(session, name, stream).await?;
            let plan = plan(name, stream, &query.terms, self.config.poll.0)?;
            query.require_mark(&plan)?;
            Ok::<_, Error>((query, plan))
        };
        let looked = looked.await;
        // After an error too: what comes next begins anew.
        session.batch_execute("ROLLBACK").await.map_err(|error| failure(doing(), error))?;
        looked
    }
}

#[async_trait]
impl Polled for QuerySource {
    async fn open(&mut self, _: &Cursor, _: &Outlet, _: &ReadContext) -> Result<Vec<PolledStream>> {
        let session = self.server.connect("catalog").await?;
        let readers = Arc::new(Semaphore::new(usize::from(self.config.readers)));
        let mut streams = Vec::new();
        for (name, stream) in &self.config.streams {
            let (_, plan) = self.look(&session, name, stream).await?;
            let pages = QueryPages::new(self, stream, plan.clone(), readers.clone());
            streams.push(PolledStream { plan, pages: Box::new(pages) });
        }
        Ok(streams)
    }
}
