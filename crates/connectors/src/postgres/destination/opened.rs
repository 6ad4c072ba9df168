//! A destination that has been opened: its sessions, its epoch, and the tables it has met.

use std::{collections::VecDeque, sync::Arc};

use tidemark_engine::{
    Error, LogId, Position, Result as EngineResult,
    write::{Delivery, Standing, Takeover, Unit},
};

use super::{
    ahead::is_initial,
    failure::{Failure, Result},
    gathered::Stream,
    ledger::{self, Tenant, Tenure},
    place::{self, Of},
    relation, shadow,
    tables::{Tables, as_written},
    takeover,
    terms::Terms,
    writer::Writer,
};
use crate::{
    config::Writing,
    postgres::{connection::Server, identifier::TableId},
};

/// A destination between `open` and the next `open`. Dropping it ends its sessions, and rolls back what they were doing.
pub(super) struct Opened {
    tenure: Arc<Tenure>,
    /// The session whose transaction moves the position.
    writer: Writer,
    tables: Tables,
    /// What streams that are filled anew are written to.
    shadows: Tables,
}

impl Opened {
    /// Connects and takes the destination. Where it was ours, under `former`, it must still be: somebody who has taken it since
    /// is not to be thrown out again.
    pub(super) async fn open(
        server: &Server,
        writing: &Writing,
        schema: Option<&str>,
        loaders: usize,
        log: &LogId,
        former: &mut Option<i64>,
    ) -> Result<(Self, Option<Standing>)> {
        let writer = Writer::connect(server, "writer").await?;
        ledger::make(writer.client(), server).await?;
        let destination = shadow::destination(writing);
        if let Some(epoch) = *former
            && ledger::tenant(writer.client(), &destination, epoch).await? == Tenant::Another
        {
            *former = None;
            return Err(Tenure::new(destination, epoch).lost().into());
        }
        ledger::end_predecessors(writer.client(), &destination).await?;
        // From here on the epoch may be raised without our hearing of it.
        *former = None;
        let taken = ledger::take_over(writer.client(), &destination).await?;
        let tenure = Arc::new(Tenure::new(destination, taken.epoch));
        let terms = Terms {
            writing: writing.clone(),
            schema: schema.map(str::to_owned),
            log: log.clone(),
            tenure: tenure.clone(),
            shadows: writing.shadow.then(|| writing.destination.clone()),
            user: server.user().to_owned(),
            types: Arc::new(writer.types().await?),
        };
        let [loaded, loaded_in_shadows] = taken.loaded;
        let shadows = Tables::new(terms.of_shadows(), server, loaders, loaded_in_shadows);
        let tables = Tables::new(terms, server, loaders, loaded);
        Ok((Self { tenure, writer, tables, shadows }, taken.standing))
    }

    /// The epoch that this process took.
    pub(super) fn epoch(&self) -> i64 {
        self.tenure.epoch
    }

    /// Applies every change of `unit` and moves the standing, atomically, save for rows of an initial sync: see [`super::ahead`].
    pub(super) async fn apply(&mut self, unit: &mut Unit) -> Result<()> {
        let (begin, end) = (unit.begin().clone(), unit.end().clone());
        let Self { tenure, writer, tables, shadows } = self;
        let terms = &tables.terms;
        if begin.position.log != terms.log || end.position.log != terms.log {
            return Err(
                Error::internal("a unit belongs to another log than the destination was opened for").into()
            );
        }
        let mode = terms.writing.mode;
        let tables = if unit.is_into_shadows() { shadows } else { tables };
        (writer.suspects, writer.retries) = (unit.is_suspect(), unit.is_retry());
        tables.suspect(unit.is_suspect());
        // What was dead comes back whole or not at all.
        let mut has_begun = unit.is_retry();
        if has_begun {
            begin_unit(tenure, writer, tables, &begin.position, &end).await?;
        }
        let mut ahead = Ahead::new();
        while let Some(delivery) = next(unit, &mut ahead).await? {
            let delivery = as_written(mode, delivery)?;
            let is_ahead = !has_begun && is_initial(&delivery)?;
            if !is_ahead && !has_begun {
                begin_unit(tenure, writer, tables, &begin.position, &end).await?;
                has_begun = true;
            }
            let written = async {
                match is_ahead {
                    true => tables.load_ahead(writer, delivery, &begin.position).await,
                    false => tables.write(writer, delivery).await,
                }
            };
            while_reading(unit, &mut ahead, written).await?;
        }
        if !has_begun {
            begin_unit(tenure, writer, tables, &begin.position, &end).await?;
        }
        tables.flush(writer, None).await?;
        tables.end_unit(writer).await?;
        self.exchange(&begin, &end).await?;
        self.commit().await
    }

