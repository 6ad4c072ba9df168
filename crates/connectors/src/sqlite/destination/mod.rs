//! Changes into an SQLite database, each unit in one transaction with the position.

mod adopt;
mod append;
mod bind;
mod check;
mod ledger;
mod mirror;
mod parking;
mod rebuild;
mod session;
mod table;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use tidemark_engine::{
    Error, LogId, Result,
    write::{Standing, Unit, WriteStrategy},
};
use tokio::task::spawn_blocking;

use self::session::Session;
use super::{DestinationConfig, failure};
use crate::config::Writing;

/// How a table whose content cannot go on is filled from the beginning.
const START_ANEW: &str = "give the destination a new name and `table`; if only Tidemark writes to the database, you may \
     remove its file instead and run again: it is filled anew from the staging log";

/// Writes to an SQLite database. It needs nothing but the file: its position is a row of `_tidemark_positions`, and
/// `_tidemark_tables` says which tables are its own.
#[derive(Debug)]
pub struct Destination {
    file: PathBuf,
    writing: Writing,
    /// The open database. Taken for the length of an `apply`, so that dropping that future rolls back.
    session: Option<Session>,
}

impl Destination {
    /// The destination that `config` describes, where a relative path begins at `base`. Touches nothing.
    pub fn new(config: &DestinationConfig, base: &Path, writing: Writing) -> Self {
        Self { file: config.file(base), writing, session: None }
    }

    /// Everything that would keep [`WriteStrategy::open`] from succeeding. Changes nothing, makes no file.
    pub async fn check(config: &DestinationConfig, base: &Path, writing: &Writing) -> Vec<Error> {
        let (file, writing) = (config.file(base), writing.clone());
        match spawn_blocking(move || check::check(&file, &writing)).await {
            Ok(errors) => errors,
            Err(error) => vec![error.into()],
        }
    }
}

/// Runs `work` on a thread of its own. The session comes back only when it succeeds: after an error its transaction is
/// rolled back and it is closed.
async fn run(
    mut session: Session,
    work: impl FnOnce(&mut Session) -> failure::Result<()> + Send + 'static,
) -> Result<Session> {
    let work = move || match work(&mut session) {
        Ok(()) => Ok(session),
        Err(failure) => Err(failure.explain(session.file())),
    };
    spawn_blocking(work).await?
}

#[async_trait]
impl WriteStrategy for Destination {
    async fn open(&mut self, log: &LogId) -> Result<Option<Standing>> {
        // A transaction left open by a failed `apply` must end before the next can begin.
        self.session = None;
        let (file, writing, log) = (self.file.clone(), self.writing.clone(), log.clone());
        let open = move || Session::open(&file, writing, log).map_err(|failure| failure.explain(&file));
        let (session, standing) = spawn_blocking(open).await??;
        self.session = Some(session);
        Ok(standing)
    }

    async fn apply(&mut self, unit: &mut Unit) -> Result<()> {
        let session =
            self.session.take().ok_or_else(|| Error::internal("`apply` was called before `open`"))?;
        let (begin, end) = (unit.begin().position.clone(), unit.end().clone());
        let retries = unit.is_retry();
        let mut session = run(session, move |session| session.begin(&begin, &end, retries)).await?;
        let mut next = unit.next().await?;
        while let Some(delivery) = next {
            // The next changes are read while these are written.
            let written = run(session, move |session| Ok(session.apply(&delivery)?));
            let (written, following) = tokio::join!(written, unit.next());
            (session, next) = (written?, following?);
        }
        let session = run(session, |session| session.commit()).await?;
        self.session = Some(session);
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        let Some(session) = self.session.take() else { return Ok(()) };
        let file = self.file.clone();
        spawn_blocking(move || session.close().map_err(|failure| failure.explain(&file))).await?
    }
}
