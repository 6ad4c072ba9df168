//! Sessions with the server, from `open` to the first error: one has the transaction, the other makes and alters tables beside it.

use std::collections::{HashMap, HashSet};

use tidemark_engine::{
    Error, LogId,
    schema::{StreamName, StreamSchema},
    write::{Delivery, Standing, Takeover, WriteMode},
};

use super::{
    check,
    ledger::{self, State, Tenure},
    place,
    stream::{Doing, Stream},
    table::{Ready, Terms},
    writer::Writer,
};
use crate::{
    config::Writing,
    mariadb::{
        failure::{Failure, Result},
        server::Server,
    },
    metadata,
    tables::Identity,
};

/// Changes of all streams are applied when they take this much memory together.
const MOST_BYTES: usize = 32 << 20;

/// Sessions that have taken the destination, and the tables they have made ready.
pub(super) struct Session {
    server: Server,
    writer: Writer,
    builder: Option<Writer>,
    writing: Writing,
    log: LogId,
    epoch: i64,
    /// Whether the server folds the names of tables to lower case.
    folds: bool,
    /// The tables that changes go to.
    own: Layer,
    /// The shadows of those that are filled anew.
    shadows: Layer,
    /// Tables that the transaction has touched.
    touched: HashSet<String>,
    unit: Option<Span>,
}

/// Tables that are filled together.
struct Layer {
    identity: Identity,
    streams: HashMap<StreamName, Stream>,
}

/// The unit that is being applied.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) begin: Standing,
    pub(super) end: Standing,
    pub(super) into_shadows: bool,
    pub(super) retries: bool,
    pub(super) suspects: bool,
}

impl Session {
    /// Takes the destination. Where it was ours, under `former`, it must still be.
    pub(super) async fn open(
        server: &Server,
        writing: Writing,
        log: LogId,
        former: &mut Option<i64>,
    ) -> Result<(Self, Option<Standing>)> {
        let mut writer = Writer::connect(server).await?;
        check::loads(&mut writer, server).await?;
        let folds = writer.first::<i64>("SELECT @@lower_case_table_names", ()).await? != Some(0);
        ledger::make(&mut writer).await?;
        let identity = Identity::of(&writing);
        writer.run("START TRANSACTION").await?;
        let taken = ledger::open(&mut writer, identity.name(), *former).await;
        // From here on the epoch may be raised without our hearing of it; and who was told that it is lost may take it back.
        if matches!(taken, Ok(_) | Err(Failure::Known(_))) {
            *former = None;
        }
        let (epoch, standing) = taken?;
        writer.run("COMMIT").await?;
        *former = Some(epoch);
        let shadows = identity.shadows();
        for identity in [&identity, &shadows] {
            ledger::sweep(&mut writer, identity.name()).await?;
        }
        let layer = |identity| Layer { identity, streams: HashMap::new() };
        let session = Self {
            server: server.clone(),
            writer,
            builder: None,
            writing,
            log,
            epoch,
            folds,
            own: layer(identity),
            shadows: layer(shadows),
            touched: HashSet::new(),
            unit: None,
        };
        Ok((session, standing))
    }

    /// Begins the transaction of `unit`, which moves the position.
    pub(super) async fn begin(&mut self, unit: Span) -> Result<()> {
        let (begin, end) = (&unit.begin.position, &unit.end);
        if begin.log != self.log || end.position.log != self.log {
            return Err(
                Error::internal("a unit belongs to another log than the destination was opened for").into()
            );
        }
        self.writer.run("START TRANSACTION").await?;
        ledger::advance(&mut self.writer, self.own.identity.name(), self.epoch, begin, end).await?;
        // What a shadow holds of another generation is void.
        for (stream, anew) in &end.anew {
            if unit.begin.anew.get(stream).is_none_or(|before| before.from != anew.from) {
                self.shadows.streams.remove(stream);
                self.leave_shadow(stream).await?;
            }
        }
        self.unit = Some(unit);
        Ok(())
    }

    /// Has the shadow of `stream` dropped when the transaction has been committed.
    async fn leave_shadow(&mut self, stream: &StreamName) -> Result<()> {
        if let Some(table) = ledger::table_of(&mut self.writer, self.shadows.identity.name(), stream).await? {
            ledger::note_state(&mut self.writer, &table, State::Leftover).await?;
        }
        Ok(())
    }

