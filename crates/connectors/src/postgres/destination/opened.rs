//! A destination that has been opened: its sessions, its epoch, and the tables it has met.

use std::{collections::HashMap, sync::Arc};

use tidemark_engine::{
    Error, LogId, Position,
    schema::{StreamName, StreamSchema},
    write::{Delivery, Standing, Unit},
};

use super::{
    ahead::{Load, is_initial},
    failure::{Failure, Result},
    gathered::{MOST_BYTES, Stream},
    ledger::{self, Tenure},
    loaded::{Loaded, without_gaps},
    loaders::Loaders,
    piece::Piece,
    relation,
    table::Table,
    terms::Terms,
    writer::Writer,
};
use crate::{
    config::Writing,
    postgres::{connection::Server, identifier::TableId},
};

/// A destination between `open` and the next `open`. Dropping it ends its sessions, and rolls back what they were doing.
pub(super) struct Opened {
    terms: Terms,
    tenure: Arc<Tenure>,
    /// The session whose transaction moves the position.
    writer: Writer,
    loaders: Loaders,
    streams: HashMap<StreamName, Stream>,
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
        let destination = writing.destination.clone();
        if former.is_some() && *former != ledger::epoch(writer.client(), &destination).await? {
            *former = None;
            return Err(Tenure { destination, epoch: 0 }.lost().into());
        }
        ledger::end_predecessors(writer.client(), &destination).await?;
        // From here on the epoch may be raised without our hearing of it.
        *former = None;
        let taken = ledger::take_over(writer.client(), &destination).await?;
        let tenure = Arc::new(Tenure { destination, epoch: taken.epoch });
        let mut loaded = Loaded::default();
        taken.loaded.into_iter().for_each(|rows| loaded.note(rows));
        let terms = Terms {
            writing: writing.clone(),
            schema: schema.map(str::to_owned),
            log: log.clone(),
            tenure: (*tenure).clone(),
            user: server.user().to_owned(),
            types: writer.types().await?,
        };
        let opened = Self {
            terms,
            tenure: tenure.clone(),
            writer,
            loaders: Loaders::new(server.clone(), tenure, loaders, loaded),
            streams: HashMap::new(),
        };
        Ok((opened, taken.standing))
    }

    /// The epoch that this process took.
    pub(super) fn epoch(&self) -> i64 {
        self.tenure.epoch
    }

    /// Applies every change of `unit` and moves the standing, atomically, save for rows of an initial sync: see [`super::ahead`].
    pub(super) async fn apply(&mut self, unit: &mut Unit) -> Result<()> {
        let (begin, end) = (unit.begin().position.clone(), unit.end().clone());
        if begin.log != self.terms.log || end.position.log != self.terms.log {
            return Err(
                Error::internal("a unit belongs to another log than the destination was opened for").into()
            );
        }
        (self.writer.suspects, self.writer.retries) = (unit.is_suspect(), unit.is_retry());
        self.loaders.suspects = unit.is_suspect();
        // What was dead comes back whole or not at all.
        let mut has_begun = unit.is_retry();
        if has_begun {
            self.begin(&begin, &end).await?;
        }
        let mut next = unit.next().await?;
        while let Some(delivery) = next {
            let is_ahead = !has_begun && is_initial(&delivery)?;
            if !is_ahead && !has_begun {
                self.begin(&begin, &end).await?;
                has_begun = true;
            }
            // The next changes are read while these are written.
            let written = async {
                match is_ahead {
                    true => self.load_ahead(delivery, &begin).await,
                    false => self.write(delivery).await,
                }
            };
            let (written, following) = tokio::join!(written, unit.next());
            written?;
            next = following?;
        }
        if !has_begun {
            self.begin(&begin, &end).await?;
        }
        self.commit().await
    }

    /// Begins the transaction that moves the position. Nothing is loaded ahead any more: a loader holds the row that this
    /// moves, and would wait for the tables that this writes to.
    async fn begin(&mut self, begin: &Position, end: &Standing) -> Result<()> {
        self.loaders.finish(begin).await?;
        // Constraints that may be checked at the end are: a unit holds whole transactions.
        self.writer.run("BEGIN; SET CONSTRAINTS ALL DEFERRED").await?;
        self.tenure.advance(&mut self.writer, begin, end).await
    }

    /// Loads rows of an initial sync ahead of the position.
    async fn load_ahead(&mut self, delivery: Delivery, begin: &Position) -> Result<()> {
        if !self.is_ready(delivery.changes.schema()) {
            self.loaders.finish(begin).await?;
            self.writer.run("BEGIN").await?;
            self.tenure.hold(&mut self.writer, begin).await?;
            self.prepare(delivery.changes.schema()).await?;
            self.writer.run("COMMIT").await?;
        }
        for load in self.loads(delivery)? {
            self.loaders.take(load, begin).await?;
        }
        Ok(())
    }

    /// Writes changes in the transaction that moves the position.
    async fn write(&mut self, delivery: Delivery) -> Result<()> {
        let is_initial = is_initial(&delivery)?;
        let (mode, log) = (self.terms.writing.mode, self.terms.log.clone());
        let schema = delivery.changes.schema().clone();
        let stream = schema.stream();
        if !self.is_ready(&schema) {
            self.flush(Some(stream)).await?;
            self.prepare(&schema).await?;
        }
        if is_initial {
            self.flush(Some(stream)).await?;
            for load in self.loads(delivery)? {
                load.run(&mut self.writer).await?;
            }
            return Ok(());
        }
        if let Some(stream) = self.streams.get_mut(stream) {
            stream.see(delivery.played);
            stream.add(&mut self.writer, &log, mode, delivery).await?;
        }
        if self.streams.values().map(Stream::bytes).sum::<usize>() > MOST_BYTES {
            self.flush(None).await?;
        }
        Ok(())
    }

    /// What of `delivery` is still to be loaded.
    fn loads(&mut self, delivery: Delivery) -> Result<Vec<Load>> {
        let Delivery { sequence, played, changes, .. } = delivery;
        let Some(stream) = self.streams.get_mut(changes.schema().stream()) else { return Ok(Vec::new()) };
        stream.load(played);
        let (log, mode) = (self.terms.log.clone(), self.terms.writing.mode);
        let piece = Piece { table: stream.table.clone(), log, sequence, changes, mode };
        let mut loads = Vec::new();
        for load in Load::split(piece)? {
            let missing = self.loaders.missing(sequence, &load.piece().changes);
            // What is noted of a piece spans all between its first row and its last.
            let whole = missing.iter().flat_map(without_gaps);
            loads.extend(whole.map(|changes| load.with(changes)));
        }
        Ok(loads)
    }

    fn is_ready(&self, schema: &StreamSchema) -> bool {
        self.streams.get(schema.stream()).is_some_and(|stream| stream.table.schema == schema.digest())
    }

    /// Makes the stream's table ready, inside a transaction.
    async fn prepare(&mut self, schema: &StreamSchema) -> Result<()> {
        let stream = schema.stream();
        let prepared = Table::prepare(&self.writer, &self.terms, schema).await;
        let (table, applied) = prepared.map_err(|failure| {
            failure.of_stream(format_args!("cannot make the table of stream `{stream}` ready"), stream)
        })?;
        // A column's type, and with it a parameter's, may have changed.
        self.writer.forget_statements();
        self.loaders.forget_statements();
        let new = Stream::new(table, applied);
        match self.streams.get_mut(stream) {
            Some(known) => known.table = new.table,
            None => drop(self.streams.insert(stream.clone(), new)),
        }
        Ok(())
    }

    /// Applies what is gathered of one stream, or of all.
    async fn flush(&mut self, only: Option<&StreamName>) -> Result<()> {
        let (mode, log) = (self.terms.writing.mode, &self.terms.log);
        for (name, stream) in &mut self.streams {
            if only.is_none_or(|only| only == name) {
                stream.flush(&mut self.writer, log, mode).await?;
            }
        }
        Ok(())
    }

    /// Applies the rest and ends the transaction; what it did is durable.
    async fn commit(&mut self) -> Result<()> {
        self.flush(None).await?;
        let mut seen = Vec::new();
        for (name, stream) in &mut self.streams {
            stream.end_unit(&mut self.writer).await?;
            let Some(sequence) = stream.seen.take() else { continue };
            if std::mem::take(&mut stream.has_loaded) {
                self.tenure.forget_loaded(&mut self.writer, name.as_str(), sequence).await?;
                self.loaders.forget(name, sequence);
            }
            if stream.applied < Some(sequence) {
                stream.applied = Some(sequence);
                seen.push((name, sequence));
            }
        }
        if !seen.is_empty() {
            self.tenure.note_applied(&mut self.writer, &self.terms.log, &seen).await?;
        }
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
        self.streams.values().find(|stream| &stream.table.id == table)
    }
}
