//! Rows of an initial sync: what is loaded in one go, and how.
//!
//! Each piece that is loaded ahead of the position is committed by itself, together with a note of which rows it held, under the
//! epoch and at the position of its unit. After a crash what is noted is not loaded again; when the position has moved past it
//! the notes go, and nothing else takes them away: what a later beginning voids has been loaded all the same. So readers see a
//! table fill up, or empty and fill up again, while it is synced for the first time or anew; no other change is ever seen ahead
//! of its unit.

use tidemark_engine::{
    Result as EngineResult,
    arrow_array::UInt64Array,
    change::{ChangeBatch, Op},
    read::Phase,
    schema::StreamName,
    write::{Delivery, WriteMode},
};

use super::{
    bulk::{Copied, add_missing, copy, copy_in_savepoint},
    failure::Result,
    gathered::most_rows,
    history::{self, Displaced},
    ledger::LoadedRows,
    merge::{Merged, merge},
    parking::Parking,
    piece::Piece,
    stepwise,
    suspect::{Loading, search},
    writer::Writer,
};

/// Runs of rows of which `is` says the same: start, length, and what it says.
pub(super) fn runs(rows: usize, is: impl Fn(usize) -> bool) -> Vec<(usize, usize, bool)> {
    let mut runs = Vec::<(usize, usize, bool)>::new();
    for row in 0..rows {
        let said = is(row);
        match runs.last_mut() {
            Some((_, length, last)) if *last == said => *length += 1,
            _ => runs.push((row, 1, said)),
        }
    }
    runs
}