    /// Applies some changes inside the transaction. What the server or we cannot do with them concerns their stream alone.
    pub(super) async fn apply(&mut self, delivery: Delivery) -> Result<()> {
        let delivery = match self.writing.mode {
            WriteMode::SoftDelete => {
                let marked = delivery
                    .changes
                    .with_deletions_marked(metadata::DELETED_AT, |row| delivery.watermark(row))?;
                Delivery { changes: marked, ..delivery }
            }
            _ => delivery,
        };
        let schema = delivery.changes.schema().clone();
        let stream = schema.stream().clone();
        let layer = if self.is_into_shadows() { &self.shadows } else { &self.own };
        let is_ready = layer.streams.get(&stream).is_some_and(|it| it.table.schema == schema.digest());
        if !is_ready {
            let prepared = self.prepare(&schema).await;
            prepared.map_err(|failure| {
                failure.of_stream(format_args!("cannot make the table of stream `{stream}` ready"), &stream)
            })?;
        }
        let doing = Self::doing(self.unit.as_ref(), &self.log, self.writing.mode);
        let layer = if self.unit.as_ref().is_some_and(|it| it.into_shadows) {
            &mut self.shadows
        } else {
            &mut self.own
        };
        let Some(of_stream) = layer.streams.get_mut(&stream) else { return Ok(()) };
        of_stream.add(&mut self.writer, doing, delivery).await?;
        if layer.streams.values().map(Stream::bytes).sum::<usize>() > MOST_BYTES {
            for of_stream in layer.streams.values_mut() {
                of_stream.flush(&mut self.writer, doing, true).await?;
            }
        }
        let written = layer.streams.values().filter(|it| it.has_written).map(|it| it.table.name.clone());
        self.touched.extend(written);
        Ok(())
    }

    fn is_into_shadows(&self) -> bool {
        self.unit.as_ref().is_some_and(|unit| unit.into_shadows)
    }

