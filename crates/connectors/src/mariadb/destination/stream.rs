//! Changes of one stream on their way into its table: gathered over commits, so that each trip to the server is worth it.

use tidemark_engine::{
    Error, LogId,
    change::{ChangeBatch, Op},
    read::Phase,
    write::{Delivery, WriteMode},
};

use super::{
    append,
    history::{self, Displaced, moment},
    keys::{Batch, blamed},
    lines::Lines,
    mirror::{self, Mirrored},
    scratch::Scratch,
    table::Table,
    writer::Writer,
};
use crate::{
    mariadb::failure::{Failure, Result},
    metadata::{VALID_FROM, VALID_TO},
};

/// A stream's changes are applied when there are this many of them.
const MOST_ROWS: usize = 10_000;
/// Or when they take this much memory.
const MOST_BYTES: usize = 8 << 20;
/// Rows that wait for a change that is to come are forgotten when so many changes have come without it.
const MOST_PATIENCE: usize = 10 * MOST_ROWS;

/// What all changes of a unit have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Doing<'a> {
    pub(super) log: &'a LogId,
    pub(super) mode: WriteMode,
    /// Whether it tries dead letters again, which their tables never had.
    pub(super) retries: bool,
    /// Whether to find the change that a batch fails over: the unit has failed before.
    pub(super) suspects: bool,
}

/// What is known of a stream while a destination is open.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) table: Table,
    /// The newest commit of this unit that concerns it.
    pub(super) seen: Option<u64>,
    /// Whether this unit has written to its table.
    pub(super) has_written: bool,
    scratch: Scratch,
    displaced: Displaced,
    /// Whether records that come to be are loaded straight into the table.
    loads: bool,
    gathered: Vec<Delivery>,
    rows: usize,
    bytes: usize,
}

impl Stream {
    pub(super) fn new(table: Table) -> Self {
        let (scratch, displaced) = (Scratch::default(), Displaced::default());
        Self {
            table,
            seen: None,
            has_written: false,
            scratch,
            displaced,
            loads: true,
            gathered: Vec::new(),
            rows: 0,
            bytes: 0,
        }
    }

    /// How much memory the gathered changes take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Goes on with `table`, which is the same made ready for another schema.
    pub(super) async fn follow(&mut self, writer: &mut Writer, table: Table) -> Result<()> {
        let applied = self.table.applied;
        self.table = Table { applied, ..table };
        self.scratch.clear(writer).await
    }

    /// Adds changes, and applies what is gathered when that is enough.
    pub(super) async fn add(
        &mut self,
        writer: &mut Writer,
        doing: Doing<'_>,
        delivery: Delivery,
    ) -> Result<()> {
        self.seen = self.seen.max(Some(delivery.played));
        let mut start = 0;
        while start < delivery.changes.rows() {
            let most = MOST_ROWS - self.rows.min(MOST_ROWS - 1);
            let rows = (delivery.changes.rows() - start).min(most).min(most_rows(&delivery.changes));
            let changes = delivery.changes.slice(start, rows);
            start += rows;
            self.rows += rows;
            self.bytes += changes.byte_size();
            self.gathered.push(Delivery { changes, ..delivery.clone() });
            if self.rows >= MOST_ROWS || self.bytes >= MOST_BYTES {
                self.flush(writer, doing, true).await?;
            }
        }
        Ok(())
    }

    /// Applies what is gathered. Where there is more to come it may wait for that. The failure is that of the stream.
    pub(super) async fn flush(
        &mut self,
        writer: &mut Writer,
        doing: Doing<'_>,
        more_to_come: bool,
    ) -> Result<()> {
        let gathered = std::mem::take(&mut self.gathered);
        if gathered.is_empty() {
            return Ok(());
        }
        self.has_written = true;
        let more_to_come = more_to_come && self.rows < MOST_PATIENCE;
        let applied = match doing.suspects {
            false => self.apply(writer, doing, &gathered, more_to_come).await,
            true => self.search(writer, doing, &gathered, more_to_come).await,
        };
        let of_table = format!("cannot write to table `{}`", self.table.name);
        match applied.map_err(|failure| failure.of_stream(of_table, &self.table.stream))? {
            Mirrored::Yes => (self.rows, self.bytes) = (0, 0),
            Mirrored::Parked => self.gathered = gathered,
        }
        Ok(())
    }