/// Whether a delivery is nothing but rows of an initial sync, and its beginning.
pub(super) fn is_initial(delivery: &Delivery) -> EngineResult<bool> {
    if delivery.phase != Phase::InitialSync {
        return Ok(false);
    }
    for row in 0..delivery.changes.rows() {
        if !matches!(delivery.changes.op(row)?, Op::Read | Op::Create | Op::Truncate) {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Piece {
    /// Makes versions of records that were read, where there may be others of them. Those that come after are written again.
    async fn write_versions(&self, writer: &mut Writer) -> Result<()> {
        let changes = &self.changes;
        let Some(last) = changes.rows().checked_sub(1) else { return Ok(()) };
        history::take_back_after(writer, &self.table, &self.position(last)?).await?;
        let most = most_rows(changes);
        for start in (0..=last).step_by(most) {
            let changes = changes.slice(start, most.min(changes.rows() - start));
            let delivery = Delivery {
                sequence: self.sequence,
                played: self.sequence,
                phase: Phase::InitialSync,
                watermarks: self.watermarks.clone(),
                changes,
            };
            let (table, log) = (&self.table, &self.log);
            history::write(writer, table, log, vec![delivery], &mut Displaced::default()).await?;
        }
        Ok(())
    }
}

/// Changes of an initial sync that are loaded in one go.
pub(super) enum Load {
    /// Void what the table holds.
    Begin(Piece),
    Rows(Piece),
}

impl Load {
    /// `piece` in order: each truncate begins anew, save in `append`, where it is a row like any other.
    pub(super) fn split(piece: Piece) -> EngineResult<Vec<Self>> {
        let changes = &piece.changes;
        if piece.mode == WriteMode::Append {
            return Ok(vec![Self::Rows(piece)]);
        }
        let ops = (0..changes.rows()).map(|row| changes.op(row)).collect::<EngineResult<Vec<_>>>()?;
        let runs = runs(ops.len(), |row| ops[row] == Op::Truncate);
        let load = |(start, rows, begins): (usize, usize, bool)| {
            let piece = Piece { changes: changes.slice(start, rows), ..piece.clone() };
            if begins { Self::Begin(piece) } else { Self::Rows(piece) }
        };
        Ok(runs.into_iter().map(load).collect())
    }

    /// The same for a part of its changes.
    pub(super) fn with(&self, changes: ChangeBatch) -> Self {
        match self {
            Self::Begin(piece) => Self::Begin(Piece { changes, ..piece.clone() }),
            Self::Rows(piece) => Self::Rows(Piece { changes, ..piece.clone() }),
        }
    }

    pub(super) fn piece(&self) -> &Piece {
        match self {
            Self::Begin(piece) | Self::Rows(piece) => piece,
        }
    }

    pub(super) fn stream(&self) -> &StreamName {
        &self.piece().table.stream
    }

    /// Whether it may be loaded beside other pieces of its stream: not where it would be merged without being asked, for of two
    /// rows with one key the last must win.
    pub(super) fn may_run_beside(&self) -> bool {
        matches!(self, Self::Rows(piece) if piece.table.made || piece.mode == WriteMode::Append)
    }

    /// Loads, inside a transaction, after everything that came before it. Tells whether it had to be merged. The failure is that
    /// of the stream.
    pub(super) async fn run(&self, writer: &mut Writer) -> Result<Copied> {
        let loaded = match self {
            Self::Begin(piece) => {
                writer.run(&format!("DELETE FROM {}", piece.table.id.sql())).await.map(|()| Copied::All)
            }
            Self::Rows(piece) if writer.suspects => {
                let mut suspects = Loading::new(piece);
                let doing = format!("cannot load table `{}`", piece.table.id);
                let found = search(writer, &mut suspects, &doing, &piece.table.stream).await;
                found.map(|()| suspects.copied)
            }
            Self::Rows(piece) => load(writer, piece).await,
        };
        self.explained(loaded)
    }

    /// Loads, inside a transaction and its savepoint `copy`, beside other pieces of its stream. It does nothing where it meets rows
    /// that are there already: whether those came before it or after, it cannot tell.
    pub(super) async fn run_beside(&self, writer: &mut Writer) -> Result<Copied> {
        let pieces = std::slice::from_ref(self.piece());
        let loaded = match copy_in_savepoint(writer, pieces).await {
            Ok(Copied::SomeAreThere) if self.piece().mode == WriteMode::Append => {
                add_missing(writer, pieces).await.map(|()| Copied::All)
            }
            // Two pieces that wait for each other's rows.
            Err(failure) if failure.is_contention() => Ok(Copied::SomeAreThere),
            copied => copied,
        };
        self.explained(loaded)
    }

    fn explained(&self, loaded: Result<Copied>) -> Result<Copied> {
        let table = &self.piece().table;
        loaded.map_err(|failure| {
            failure.of_stream(format_args!("cannot load table `{}`", table.id), &table.stream)
        })
    }

    /// What is to be noted of it.
    pub(super) fn rows(&self) -> Option<LoadedRows> {
        let Piece { changes, sequence, .. } = self.piece();
        let ordinals: &UInt64Array = changes.ordinals()?;
        let last = changes.rows().checked_sub(1)?;
        Some(LoadedRows {
            stream: changes.schema().stream().as_str().to_owned(),
            sequence: *sequence,
            first: ordinals.value(0),
            last: ordinals.value(last),
        })
    }
}

/// Copies rows into their table, or merges them where it may hold some of them.
pub(super) async fn load(writer: &mut Writer, piece: &Piece) -> Result<Copied> {
    let pieces = std::slice::from_ref(piece);
    if piece.table.made && copy(writer, pieces).await? == Copied::All {
        return Ok(Copied::All);
    }
    match piece.mode {
        WriteMode::Append => return add_missing(writer, pieces).await.map(|()| Copied::All),
        WriteMode::History => {
            piece.write_versions(writer).await?;
            return Ok(Copied::SomeAreThere);
        }
        WriteMode::Mirror | WriteMode::SoftDelete | WriteMode::Replace => {}
    }
    let mut parking = Parking::default();
    let (rows, most) = (piece.changes.rows(), most_rows(&piece.changes));
    for start in (0..rows).step_by(most) {
        let changes = piece.changes.slice(start, most.min(rows - start));
        if merge(writer, &piece.table, std::slice::from_ref(&changes), false).await? == Merged::No {
            stepwise::apply(writer, &piece.table, &changes, false, &mut parking).await?;
        }
    }
    parking.forget(writer, &piece.table).await?;
    Ok(Copied::SomeAreThere)
}
