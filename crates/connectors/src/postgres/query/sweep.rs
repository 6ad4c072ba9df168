//! One sweep: a COPY in a transaction of its own, on a connection of its own.

use tidemark_engine::{Error, Result, change::ChangeBatch};
use tokio::sync::OwnedSemaphorePermit;

use super::{BEGIN, QuerySource, statement::Query};
use crate::{
    polling::{Plan, Sweep},
    postgres::{
        connection::{Session, failure},
        source::sync::rows::{Copying, Rows},
    },
    queries::{QueryStream, Unique, plan},
};

/// A sweep under way. It shows the database as it was when it began.
pub(super) struct Sweeping {
    copying: Copying,
    /// What comes next, so that the last records are known to be the last.
    ahead: Option<ChangeBatch>,
    unique: Unique,
    /// How many pages have been given out.
    pub(super) pages: u64,
    /// Both end with it.
    _session: Session,
    _reader: OwnedSemaphorePermit,
}

impl Sweeping {
    /// Begins it, as `planned`. What the stream is like may have changed since: columns may have come.
    pub(super) async fn begin(
        source: &QuerySource,
        stream: &QueryStream,
        planned: &Plan,
        sweep: &Sweep,
        reader: OwnedSemaphorePermit,
    ) -> Result<Self> {
        let name = planned.outline.name.as_str();
        let session = source.server.connect("query").await?;
        let mut begin = BEGIN.to_owned();
        if let Some(time) = source.config.statement_timeout {
            begin += &format!("; SET LOCAL statement_timeout = {}", time.0.as_millis());
        }
        let begun = session.batch_execute(&begin).await;
        begun.map_err(|error| failure(format!("cannot begin to read stream `{name}`"), error))?;
        let query = Query::describe(&session, name, stream).await?;
        let plan = plan(name, stream, &query.terms, source.config.poll.0)?;
        query.require_mark(&plan)?;
        if plan.outline.key != planned.outline.key {
            return Err(Error::unavailable(format!(
                "the primary key of the table of stream `{name}` was altered: it is looked at again"
            )));
        }
        let mut copying = copying(&session, &query, &plan, sweep, None).await?;
        let unique = Unique::new(&plan.outline.name, &plan.outline.key);
        let ahead = copying.next().await?;
        Ok(Self { copying, ahead, unique, pages: 0, _session: session, _reader: reader })
    }

    /// The next records, and whether they are the last.
    pub(super) async fn next(&mut self) -> Result<(ChangeBatch, bool)> {
        self.pages += 1;
        let batch = match self.ahead.take() {
            Some(batch) => batch,
            None => self.copying.none()?,
        };
        self.unique.check_typed(&batch)?;
        self.ahead = self.copying.next().await?;
        Ok((batch, self.ahead.is_none()))
    }
}

/// A COPY of what `sweep` asks for.
pub(super) async fn copying(
    session: &Session,
    query: &Query,
    plan: &Plan,
    sweep: &Sweep,
    limit: Option<usize>,
) -> Result<Copying> {
    let of = format!("stream `{}`", query.stream);
    let rows = Rows::new(of, &query.schema(plan)?, &query.types(plan));
    Copying::of(session, &query.copy(plan, sweep, limit)?, rows).await
}