    /// Forgets what only changes of the same unit can ask for.
    pub(super) fn end_unit(&mut self) {
        self.displaced.clear();
        self.has_written = false;
    }

    /// Applies `deliveries`, which follow upon what has been applied.
    async fn apply(
        &mut self,
        writer: &mut Writer,
        doing: Doing<'_>,
        deliveries: &[Delivery],
        more_to_come: bool,
    ) -> Result<Mirrored> {
        if doing.mode == WriteMode::Append {
            let may_be_there = doing.retries || deliveries.iter().any(|it| self.is_replayed(it, doing));
            append::apply(writer, &mut self.scratch, &self.table, doing.log, deliveries, may_be_there)
                .await?;
            return Ok(Mirrored::Yes);
        }
        if self.table.key.is_empty() {
            append::apply_keyless(writer, &self.table, deliveries).await?;
            return Ok(Mirrored::Yes);
        }
        // A truncate is a barrier.
        let mut between = Vec::new();
        for delivery in deliveries {
            let changes = &delivery.changes;
            let ops = (0..changes.rows()).map(|row| changes.op(row)).collect::<Result<Vec<_>, _>>()?;
            let mut start = 0;
            while let Some(at) = ops[start..].iter().position(|op| *op == Op::Truncate).map(|at| start + at) {
                between.push(part(delivery, start, at - start));
                self.merge(writer, doing, &std::mem::take(&mut between), false).await?;
                self.truncate(writer, doing, delivery, at).await?;
                start = at + 1;
            }
            between.push(part(delivery, start, ops.len() - start));
        }
        let has_truncated = between.len() < deliveries.len();
        self.merge(writer, doing, &between, more_to_come && !has_truncated).await
    }

    /// Applies changes among which there is no truncate.
    async fn merge(
        &mut self,
        writer: &mut Writer,
        doing: Doing<'_>,
        deliveries: &[Delivery],
        more_to_come: bool,
    ) -> Result<Mirrored> {
        let is_history = doing.mode == WriteMode::History;
        // Versions that came later stand upon those that the table has: nothing can be added below them.
        let wanted = |it: &&Delivery| it.changes.rows() > 0 && !(is_history && self.is_replayed(it, doing));
        let deliveries = deliveries.iter().filter(wanted).cloned().collect::<Vec<_>>();
        if deliveries.is_empty() {
            return Ok(Mirrored::Yes);
        }
        let batch = Batch::read(&deliveries)?;
        if is_history {
            history::apply(writer, &mut self.scratch, &self.table, doing.log, &batch, &mut self.displaced)
                .await?;
            return Ok(Mirrored::Yes);
        }
        let is_replayed = deliveries.iter().map(|it| self.is_replayed(it, doing)).collect::<Vec<_>>();
        if self.loads && !doing.retries && !is_replayed.contains(&true) && is_new(&batch)? {
            let columns = self.table.field_list();
            let rows = self.lines(&deliveries)?;
            if append::load_new(writer, &self.table.sql, &columns, rows).await? {
                return Ok(Mirrored::Yes);
            }
            // It may well be so again: a record that comes anew may be there as deleted.
            self.loads = false;
        }
        mirror::apply(writer, &mut self.scratch, &self.table, &batch, &is_replayed, more_to_come).await
    }

    fn lines(&self, deliveries: &[Delivery]) -> Result<bytes::Bytes, Error> {
        let mut lines = Lines::default();
        for delivery in deliveries {
            let changes = &delivery.changes;
            let columns = (0..self.table.fields.len()).map(|index| changes.column(index)).collect::<Vec<_>>();
            for row in 0..changes.rows() {
                for (field, column) in self.table.fields.iter().zip(&columns) {
                    let added = lines.add_cell(field, &column.cell(row), &self.table.stream);
                    added.map_err(|error| blamed(delivery, row, error))?;
                }
                lines.end_row();
            }
        }
        Ok(lines.finish())
    }

    /// Whether the table has seen `delivery` before.
    fn is_replayed(&self, delivery: &Delivery, doing: Doing<'_>) -> bool {
        !doing.retries && self.table.applied.is_some_and(|applied| delivery.played <= applied)
    }

