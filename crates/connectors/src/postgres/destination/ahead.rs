//! Rows of an initial sync, loaded ahead of the position by several sessions at once.
//!
//! Each piece is committed by itself, together with a note of which rows it held, under the epoch and at the position of its
//! unit. After a crash what is noted is not loaded again; when the position has moved past it the notes go. So readers see a
//! table fill up, or empty and fill up again, while it is synced for the first time or anew; no other change is ever seen ahead
//! of its unit.

use std::{collections::HashMap, sync::Arc};

use tidemark_engine::{
    Position, Result as EngineResult,
    arrow_array::UInt64Array,
    change::{ChangeBatch, Op},
    read::Phase,
    schema::StreamName,
    write::{Delivery, WriteMode},
};
use tokio::task::JoinSet;

use super::{
    bulk::{Copied, add_missing, copy},
    failure::{Failure, Result},
    gathered::most_rows,
    ledger::{self, LoadedRows, Tenure},
    merge::merge,
    parking::Parking,
    piece::Piece,
    stepwise,
    writer::Writer,
};
use crate::postgres::connection::Server;

/// What has been loaded ahead of the position, by stream and commit.
#[derive(Debug, Default)]
pub(super) struct Loaded(HashMap<(String, u64), Vec<(u64, u64)>>);

impl Loaded {
    pub(super) fn note(&mut self, rows: LoadedRows) {
        self.0.entry((rows.stream, rows.sequence)).or_default().push((rows.first, rows.last));
    }

    /// Forgets what is known of `stream` up to commit `sequence`; `false` when nothing was.
    pub(super) fn forget(&mut self, stream: &str, sequence: u64) -> bool {
        let known = self.0.len();
        self.0.retain(|(of, at), _| of != stream || *at > sequence);
        self.0.len() < known
    }

    /// The parts of `changes` that have not been loaded.
    pub(super) fn missing(&self, sequence: u64, changes: &ChangeBatch) -> Vec<ChangeBatch> {
        let key = (changes.schema().stream().as_str().to_owned(), sequence);
        let (Some(spans), Some(ordinals)) = (self.0.get(&key), changes.ordinals()) else {
            return vec![changes.clone()];
        };
        let is_loaded = |row: usize| {
            let ordinal = ordinals.value(row);
            spans.iter().any(|(first, last)| (*first..=*last).contains(&ordinal))
        };
        runs(changes.rows(), is_loaded)
            .into_iter()
            .filter(|(_, _, loaded)| !loaded)
            .map(|(start, rows, _)| changes.slice(start, rows))
            .collect()
    }
}

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

/// Changes of an initial sync that are loaded in one go.
pub(super) enum Load {
    /// Void what the table holds, and what has been loaded of it.
    Begin(Piece),
    Rows(Piece),
}

impl Load {
    /// `piece` in order: in a mirror, each truncate begins anew; in `append` it is a row like any other.
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

    /// Loads, inside a transaction. The failure is that of the stream.
    pub(super) async fn run(&self, writer: &mut Writer, tenure: &Tenure) -> Result<()> {
        let table = &self.piece().table;
        let loaded = match self {
            Self::Begin(piece) => begin_anew(writer, piece, tenure).await,
            Self::Rows(piece) => load(writer, piece).await,
        };
        loaded.map_err(|failure| {
            failure.of_stream(format_args!("cannot load table `{}`", table.id), &table.stream)
        })
    }

    /// What is to be noted of it.
    fn rows(&self) -> Option<LoadedRows> {
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

async fn begin_anew(writer: &mut Writer, piece: &Piece, tenure: &Tenure) -> Result<()> {
    writer.run(&format!("DELETE FROM {}", piece.table.id.sql())).await?;
    tenure.forget_loaded(writer, piece.table.stream.as_str(), piece.sequence).await
}

/// Copies rows into their table, or merges them where it may hold some of them.
async fn load(writer: &mut Writer, piece: &Piece) -> Result<()> {
    let pieces = std::slice::from_ref(piece);
    if piece.table.made && copy(writer, pieces).await? == Copied::All {
        return Ok(());
    }
    if piece.mode == WriteMode::Append {
        return add_missing(writer, pieces).await;
    }
    let mut parking = Parking::default();
    let (rows, most) = (piece.changes.rows(), most_rows(&piece.changes));
    for start in (0..rows).step_by(most) {
        let changes = piece.changes.slice(start, most.min(rows - start));
        if !merge(writer, &piece.table, std::slice::from_ref(&changes)).await? {
            stepwise::apply(writer, &piece.table, &changes, false, &mut parking).await?;
        }
    }
    parking.forget(writer, &piece.table).await
}

/// The sessions that load ahead.
pub(super) struct Loaders {
    server: Server,
    most: usize,
    idle: Vec<Writer>,
    busy: JoinSet<(StreamName, Result<Writer>)>,
}

impl Loaders {
    /// At most `most` sessions; they connect when they are needed.
    pub(super) fn new(server: Server, most: usize) -> Self {
        Self { server, most: most.max(1), idle: Vec::new(), busy: JoinSet::new() }
    }

    /// Loads one piece in a transaction of its own, as soon as a session is free. What came before of the same stream may still be
    /// under way, save that a beginning waits for everything.
    pub(super) async fn take(&mut self, load: Load, tenure: &Arc<Tenure>, begin: &Position) -> Result<()> {
        let is_barrier = matches!(load, Load::Begin(_));
        if is_barrier {
            self.finish().await?;
        }
        let mut writer = self.free(tenure).await?;
        let (tenure, begin, stream) = (tenure.clone(), begin.clone(), load.piece().table.stream.clone());
        self.busy.spawn(async move {
            let outcome = in_transaction(&mut writer, &load, &tenure, &begin).await;
            (stream, outcome.map(|()| writer))
        });
        if is_barrier { self.finish().await } else { Ok(()) }
    }

    /// Waits until everything is loaded.
    pub(super) async fn finish(&mut self) -> Result<()> {
        while !self.busy.is_empty() {
            self.join_one().await?;
        }
        Ok(())
    }

    async fn free(&mut self, tenure: &Tenure) -> Result<Writer> {
        if let Some(writer) = self.idle.pop() {
            return Ok(writer);
        }
        if self.busy.len() < self.most {
            let mut writer = Writer::connect(&self.server, "loader").await?;
            ledger::register_session(&mut writer, &tenure.destination).await?;
            return Ok(writer);
        }
        self.join_one().await?;
        self.idle.pop().ok_or_else(|| Failure::Known(tidemark_engine::Error::internal("no loader came back")))
    }

    async fn join_one(&mut self) -> Result<()> {
        if let Some(joined) = self.busy.join_next().await {
            let (_, writer) = joined?;
            self.idle.push(writer?);
        }
        Ok(())
    }
}

/// The commit need not wait for the disk: rows and note are lost together or not at all, and the commit that moves the position,
/// which comes after them in the server's log, does wait.
async fn in_transaction(writer: &mut Writer, load: &Load, tenure: &Tenure, begin: &Position) -> Result<()> {
    writer.run("BEGIN; SET LOCAL synchronous_commit = off").await?;
    tenure.hold(writer, begin).await?;
    load.run(writer, tenure).await?;
    if let Some(rows) = load.rows() {
        tenure.note_loaded(writer, &rows).await?;
    }
    writer.run("COMMIT").await
}
