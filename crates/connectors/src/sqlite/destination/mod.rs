//! Changes into an SQLite database, each unit in one transaction with the position.

mod adopt;
mod append;
mod bind;
mod check;
mod declared;
mod departed;
mod exchange;
mod history;
mod incoming;
mod keyless;
mod ledger;
mod mirror;
mod parking;
mod place;
mod rebuild;
mod session;
mod shape;
mod table;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use tidemark_engine::{
    Error, ErrorKind, LogId, Result,
    write::{Standing, Takeover, Unit, WriteStrategy},
};
use tokio::task::spawn_blocking;

pub(super) use self::adopt::read_as;
use self::session::{Session, Span};
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
    /// The epoch that was ours when we last knew.
    epoch: Option<i64>,
}

impl Destination {
    /// The destination that `config` describes, where a relative path begins at `base`. Touches nothing.
    pub fn new(config: &DestinationConfig, base: &Path, writing: Writing) -> Self {
        Self { file: config.file(base), writing, session: None, epoch: None }
    }

    /// Everything that would keep [`WriteStrategy::open`] from succeeding. Changes nothing, makes no file.
    pub async fn check(config: &DestinationConfig, base: &Path, writing: &Writing) -> Vec<Error> {
        let (file, writing) = (config.file(base), writing.clone());
        match spawn_blocking(move || check::check(&file, &writing)).await {
            Ok(errors) => errors,
            Err(error) => vec![error.into()],
        }
    }

    fn session(&mut self) -> Result<Session> {
        self.session.take().ok_or_else(|| Error::internal("a destination was used before it was opened"))
    }

    async fn apply_unit(&mut self, unit: &mut Unit) -> Result<()> {
        let mut session = self.session()?;
        let (begin, end) = (unit.begin().clone(), unit.end().clone());
        let span = Span { begin, end, into_shadows: unit.is_into_shadows(), retries: unit.is_retry() };
        session = run(session, move |session| session.begin(span)).await?;
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

    /// Does what only a destination that is filled out of sight can do.
    async fn out_of_sight(
        &mut self,
        work: impl FnOnce(&mut Session) -> failure::Result<()> + Send + 'static,
    ) -> Result<Session> {
        if !self.writing.shadow {
            return Err(Error::internal("a destination in sight cannot take another's place"));
        }
        run(self.session()?, work).await
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
        let mut epoch = self.epoch;
        let open = move || {
            let opened = Session::open(&file, writing, log, &mut epoch);
            (opened.map_err(|failure| failure.explain(&file)), epoch)
        };
        let (opened, epoch) = spawn_blocking(open).await?;
        self.epoch = epoch;
        let (session, standing) = opened?;
        self.session = Some(session);
        Ok(standing)
    }

    async fn apply(&mut self, unit: &mut Unit) -> Result<()> {
        let applied = self.apply_unit(unit).await;
        // Whoever was told so may well take it back. Of a stream alone it says nothing about the destination, which is still ours.
        if applied.as_ref().is_err_and(|it| it.kind() == ErrorKind::Conflict && it.stream().is_none()) {
            self.epoch = None;
        }
        applied
    }

    async fn take_place(&mut self, takeover: &Takeover) -> Result<()> {
        let takeover = takeover.clone();
        self.out_of_sight(move |session| session.take_over(&takeover)).await?;
        self.epoch = None;
        Ok(())
    }

    async fn abandon(&mut self) -> Result<()> {
        let session = self.out_of_sight(Session::abandon).await?;
        self.session = Some(session);
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        let Some(session) = self.session.take() else { return Ok(()) };
        let file = self.file.clone();
        spawn_blocking(move || session.close().map_err(|failure| failure.explain(&file))).await?
    }
}
