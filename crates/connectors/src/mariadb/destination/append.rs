//! `append`: every change is a row, once. And records that no key tells apart, of a stream that is read whole and then shown whole.

use bytes::Bytes;
use tidemark_engine::{
    ChangeId, Error, LogId,
    arrow_array::Array,
    change::{Cell, Op, Value},
    schema::Kind,
    write::{Delivery, WriteMode},
};

use super::{
    keys::blamed,
    lines::Lines,
    scratch::{Part, Scratch, load},
    shape::metadata_of,
    table::Table,
    writer::{Loaded, Writer},
};
use crate::{
    mariadb::{failure::Result, storage::Storage},
    metadata,
};

/// Adds every change of `deliveries`, save those that are there already, as some of them may be where `may_be_there`.
pub(super) async fn apply(
    writer: &mut Writer,
    scratch: &mut Scratch,
    table: &Table,
    log: &LogId,
    deliveries: &[Delivery],
    may_be_there: bool,
) -> Result<()> {
    let names = metadata_of(WriteMode::Append).iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let columns = format!("{names}, {}", table.field_list());
    let rows = lines(table, log, deliveries)?;
    if !may_be_there && load_new(writer, &table.sql, &columns, rows.clone()).await? {
        return Ok(());
    }
    let staged = scratch.empty(writer, table, Part::Rows).await?;
    load(writer, table, &staged, &columns, rows).await?;
    let (name, position) = (&table.sql, metadata::POSITION);
    writer
        .run(&format!(
            "INSERT INTO {name} ({columns}) SELECT {columns} FROM {staged} AS w
             WHERE NOT EXISTS (SELECT 1 FROM {name} AS t WHERE t.{position} = w.{position})"
        ))
        .await?;
    Ok(())
}

/// Loads rows straight into a table, where all of them are new to it and as it wants them; `false` when they are not, and nothing has
/// happened.
pub(super) async fn load_new(writer: &mut Writer, table: &str, columns: &str, rows: Bytes) -> Result<bool> {
    writer.run("SAVEPOINT before_load").await?;
    let loaded = writer.load(table, columns, rows).await?;
    let end = if loaded == Loaded::All {
        "RELEASE SAVEPOINT before_load"
    } else {
        "ROLLBACK TO SAVEPOINT before_load"
    };
    writer.run(end).await?;
    Ok(loaded == Loaded::All)
}

fn lines(table: &Table, log: &LogId, deliveries: &[Delivery]) -> Result<Bytes, Error> {
    let mut lines = Lines::default();
    let mut time = Vec::new();
    for delivery in deliveries {
        let Delivery { sequence, changes, .. } = delivery;
        let unnumbered = || Error::internal("a batch reached a destination before it was numbered");
        let ordinals = changes.ordinals().ok_or_else(unnumbered)?;
        let times = changes.columns().source_times.as_ref();
        let columns = (0..table.fields.len()).map(|index| changes.column(index)).collect::<Vec<_>>();
        for row in 0..changes.rows() {
            let id = ChangeId { log, sequence: *sequence, ordinal: ordinals.value(row) };
            lines.add(&id.to_string());
            lines.add(changes.op(row)?.as_str());
            time.clear();
            let cell = times.filter(|times| times.is_valid(row)).map(|times| times.value(row));
            let told = cell.is_some_and(|micros| {
                Storage::Timestamp.write(
                    &Cell::Value(Value::TimestampTz(micros)),
                    &Kind::TimestampTz,
                    &mut time,
                )
            });
            lines.add_some(told.then(|| std::str::from_utf8(&time).unwrap_or_default()));
            lines.add_some(metadata::unchanged_names(changes, row).as_deref());
            for (field, column) in table.fields.iter().zip(&columns) {
                let added = lines.add_cell(field, &column.cell(row), &table.stream);
                added.map_err(|error| blamed(delivery, row, error))?;
            }
            lines.end_row();
        }
    }
    Ok(lines.finish())
}

/// Adds the records of `deliveries`, which no key tells apart.
pub(super) async fn apply_keyless(writer: &mut Writer, table: &Table, deliveries: &[Delivery]) -> Result<()> {
    for delivery in deliveries {
        let changes = &delivery.changes;
        let columns = (0..table.fields.len()).map(|index| changes.column(index)).collect::<Vec<_>>();
        let mut lines = Lines::default();
        for row in 0..changes.rows() {
            match changes.op(row)? {
                Op::Truncate => {
                    // What came before is void.
                    lines = Lines::default();
                    writer.run(&format!("DELETE FROM {}", table.sql)).await?;
                }
                Op::Read | Op::Create => {
                    for (field, column) in table.fields.iter().zip(&columns) {
                        let added = lines.add_cell(field, &column.cell(row), &table.stream);
                        added.map_err(|error| blamed(delivery, row, error))?;
                    }
                    lines.end_row();
                }
                Op::Update | Op::Delete => {
                    return Err(Error::internal("a record without a key was changed").into());
                }
            }
        }
        load(writer, table, &table.sql, &table.field_list(), lines.finish()).await?;
    }
    Ok(())
}
