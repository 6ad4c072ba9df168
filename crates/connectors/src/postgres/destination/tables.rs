//! The tables of a destination, or the shadows of them: what is known of each while it is open, and how changes come there.

use std::collections::HashMap;

use tidemark_engine::{
    Position,
    schema::{StreamName, StreamSchema},
    write::{Delivery, WriteMode},
};

use super::{
    ahead::{Load, is_initial},
    failure::Result,
    gathered::{MOST_BYTES, Stream},
    ledger::LoadedRows,
    loaded::{Loaded, without_gaps},
    loaders::Loaders,
    piece::Piece,
    table::Table,
    terms::Terms,
    writer::Writer,
};
use crate::{
    metadata,
    postgres::{connection::Server, identifier::TableId},
};

/// Tables that are kept under one name.
pub(super) struct Tables {
    pub(super) terms: Terms,
    loaders: Loaders,
    streams: HashMap<StreamName, Stream>,
}

impl Tables {
    /// Those that `terms` speak of. `loaded` has been loaded ahead of the position.
    pub(super) fn new(terms: Terms, server: &Server, loaders: usize, loaded: Vec<LoadedRows>) -> Self {
        let mut known = Loaded::default();
        loaded.into_iter().for_each(|rows| known.note(rows));
        let loaders = Loaders::new(server.clone(), terms.tenure.clone(), loaders, known);
        Self { terms, loaders, streams: HashMap::new() }
    }

    /// Whether to find the row that a piece fails over.
    pub(super) fn suspect(&mut self, suspects: bool) {
        self.loaders.suspects = suspects;
    }

    /// Waits until everything is loaded that was taken ahead of the position.
    pub(super) async fn finish_loading(&mut self, begin: &Position) -> Result<()> {
        self.loaders.finish(begin).await
    }

    /// Loads rows of an initial sync ahead of the position.
    pub(super) async fn load_ahead(
        &mut self,
        writer: &mut Writer,
        delivery: Delivery,
        begin: &Position,
    ) -> Result<()> {
        if !self.is_ready(delivery.changes.schema()) {
            self.loaders.finish(begin).await?;
            self.terms.tenure.hold(writer, ("BEGIN", ""), begin).await?;
            self.prepare(writer, delivery.changes.schema()).await?;
            writer.run("COMMIT").await?;
        }
        for load in self.loads(delivery)? {
            self.loaders.take(load, begin).await?;
        }
        Ok(())
    }

    /// Writes changes in the transaction that moves the position.
    pub(super) async fn write(&mut self, writer: &mut Writer, delivery: Delivery) -> Result<()> {
        // A dead letter is one change among all that came after it: to load it would take those for void.
        let is_initial = !writer.retries && is_initial(&delivery)?;
        let (mode, log) = (self.terms.writing.mode, self.terms.log.clone());
        let schema = delivery.changes.schema().clone();
        let name = schema.stream();
        if !self.is_ready(&schema) {
            self.flush(writer, Some(name)).await?;
            self.prepare(writer, &schema).await?;
        }
        if is_initial {
            self.flush(writer, Some(name)).await?;
            for load in self.loads(delivery)? {
                load.run(writer).await?;
            }
            return Ok(());
        }
        if let Some(stream) = self.streams.get_mut(name) {
            stream.see(delivery.played);
            if writer.retries || !skips(mode, stream, delivery.played) {
                stream.add(writer, &log, mode, delivery).await?;
            }
        }
        if self.streams.values().map(Stream::bytes).sum::<usize>() > MOST_BYTES {
            self.flush(writer, None).await?;
        }
        Ok(())
    }

    /// What of `delivery` is still to be loaded.
    fn loads(&mut self, delivery: Delivery) -> Result<Vec<Load>> {
        let Delivery { sequence, played, watermarks, changes, .. } = delivery;
        let Some(stream) = self.streams.get_mut(changes.schema().stream()) else { return Ok(Vec::new()) };
        stream.load(played);
        let (log, mode) = (self.terms.log.clone(), self.terms.writing.mode);
        if skips(mode, stream, played) {
            return Ok(Vec::new());
        }
        let piece = Piece { table: stream.table.clone(), log, sequence, watermarks, changes, mode };
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
    async fn prepare(&mut self, writer: &mut Writer, schema: &StreamSchema) -> Result<()> {
        let stream = schema.stream();
        let prepared = Table::prepare(writer, &self.terms, schema).await;
        let (table, applied) = prepared.map_err(|failure| {
            failure.of_stream(format_args!("cannot make the table of stream `{stream}` ready"), stream)
        })?;
        // A column's type, and with it a parameter's, may have changed.
        writer.forget_statements();
        self.loaders.forget_statements();
        let new = Stream::new(table, applied);
        match self.streams.get_mut(stream) {
            Some(known) => known.table = new.table,
            None => drop(self.streams.insert(stream.clone(), new)),
        }
        Ok(())
    }

    /// Applies what is gathered of one stream, or of all.
    pub(super) async fn flush(&mut self, writer: &mut Writer, only: Option<&StreamName>) -> Result<()> {
        let (mode, log) = (self.terms.writing.mode, &self.terms.log);
        for (name, stream) in &mut self.streams {
            if only.is_none_or(|only| only == name) {
                stream.flush(writer, log, mode).await?;
            }
        }
        Ok(())
    }

    /// Notes what the tables have seen in this unit, whose changes are written.
    pub(super) async fn end_unit(&mut self, writer: &mut Writer) -> Result<()> {
        let tenure = &self.terms.tenure;
        let mut seen = Vec::new();
        for (name, stream) in &mut self.streams {
            stream.end_unit(writer).await?;
            let Some(sequence) = stream.seen.take() else { continue };
            if std::mem::take(&mut stream.has_loaded) {
                tenure.forget_loaded(writer, name.as_str(), sequence).await?;
                self.loaders.forget(name, sequence);
            }
            if stream.applied < Some(sequence) {
                stream.applied = Some(sequence);
                seen.push((name, sequence));
            }
        }
        if !seen.is_empty() {
            tenure.note_applied(writer, &self.terms.log, &seen).await?;
        }
        Ok(())
    }

    /// Nothing is known of `stream` any more: its table has changed, or is gone.
    pub(super) fn forget(&mut self, stream: &StreamName) {
        self.streams.remove(stream);
        self.loaders.forget(stream, u64::MAX);
        self.loaders.forget_statements();
    }

    /// The stream that `table` is of.
    pub(super) fn stream_of(&self, table: &TableId) -> Option<&Stream> {
        self.streams.values().find(|stream| &stream.table.id == table)
    }
}

/// Whether a history has what is played with commit `played`: a version that is there is not made again.
fn skips(mode: WriteMode, stream: &Stream, played: u64) -> bool {
    mode == WriteMode::History && stream.is_replayed(played)
}

/// `delivery` as a table in `mode` takes it.
pub(super) fn as_written(mode: WriteMode, delivery: Delivery) -> Result<Delivery> {
    if mode != WriteMode::SoftDelete {
        return Ok(delivery);
    }
    let changes =
        delivery.changes.with_deletions_marked(metadata::DELETED_AT, |row| delivery.watermark(row))?;
    Ok(Delivery { changes, ..delivery })
}
