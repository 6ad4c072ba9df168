//! One sweep: a statement that runs to its end on a thread of its own, and what it finds, some records at a time.
//!
//! A statement shows the database as it was when it began, whatever is written meanwhile. It cannot be left and gone on with elsewhere, so its
//! thread waits while what it has found is not taken yet.

use std::{sync::Arc, thread};

use rusqlite::{Connection, InterruptHandle};
use tidemark_engine::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::{database::Database, query::Query, rows::SqliteRows, since::Since};
use crate::{
    polling::Plan,
    queries::{self, QueryStream, Unique},
    records::{Cell, Rows},
};

/// Records and bytes that are handed over together.
const PAGE_ROWS: usize = 4_096;
const PAGE_BYTES: usize = 1 << 20;

/// What a thread has found: some records, and whether there are no more.
pub(super) type Found = (SqliteRows, bool);

/// A sweep under way. Dropping it ends it.
pub(super) struct Sweeping {
    found: mpsc::Receiver<Result<Found>>,
    interrupt: Option<InterruptHandle>,
    /// How many pages have been given out.
    pub(super) pages: u64,
    _reader: OwnedSemaphorePermit,
}

/// What a sweep asks for.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) stream: QueryStream,
    pub(super) plan: Arc<Plan>,
    pub(super) since: Option<Since>,
}

impl Sweeping {
    /// Begins it, on a connection of its own.
    pub(super) async fn begin(
        database: Database,
        order: Order,
        reader: OwnedSemaphorePermit,
    ) -> Result<Self> {
        // One page is ready while another is looked at.
        let (pages, found) = mpsc::channel(1);
        let (handle, interrupt) = oneshot::channel();
        // Not one of the threads that files are read on: it waits for those who need them.
        let run = move || {
            let outcome = database.open().and_then(|connection| {
                // Nobody waits for it who has gone.
                drop(handle.send(connection.get_interrupt_handle()));
                read(&connection, &database, &order, &pages)
            });
            if let Err(error) = outcome {
                drop(pages.blocking_send(Err(error)));
            }
        };
        let begun = thread::Builder::new().name("tidemark-sqlite".to_owned()).spawn(run);
        begun.map_err(|error| Error::unavailable("cannot start a thread to read with").source(error))?;
        Ok(Self { found, interrupt: interrupt.await.ok(), pages: 0, _reader: reader })
    }

    /// The next records.
    pub(super) async fn next(&mut self) -> Result<Found> {
        self.pages += 1;
        let ended = || Error::internal("a thread that reads an SQLite database has ended");
        self.found.recv().await.ok_or_else(ended)?
    }
}

impl Drop for Sweeping {
    fn drop(&mut self) {
        if let Some(interrupt) = &self.interrupt {
            interrupt.interrupt();
        }
    }
}

fn read(
    connection: &Connection,
    database: &Database,
    order: &Order,
    pages: &mpsc::Sender<Result<Found>>,
) -> Result<()> {
    let Order { stream, plan, since } = order;
    let (outline, failure) = (&plan.outline, |error| database.failure(error));
    // What the stream is like may have changed since the last sweep, and must not from here on.
    connection.execute_batch("BEGIN").map_err(failure)?;
    let query = Query::describe(connection, database, outline.name.as_str(), stream)?;
    let now = queries::plan(outline.name.as_str(), stream, &query.terms, plan.poll)?;
    if now.outline.key != outline.key {
        return Err(Error::unavailable(format!(
            "the primary key of the table of stream `{}` was altered: it is looked at again",
            outline.name
        )));
    }
    let mut columns = query.terms.columns.clone();
    columns.retain(|name| !outline.exclude.contains(name));
    let mut unique = Unique::new(&outline.name, &outline.key);
    let condition = since.as_ref().map(|since| since.condition(&query)).transpose()?;
    let (condition, parameter) = condition.unzip();
    let sql = query.sql(&columns, condition.as_deref(), &outline.key)?;
    let mut statement = connection.prepare(&sql).map_err(|error| database.refusal(&query.stream, error))?;
    let mark = since.as_ref().and_then(|since| {
        let place = columns.iter().position(|name| *name == since.column)?;
        Some((place, since))
    });
    let mut records = statement.query(rusqlite::params_from_iter(parameter)).map_err(failure)?;
    let mut rows = SqliteRows::new(&columns);
    let mut give = |rows: SqliteRows, is_last: bool| {
        unique.check(&rows)?;
        // Nobody takes it any more: then it was for nothing.
        Ok::<_, Error>(pages.blocking_send(Ok((rows, is_last))).is_ok())
    };
    while let Some(record) = records.next().map_err(failure)? {
        if rows.len() >= PAGE_ROWS || rows.bytes() >= PAGE_BYTES {
            let full = std::mem::replace(&mut rows, SqliteRows::new(&columns));
            if !give(full, false)? {
                return Ok(());
            }
        }
        rows.add(record, &query.stream)?;
        if let Some((place, since)) = mark
            && !is_reached(&rows, place, since)
        {
            rows.pop();
        }
    }
    give(rows, true).map(drop)
}

/// Whether the last of `rows` has reached the mark.
fn is_reached(rows: &SqliteRows, place: usize, since: &Since) -> bool {
    match rows.cell(place, rows.len() - 1) {
        Cell::Value { text, .. } => since.is_reached_by(text),
        Cell::Missing | Cell::Null => false,
    }
}