    /// Empties the shadows of streams that `end` fills anew, and has those of streams that it fills no more take their places.
    async fn exchange(&mut self, begin: &Standing, end: &Standing) -> Result<()> {
        let Self { writer, tables, shadows, .. } = self;
        for (stream, anew) in &begin.anew {
            if !end.anew.contains_key(stream) {
                // It may stand before the others, and be held there until it has caught up.
                let seen = end.held.get(stream).map_or(end.position.sequence, |hold| hold.after);
                let of = Of::Generation(anew.time);
                place::take(writer, &shadows.terms, stream, of, seen).await?;
                tables.forget(stream);
                shadows.forget(stream);
            }
        }
        for (stream, anew) in &end.anew {
            if begin.anew.get(stream).is_none_or(|before| before.from != anew.from) {
                place::forget(writer, &shadows.terms, stream).await?;
                shadows.forget(stream);
            }
        }
        Ok(())
    }

    /// Takes the place of the destination that this one shadows, see [`super::takeover`].
    pub(super) async fn take_place(&mut self, takeover: &Takeover) -> Result<()> {
        takeover::take_over(&mut self.writer, &self.tables.terms, takeover).await
    }

    /// Forgets this destination, which is a shadow of another, and its tables.
    pub(super) async fn abandon(&mut self) -> Result<()> {
        takeover::abandon(&mut self.writer, &self.tables.terms).await
    }

    /// Ends the transaction; what it did is durable.
    async fn commit(&mut self) -> Result<()> {
        // A constraint that waited until now says here which stream breaks it.
        let committed = self.writer.run("SET CONSTRAINTS ALL IMMEDIATE; COMMIT").await;
        match committed {
            Ok(()) => Ok(()),
            Err(failure) => Err(self.of_its_stream(failure).await),
        }
    }

    /// Says whose failure it is. Where a row is still referred to, the server names the table that refers; that one may be another's,
    /// or its stream held already, and then it is the stream of the row that cannot go on.
    async fn of_its_stream(&self, failure: Failure) -> Failure {
        let Some(named) = failure.table() else { return failure };
        let mut stream = self.stream_of(&named);
        if stream.is_none()
            && let Some(constraint) = failure.foreign_key()
        {
            // What fails now is no news: the failure at hand is the one to tell.
            let referred = match self.writer.run("ROLLBACK").await {
                Ok(()) => relation::referred(self.writer.client(), &named, constraint).await.ok().flatten(),
                Err(_) => None,
            };
            stream = referred.and_then(|table| self.stream_of(&table));
        }
        match stream {
            Some(Stream { table, .. }) => {
                failure.of_stream(format_args!("cannot write to table `{}`", table.id), &table.stream)
            }
            None => failure,
        }
    }

    fn stream_of(&self, table: &TableId) -> Option<&Stream> {
        self.tables.stream_of(table).or_else(|| self.shadows.stream_of(table))
    }
}

/// Changes that are read ahead of those that are being written: loaders that are done together both have more to do.
const READ_AHEAD: usize = 2;

/// What has been read of a unit and is still to be written, up to its end or a failure.
type Ahead = VecDeque<EngineResult<Option<Delivery>>>;

/// The next changes of `unit`, of which those `ahead` have been read.
async fn next(unit: &mut Unit, ahead: &mut Ahead) -> Result<Option<Delivery>> {
    let next = match ahead.pop_front() {
        Some(next) => next,
        None => unit.next().await,
    };
    Ok(next?)
}

/// Does `work` while changes of `unit` are read `ahead`.
async fn while_reading<T>(unit: &mut Unit, ahead: &mut Ahead, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    while ahead.len() < READ_AHEAD && !matches!(ahead.back(), Some(Ok(None) | Err(_))) {
        tokio::select! {
            biased;
            done = &mut work => return done,
            next = unit.next() => ahead.push_back(next),
        }
    }
    work.await
}

/// Begins the transaction that moves the position. Nothing is loaded ahead any more: a loader holds the row that this moves, and
/// would wait for the tables that this writes to.
async fn begin_unit(
    tenure: &Tenure,
    writer: &mut Writer,
    tables: &mut Tables,
    begin: &Position,
    end: &Standing,
) -> Result<()> {
    tables.finish_loading(begin).await?;
    // Constraints that may be checked at the end are: a unit holds whole transactions.
    tenure.advance(writer, "BEGIN; SET CONSTRAINTS ALL DEFERRED", (begin, end)).await
}