    /// Every record is gone. Where they stay they say so, unless it is an initial sync that begins anew: it never was complete.
    async fn truncate(
        &mut self,
        writer: &mut Writer,
        doing: Doing<'_>,
        delivery: &Delivery,
        row: usize,
    ) -> Result<()> {
        let is_history = doing.mode == WriteMode::History;
        if is_history && self.is_replayed(delivery, doing) {
            return Ok(());
        }
        self.displaced.clear();
        let table = &self.table.sql;
        let sql = match self.table.deleted_at().map(|index| &self.table.fields[index].sql) {
            _ if delivery.phase == Phase::InitialSync => None,
            Some(deleted_at) => {
                Some(format!("UPDATE {table} SET {deleted_at} = ? WHERE {deleted_at} IS NULL"))
            }
            None if is_history => Some(format!(
                "UPDATE {table} SET {VALID_TO} = GREATEST(CAST(? AS DATETIME(6)), {VALID_FROM}) WHERE {VALID_TO} IS NULL"
            )),
            None => None,
        };
        match sql {
            Some(sql) => writer.execute(&sql, (moment(delivery.watermark(row)?)?,)).await?,
            None => writer.run(&format!("DELETE FROM {table}")).await?,
        };
        Ok(())
    }

    /// Applies `deliveries`, or fails over the first change that does not go. Ever shorter beginnings of them are tried and taken back,
    /// until one goes and does not with the next change.
    async fn search(
        &mut self,
        writer: &mut Writer,
        doing: Doing<'_>,
        deliveries: &[Delivery],
        more_to_come: bool,
    ) -> Result<Mirrored> {
        let displaced = self.displaced.clone();
        writer.run("SAVEPOINT suspect").await?;
        let mut failure = match self.apply(writer, doing, deliveries, more_to_come).await {
            Err(failure) if failure.is_of_data() => failure,
            outcome => return outcome,
        };
        let rows = deliveries.iter().map(|delivery| delivery.changes.rows()).sum::<usize>();
        let (mut goes, mut fails) = (0, rows);
        while fails - goes > 1 {
            let middle = goes + (fails - goes) / 2;
            writer.run("ROLLBACK TO SAVEPOINT suspect").await?;
            self.displaced = displaced.clone();
            match self.apply(writer, doing, &first(deliveries, middle), false).await {
                Ok(_) => goes = middle,
                Err(other) if other.is_of_data() => (failure, fails) = (other, middle),
                Err(other) => return Err(other),
            }
        }
        let Some(last) = first(deliveries, fails).pop() else { return Err(failure) };
        let of_table = format!("cannot write to table `{}`", self.table.name);
        match failure.of_stream(of_table, &self.table.stream) {
            Failure::Known(error) if error.change().is_none() => {
                Err(blamed(&last, last.changes.rows().saturating_sub(1), error).into())
            }
            failure => Err(failure),
        }
    }
}

/// How many of `changes` may be gathered at once.
fn most_rows(changes: &ChangeBatch) -> usize {
    (MOST_BYTES * changes.rows().max(1) / changes.byte_size().max(1)).clamp(1, MOST_ROWS)
}

/// Whether all are records that come to be, each under a key of its own.
fn is_new(batch: &Batch<'_>) -> Result<bool> {
    let mut is_new = batch.len() == batch.keys.len();
    for (at, _) in &batch.keys {
        is_new &= matches!(batch.view(*at).op(at.row)?, Op::Read | Op::Create);
    }
    Ok(is_new)
}

fn part(delivery: &Delivery, start: usize, rows: usize) -> Delivery {
    Delivery { changes: delivery.changes.slice(start, rows), ..delivery.clone() }
}

/// The first `rows` changes of all that `deliveries` hold.
fn first(deliveries: &[Delivery], rows: usize) -> Vec<Delivery> {
    let mut left = rows;
    let mut beginning = Vec::new();
    for delivery in deliveries {
        let rows = delivery.changes.rows().min(left);
        if rows > 0 {
            beginning.push(part(delivery, 0, rows));
        }
        left -= rows;
    }
    beginning
}
