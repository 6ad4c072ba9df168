//! `history`: every change of a record makes a version of it, and ends the one before.
//!
//! A version is valid from the watermark of its change, but not before the one that it follows upon: the watermark of a change
//! that waited for an initial sync may be earlier than that of the record which was read. And it ends at the watermark of the
//! change that ends it, or when it began where that is later. So one that has a length ends when its change says, and whatever
//! comes later under its key begins then or later: versions of a key never overlap, as long as a record is read once, and
//! nothing depends on which changes are written together.

mod merge;
mod stepwise;
mod versions;

use std::sync::Arc;

use tidemark_engine::{LogId, change::Op, write::Delivery};

pub(super) use self::stepwise::Displaced;
use super::{ahead::runs, failure::Result, gathered::FEW, table::Table, writer::Writer};
use crate::{metadata, postgres::identifier::quoted};

/// Writes changes of one table that it has not seen, inside a transaction, in source order.
pub(super) async fn write(
    writer: &mut Writer,
    table: &Arc<Table>,
    log: &LogId,
    deliveries: Vec<Delivery>,
    displaced: &mut Displaced,
) -> Result<()> {
    let mut between = Vec::new();
    for delivery in deliveries {
        let changes = &delivery.changes;
        let ops = (0..changes.rows()).map(|row| changes.op(row)).collect::<Result<Vec<_>, _>>()?;
        for (start, rows, truncates) in runs(ops.len(), |row| ops[row] == Op::Truncate) {
            let part = Delivery { changes: changes.slice(start, rows), ..delivery.clone() };
            if truncates {
                write_between(writer, table, log, std::mem::take(&mut between), displaced).await?;
                stepwise::write(writer, table, log, &part, displaced).await?;
            } else {
                between.push(part);
            }
        }
    }
    write_between(writer, table, log, between, displaced).await
}

/// Writes changes without a truncate among them.
async fn write_between(
    writer: &mut Writer,
    table: &Arc<Table>,
    log: &LogId,
    deliveries: Vec<Delivery>,
    displaced: &mut Displaced,
) -> Result<()> {
    let deliveries = Arc::new(deliveries);
    let rows = deliveries.iter().map(|delivery| delivery.changes.rows()).sum::<usize>();
    if rows > FEW && displaced.is_empty() && merge::merge(writer, table, log, &deliveries).await? {
        return Ok(());
    }
    for delivery in deliveries.iter() {
        stepwise::write(writer, table, log, delivery, displaced).await?;
    }
    Ok(())
}

/// Takes back what has been written of an initial sync after the change `last`: it is to be written again, after what comes
/// before it. While a stream is synced for the first time, the last version of each key is the valid one.
pub(super) async fn take_back_after(writer: &mut Writer, table: &Table, last: &str) -> Result<()> {
    let (name, Columns { position, valid_to, .. }) = (table.id.sql(), Columns::new());
    // Versions of another log, in a table that was there before, are none of ours.
    let log = last.rsplitn(3, '-').nth(2).map_or_else(String::new, |log| format!("{log}-"));
    let delete = format!("DELETE FROM {name} WHERE {position} > $1 AND starts_with({position}, $2)");
    if writer.execute(&delete, &[&last, &log]).await? == 0 {
        return Ok(());
    }
    let is_later = table.key.iter().map(|&index| &table.fields[index].name);
    let is_later = is_later.map(|key| format!("l.{key} = t.{key}")).collect::<Vec<_>>().join(" AND ");
    writer
        .run(&format!(
            "UPDATE {name} AS t SET {valid_to} = NULL WHERE t.{valid_to} IS NOT NULL
             AND NOT EXISTS (SELECT FROM {name} AS l WHERE {is_later} AND l.{position} > t.{position})"
        ))
        .await
}

/// The names as SQL of the columns that say when a version is valid.
pub(super) struct Columns {
    pub(super) position: String,
    pub(super) valid_from: String,
    pub(super) valid_to: String,
}

impl Columns {
    pub(super) fn new() -> Self {
        Self {
            position: quoted(metadata::POSITION),
            valid_from: quoted(metadata::VALID_FROM),
            valid_to: quoted(metadata::VALID_TO),
        }
    }
}
