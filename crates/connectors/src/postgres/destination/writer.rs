//! A session that writes rows, with the statements and work tables it has made.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use futures::SinkExt;
use tidemark_engine::{Error, Result as EngineResult};
use tokio_postgres::{Client, SimpleQueryMessage, Statement, types::ToSql};

use super::{
    failure::Result,
    planned::{Planned, in_order},
    scratch::Scratch,
};
use crate::postgres::{
    connection::{Server, Session},
    identifier::TableId,
};

/// What every session of ours waits for at most: for somebody else's lock, and within a transaction for us. A process that
/// froze in the middle of one must not hold its locks for ever. As long as it works it may take its time, though, whatever the
/// role's own settings say (`transaction_timeout` came with version 17); and each statement must see what was committed before.
const SETTINGS: &str = "SET lock_timeout = '30s'; SET idle_in_transaction_session_timeout = '5min';
    SET statement_timeout = 0; SET default_transaction_isolation = 'read committed';
    SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout'";

/// Prepared statements that a session keeps. Each costs the server some memory.
const STATEMENTS: usize = 200;

/// A session that writes rows.
pub(super) struct Writer {
    session: Session,
    statements: HashMap<String, Statement>,
    /// The temporary tables made for each table.
    pub(super) scratch: HashMap<TableId, Scratch>,
    /// How many names for temporary tables have been given.
    numbers: usize,
    /// Whether to find the change that a batch fails over: the unit has failed before.
    pub(super) suspects: bool,
    /// Whether what is written are dead letters, which their tables never had.
    pub(super) retries: bool,
}

impl Writer {
    /// Connects for `purpose`.
    pub(super) async fn connect(server: &Server, purpose: &str) -> EngineResult<Self> {
        let session = server.connect(purpose).await?;
        let writer = Self {
            session,
            statements: HashMap::new(),
            scratch: HashMap::new(),
            numbers: 0,
            suspects: false,
            retries: false,
        };
        writer.run(SETTINGS).await.map_err(|failure| failure.explain("cannot set up a session"))?;
        Ok(writer)
    }

    pub(super) fn client(&self) -> &Client {
        &self.session
    }

    /// Runs statements that have no parameters.
    pub(super) async fn run(&self, sql: &str) -> Result<()> {
        Ok(self.session.batch_execute(sql).await?)
    }

    /// Runs statements that have no parameters and tells how many rows each touched. They are planned anew each time: a plan
    /// that was made when a table was small must not outlive that.
    pub(super) async fn counts(&self, sql: &str) -> Result<Vec<u64>> {
        let messages = self.session.simple_query(sql).await?;
        let counts = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::CommandComplete(rows) => Some(*rows),
            _ => None,
        });
        Ok(counts.collect())
    }

    /// Runs a statement that is kept prepared, and tells how many rows it touched.
    pub(super) async fn execute(&mut self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<u64> {
        let statement = self.prepared(sql).await?;
        Ok(self.session.execute(&statement, parameters).await?)
    }

    /// Runs a statement that is kept prepared, and others that have no parameters `before` and `after` it (or none), all in one trip to
    /// the server. Tells how many rows it touched. Where one fails inside a transaction, those after it do nothing.
    pub(super) async fn execute_between(
        &mut self,
        (before, after): (&str, &str),
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<u64> {
        let statement = self.prepared(sql).await?;
        let session = &self.session;
        let plain = async |sql: &str| if sql.is_empty() { Ok(()) } else { session.batch_execute(sql).await };
        let (before, touched, after) = tokio::join!(
            biased;
            plain(before),
            session.execute(&statement, parameters),
            plain(after)
        );
        before?;
        let touched = touched?;
        after?;
        Ok(touched)
    }

    /// Runs statements that are kept prepared, one right behind the other, and tells how many rows each touched. Of several
    /// failures the first is told: inside a transaction it made the others.
    pub(super) async fn execute_all(&mut self, planned: &[Planned]) -> Result<Vec<u64>> {
        let mut calls = Vec::with_capacity(planned.len());
        for statement in planned {
            calls.push((self.prepared(&statement.sql).await?, statement.parameters()));
        }
        let session = &self.session;
        let calls = calls.iter().map(|(statement, parameters)| session.execute(statement, parameters));
        Ok(in_order(calls).await.into_iter().collect::<Result<_, _>>()?)
    }

    /// Runs a query that is kept prepared, and tells the number in its first row.
    pub(super) async fn first(
        &mut self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<i64>> {
        let statement = self.prepared(sql).await?;
        Ok(self.session.query_opt(&statement, parameters).await?.map(|row| row.get(0)))
    }

    /// Runs a query that is kept prepared, and tells the texts in its first row.
    pub(super) async fn texts(
        &mut self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Vec<String>>> {
        let statement = self.prepared(sql).await?;
        let row = self.session.query_opt(&statement, parameters).await?;
        Ok(row.map(|row| (0..row.len()).map(|column| row.get(column)).collect()))
    }

    /// Begins a `COPY ... FROM STDIN`.
    pub(super) async fn copy_in(&mut self, sql: &str) -> Result<CopyIn> {
        let statement = self.prepared(sql).await?;
        Ok(CopyIn(Box::pin(self.session.copy_in(&statement).await?)))
    }

    /// The names of the types that the database has.
    pub(super) async fn types(&self) -> Result<HashSet<String>> {
        let sql = "SELECT format_type(oid, NULL) FROM pg_type WHERE typisdefined AND typtype <> 'c' AND typtype <> 'p'";
        Ok(self.session.query(sql, &[]).await?.iter().map(|row| row.get(0)).collect())
    }

    /// Forgets prepared statements: the tables that they are about have changed.
    pub(super) fn forget_statements(&mut self) {
        self.statements.clear();
    }

    /// A number that no temporary table of this session has.
    pub(super) fn next_number(&mut self) -> usize {
        self.numbers += 1;
        self.numbers
    }

    /// The temporary tables for `table`, which [`Scratch::make`] has made.
    pub(super) fn scratch_of(&mut self, table: &TableId) -> Result<&mut Scratch> {
        let missing = || Error::internal(format!("table `{table}` has no work tables yet"));
        Ok(self.scratch.get_mut(table).ok_or_else(missing)?)
    }

    async fn prepared(&mut self, sql: &str) -> Result<Statement> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.session.prepare(sql).await?;
        if self.statements.len() >= STATEMENTS {
            self.statements.clear();
        }
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

/// A COPY under way. Dropping it before [`CopyIn::finish`] fails the COPY.
pub(super) struct CopyIn(std::pin::Pin<Box<tokio_postgres::CopyInSink<Bytes>>>);

impl CopyIn {
    /// Sends some of the rows; waits while the server takes what came before.
    pub(super) async fn send(&mut self, rows: Bytes) -> Result<()> {
        Ok(self.0.send(rows).await?)
    }

    /// Ends it and tells how many rows the server took.
    pub(super) async fn finish(mut self) -> Result<u64> {
        Ok(self.0.as_mut().finish().await?)
    }
}
