//! Changes into a PostgreSQL database, each unit in one transaction with the position.
//!
//! | Question | Module |
//! |---|---|
//! | Where does the destination stand, and whose tables are these? | `ledger` |
//! | What happens to a unit? | `opened`, `tables`, `gathered` |
//! | What is a stream's table like, and how does it follow the schema? | `terms`, `claim`, `table`, `relation`, `widen`, `adopt` |
//! | How do rows of an initial sync get there? | `ahead`, `loaded`, `loaders`, `bulk`, `piece`, `copy` |
//! | How are changes mirrored? | `fold` and `merge`; `stepwise` and `parking` for few and for odd ones; `view`, `key` |
//! | How do they become versions? | `history` |
//! | How is a table filled anew out of sight, and how does that take its place? | `shadow`, `place`, `takeover` |
//! | Which of many changes is it that fails? | `suspect` |
//! | What does a session keep, and what goes to the server together? | `writer`, `scratch`, `planned` |
//! | May it be written to, and what is left to take away? | `check`, `teardown` |
//! | How is it compared with its source? | `compared` |

mod adopt;
mod ahead;
mod bulk;
mod check;
mod claim;
mod compared;
mod copy;
mod failure;
mod fold;
mod gathered;
mod history;
mod key;
mod ledger;
mod literal;
mod loaded;
mod loaders;
mod merge;
mod opened;
mod parking;
mod piece;
mod place;
mod planned;
mod relation;
mod scratch;
mod shadow;
mod stepwise;
mod suspect;
mod table;
mod tables;
mod takeover;
mod teardown;
mod terms;
mod widen;
mod writer;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use tidemark_engine::{
    Error, ErrorKind, LogId, Result,
    schema::StreamName,
    write::{Appetite, Standing, Takeover, Unit, WriteStrategy},
};

use self::{
    ledger::{Tenant, Tenure},
    opened::Opened,
    writer::Writer,
};
use super::{DestinationConfig, connection::Server};
use crate::config::{Tables, Writing};

/// Writes to a PostgreSQL database. It needs nothing but the database: what it keeps for itself is in the schema `_tidemark`.
pub struct Destination {
    server: Server,
    schema: Option<String>,
    loaders: usize,
    writing: Writing,
    /// The sessions. Taken for the length of an `apply`, so that dropping that future rolls back.
    opened: Option<Opened>,
    /// The epoch that was ours when we last knew.
    epoch: Option<i64>,
}

impl Destination {
    /// The destination that `config` describes. Touches nothing.
    ///
    /// Fails with [`ErrorKind::Config`] when the URL cannot be understood.
    pub fn new(config: &DestinationConfig, writing: Writing) -> Result<Self> {
        Ok(Self {
            server: Server::parse(config.url.expose())?,
            schema: config.schema.clone(),
            loaders: usize::from(config.loaders),
            writing,
            opened: None,
            epoch: None,
        })
    }

    /// Everything that would keep [`WriteStrategy::open`] and `apply` from succeeding, as far as can be told before the streams are
    /// known. Changes nothing.
    pub async fn check(config: &DestinationConfig, writing: &Writing) -> Vec<Error> {
        match Server::parse(config.url.expose()) {
            Ok(server) => check::check(&server, config.schema.as_deref(), writing).await,
            Err(error) => vec![error],
        }
    }

    /// Which database it is, whatever names it goes by; and the tables that `streams` go to.
    pub async fn written(
        config: &DestinationConfig,
        writing: &Writing,
        streams: &[StreamName],
    ) -> Result<Tables> {
        let session = Server::parse(config.url.expose())?.connect("check").await?;
        let tables = streams
            .iter()
            .map(|stream| terms::table_of(config.schema.as_deref(), writing, stream).to_string());
        Ok(Tables { database: session.database().await?, tables: tables.collect() })
    }

