//! Changes into a MariaDB database, each unit in one InnoDB transaction with the position.
//!
//! | Question | Module |
//! |---|---|
//! | Where does the destination stand, and whose tables are these? | `ledger` |
//! | What happens to a unit? | `session`, `stream` |
//! | What is a stream's table like, and how does it follow the schema? | `table`, `shape`, `declared`, `adopt` |
//! | How do rows get there? | `writer`, `lines`, `scratch`, `append` |
//! | How are changes mirrored, how do they become versions? | `mirror`, `history`; `keys` and `image` for both |
//! | How is a table filled anew out of sight, and how does that take its place? | `place`, `exchange` |
//! | May it be written to? | `check` |

mod adopt;
mod append;
mod check;
mod declared;
mod exchange;
mod history;
mod image;
mod keys;
mod ledger;
mod lines;
mod mirror;
mod place;
mod scratch;
mod session;
mod shape;
mod stream;
mod table;
#[cfg(test)]
mod tests;
mod writer;

use std::path::Path;

use async_trait::async_trait;
use tidemark_engine::{
    Error, ErrorKind, LogId, Result,
    write::{Standing, Takeover, Unit, WriteStrategy},
};

use self::session::{Session, Span};
use super::{DestinationConfig, failure, server::Server};
use crate::config::Writing;

/// How a table whose content cannot go on is filled from the beginning.
const START_ANEW: &str =
    "give the destination a new name and `table`: it is filled anew from the staging log";

/// Writes to a MariaDB database. It needs nothing but the database: its position is a row of `_tidemark_positions`, and
/// `_tidemark_tables` says which tables are its own.
pub struct Destination {
    server: Server,
    writing: Writing,
    /// The sessions. Taken for the length of an `apply`, so that dropping that future rolls back.
    session: Option<Session>,
    /// The epoch that was ours when we last knew.
    epoch: Option<i64>,
}

impl Destination {
    /// The destination that `config` describes, where a relative path begins at `folder`. Touches nothing.
    ///
    /// Fails with [`ErrorKind::Config`] when the URL cannot be understood.
    pub fn new(config: &DestinationConfig, folder: &Path, writing: Writing) -> Result<Self> {
        Ok(Self { server: server(config, folder)?, writing, session: None, epoch: None })
    }

    /// Everything that would keep [`WriteStrategy::open`] and `apply` from succeeding, as far as can be told before the streams are
    /// known. Changes nothing.
    pub async fn check(config: &DestinationConfig, folder: &Path, writing: &Writing) -> Vec<Error> {
        match server(config, folder) {
            Ok(server) => check::check(&server, writing).await,
            Err(error) => vec![error],
        }
    }

    fn session(&mut self) -> Result<Session> {
        self.session.take().ok_or_else(|| Error::internal("a destination was used before it was opened"))
    }

    fn explain(&self, failure: failure::Failure) -> Error {
        failure.explain(format_args!("cannot write to `{}`", self.server.place()))
    }
}

fn server(config: &DestinationConfig, folder: &Path) -> Result<Server> {
    let ca = config.ca.as_ref().map(|path| folder.join(path));
    Ok(Server::parse(config.url.expose())?.trusting(ca.as_deref()))
}

async fn apply(session: &mut Session, unit: &mut Unit) -> failure::Result<()> {
    let (begin, end) = (unit.begin().clone(), unit.end().clone());
    let into_shadows = unit.is_into_shadows();
    let span = Span { begin, end, into_shadows, retries: unit.is_retry(), suspects: unit.is_suspect() };
    session.begin(span).await?;
    while let Some(delivery) = unit.next().await? {
        session.apply(delivery).await?;
    }
    session.commit().await
}

#[async_trait]
impl WriteStrategy for Destination {
    async fn open(&mut self, log: &LogId) -> Result<Option<Standing>> {
        // A transaction left open by a failed `apply` must end before the next can begin.
        self.session = None;
        let opened = Session::open(&self.server, self.writing.clone(), log.clone(), &mut self.epoch).await;
        let (session, standing) = opened
            .map_err(|failure| failure.explain(format_args!("cannot open `{}`", self.server.place())))?;
        self.session = Some(session);
        Ok(standing)
    }

    async fn apply(&mut self, unit: &mut Unit) -> Result<()> {
        let mut session = self.session()?;
        match apply(&mut session, unit).await {
            Ok(()) => {
                self.session = Some(session);
                Ok(())
            }
            Err(failure) => {
                let error = self.explain(failure);
                // Whoever was told so may well take it back. Of a stream alone it says nothing about the destination, which is still
                // ours.
                if error.kind() == ErrorKind::Conflict && error.stream().is_none() {
                    self.epoch = None;
                }
                Err(error)
            }
        }
    }

    async fn take_place(&mut self, takeover: &Takeover) -> Result<()> {
        let mut session = self.session()?;
        session.take_over(takeover).await.map_err(|failure| self.explain(failure))?;
        self.epoch = None;
        Ok(())
    }

    async fn abandon(&mut self) -> Result<()> {
        let mut session = self.session()?;
        session.abandon().await.map_err(|failure| self.explain(failure))?;
        self.session = Some(session);
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        self.session = None;
        Ok(())
    }
}