    fn doing<'s>(unit: Option<&Span>, log: &'s LogId, mode: WriteMode) -> Doing<'s> {
        let (retries, suspects) = unit.map_or((false, false), |unit| (unit.retries, unit.suspects));
        Doing { log, mode, retries, suspects }
    }

    /// Makes the table of `schema` ready for it.
    async fn prepare(&mut self, schema: &StreamSchema) -> Result<()> {
        let stream = schema.stream();
        let into_shadows = self.is_into_shadows();
        // A shadow of another generation is another table.
        let anew =
            self.unit.as_ref().and_then(|unit| unit.end.anew.get(stream).or(unit.begin.anew.get(stream)));
        let generation = anew.filter(|_| into_shadows).map(|anew| anew.from);
        // What was gathered under the former schema is written while its table is as it was; where it must be altered first, that
        // has to happen before the transaction touches it.
        let prepared = self.terms(into_shadows).await?.prepare(schema, generation).await?;
        let table = match prepared {
            Ok(table) => table,
            Err(sql) => return self.alter_later(&sql).await,
        };
        let doing = Self::doing(self.unit.as_ref(), &self.log, self.writing.mode);
        let layer = if into_shadows { &mut self.shadows } else { &mut self.own };
        match layer.streams.get_mut(stream) {
            Some(of_stream) => {
                of_stream.flush(&mut self.writer, doing, false).await?;
                of_stream.follow(&mut self.writer, table).await?;
            }
            None => drop(layer.streams.insert(stream.clone(), Stream::new(table))),
        }
        Ok(())
    }

    /// What tables are made by.
    pub(super) async fn terms(&mut self, into_shadows: bool) -> Result<Terms<'_>> {
        let builder = match self.builder.take() {
            Some(builder) => builder,
            None => Writer::connect(&self.server).await?,
        };
        let identity = if into_shadows { &self.shadows.identity } else { &self.own.identity };
        Ok(Terms {
            builder: self.builder.insert(builder),
            writing: &self.writing,
            log: &self.log,
            identity,
            folds: self.folds,
            touched: &self.touched,
        })
    }

    /// Alters a table that the transaction has touched: the transaction ends without effect, and all of its unit comes again.
    async fn alter_later(&mut self, sql: &str) -> Result<()> {
        self.writer.run("ROLLBACK").await?;
        if let Some(builder) = &mut self.builder {
            builder.run(sql).await?;
        }
        Err(Error::unavailable("a table had to be altered in the middle of what is written to it")
            .hint("nothing is to be done: it is written again")
            .into())
    }

    /// Ends the transaction; what it did is durable. Streams that were filled anew with this unit take their places.
    pub(super) async fn commit(&mut self) -> Result<()> {
        let doing = Self::doing(self.unit.as_ref(), &self.log, self.writing.mode);
        for layer in [&mut self.own, &mut self.shadows] {
            for of_stream in layer.streams.values_mut() {
                of_stream.flush(&mut self.writer, doing, false).await?;
                if of_stream.has_written {
                    self.touched.insert(of_stream.table.name.clone());
                }
                of_stream.end_unit();
                let (seen, applied) = (of_stream.seen.take(), of_stream.table.applied);
                if seen.is_some() && seen > applied {
                    of_stream.table.applied = seen;
                    ledger::note_applied(&mut self.writer, &of_stream.table.name, &self.log, seen).await?;
                }
            }
        }
        let mut sweeps = false;
        if let Some(Span { begin, end, .. }) = self.unit.take() {
            sweeps = !end.anew.is_empty() && begin.anew != end.anew;
            for (stream, anew) in begin.anew.iter().filter(|(stream, _)| !end.anew.contains_key(*stream)) {
                sweeps = true;
                let taken = place::of_generation(self, stream, anew.time).await;
                taken.map_err(|failure| {
                    failure.of_stream(format_args!("cannot fill stream `{stream}` anew"), stream)
                })?;
            }
        }
        self.writer.run("COMMIT").await?;
        self.touched.clear();
        if sweeps {
            ledger::sweep(&mut self.writer, self.shadows.identity.name()).await?;
        }
        Ok(())
    }

    /// The session of the transaction, and what it is about.
    pub(super) fn parts(&mut self) -> (&mut Writer, &Writing, &LogId) {
        (&mut self.writer, &self.writing, &self.log)
    }

    /// The shadows' name in the ledger.
    pub(super) fn shadows(&self) -> &Identity {
        &self.shadows.identity
    }

    /// Forgets what is known of the table of `stream`.
    pub(super) fn forget(&mut self, stream: &StreamName) {
        self.own.streams.remove(stream);
        self.shadows.streams.remove(stream);
    }

    /// Finishes what makes a table ready: one that can only be altered later ends the transaction.
    pub(super) async fn made_ready(&mut self, ready: Ready) -> Result<Option<u64>> {
        match ready {
            Ready::Now { applied } => Ok(applied),
            Ready::Later { sql } => self.alter_later(&sql).await.map(|()| None),
        }
    }

    /// Has this destination, which was filled out of sight, take the place of the one it was filled for.
    pub(super) async fn take_over(&mut self, takeover: &Takeover) -> Result<()> {
        self.writer.run("START TRANSACTION").await?;
        self.check_epoch().await?;
        self.own.identity = Identity::real(&self.writing);
        place::of_destination(self, takeover).await?;
        self.writer.run("COMMIT").await?;
        let hidden = Identity::of(&self.writing);
        for identity in [&hidden, &hidden.shadows(), &Identity::real(&self.writing).shadows()] {
            ledger::sweep(&mut self.writer, identity.name()).await?;
        }
        Ok(())
    }

    /// Forgets what this destination, which was filled out of sight, holds and where it stands.
    pub(super) async fn abandon(&mut self) -> Result<()> {
        self.writer.run("START TRANSACTION").await?;
        self.check_epoch().await?;
        for layer in [&mut self.own, &mut self.shadows] {
            layer.streams.clear();
            place::leave_tables(&mut self.writer, &layer.identity).await?;
        }
        ledger::stands_nowhere(&mut self.writer, self.own.identity.name()).await?;
        self.writer.run("COMMIT").await?;
        for identity in [&self.own.identity, &self.shadows.identity] {
            ledger::sweep(&mut self.writer, identity.name()).await?;
        }
        Ok(())
    }

    async fn check_epoch(&mut self) -> Result<()> {
        let name = self.own.identity.name();
        let tenure = Tenure::of(&mut self.writer, name, self.epoch).await?;
        Ok(tenure.check(name)?)
    }
}