    /// What Tidemark has made for this destination, for people to read, without its tables of data, which stay.
    pub async fn leftovers(config: &DestinationConfig, writing: &Writing) -> Result<Vec<String>> {
        teardown::list(&Server::parse(config.url.expose())?, &shadow::destination(writing)).await
    }

    /// Removes that, and tells what it was. The destination must not be written to any more. Of one that is a shadow, only what was
    /// filled out of sight goes.
    pub async fn teardown(config: &DestinationConfig, writing: &Writing) -> Result<Vec<String>> {
        teardown::remove(&Server::parse(config.url.expose())?, &shadow::destination(writing)).await
    }

    /// Says that `error` came of being replaced, when it did: a successor ends our sessions, and to open again would end the
    /// successor's. A replay that has taken the destination's place leaves it to us.
    async fn explained(&mut self, error: Error, epoch: i64) -> Error {
        let is_conflict = error.kind() == ErrorKind::Conflict;
        // Of a stream alone it says nothing about the destination, which is still ours.
        let may_be_lost = error.kind().is_transient() || (is_conflict && error.stream().is_none());
        if !may_be_lost {
            return error;
        }
        let tenure = Tenure::new(shadow::destination(&self.writing), epoch);
        let tenant = match Writer::connect(&self.server, "check").await {
            Ok(writer) => ledger::tenant(writer.client(), &tenure.destination, epoch).await.ok(),
            Err(_) => None,
        };
        match tenant {
            Some(Tenant::WeAnew) => tenure.filled_anew().source(error),
            Some(Tenant::Another) if !is_conflict => {
                self.epoch = None;
                tenure.lost().source(error)
            }
            _ if is_conflict => {
                self.epoch = None;
                error
            }
            _ => error,
        }
    }
}

#[async_trait]
impl WriteStrategy for Destination {
    /// Large: a unit costs a round of bookkeeping, and rows of an initial sync are loaded side by side within one.
    fn appetite(&self) -> Appetite {
        Appetite { rows: 500_000, bytes: 64 << 20, ..Appetite::default() }
    }

    async fn open(&mut self, log: &LogId) -> Result<Option<Standing>> {
        // A transaction left open by a failed `apply` must end before the next can begin.
        self.opened = None;
        let opened = Opened::open(
            &self.server,
            &self.writing,
            self.schema.as_deref(),
            self.loaders,
            log,
            &mut self.epoch,
        );
        let opened = opened.await;
        let (opened, standing) = opened
            .map_err(|failure| failure.explain(format_args!("cannot open `{}`", self.server.place())))?;
        self.epoch = Some(opened.epoch());
        self.opened = Some(opened);
        Ok(standing)
    }

    async fn apply(&mut self, unit: &mut Unit) -> Result<()> {
        let mut opened =
            self.opened.take().ok_or_else(|| Error::internal("`apply` was called before `open`"))?;
        let failure = match opened.apply(unit).await {
            Ok(()) => {
                self.opened = Some(opened);
                return Ok(());
            }
            Err(failure) => failure,
        };
        let epoch = opened.epoch();
        drop(opened);
        let error = failure.explain(format_args!("cannot write to `{}`", self.server.place()));
        Err(self.explained(error, epoch).await)
    }

    async fn take_place(&mut self, takeover: &Takeover) -> Result<()> {
        let mut opened =
            self.opened.take().ok_or_else(|| Error::internal("`take_place` was called before `open`"))?;
        let taken = opened.take_place(takeover).await;
        let place = self.server.place();
        taken.map_err(|failure| failure.explain(format_args!("cannot fill what is in `{place}` anew")))?;
        self.epoch = None;
        Ok(())
    }

    async fn abandon(&mut self) -> Result<()> {
        let mut opened =
            self.opened.take().ok_or_else(|| Error::internal("`abandon` was called before `open`"))?;
        let abandoned = opened.abandon().await;
        let place = self.server.place();
        abandoned.map_err(|failure| failure.explain(format_args!("cannot tidy up `{place}`")))?;
        self.epoch = None;
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        self.opened = None;
        Ok(())
    }
}
