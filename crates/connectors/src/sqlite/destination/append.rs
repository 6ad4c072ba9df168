//! `append`: every change is a row, once.

use rusqlite::{Connection, types::ValueRef};
use tidemark_engine::{
    ChangeId, Error, LogId, Time,
    arrow_array::Array,
    write::{Delivery, WriteMode},
};

use super::{
    bind::{Cells, bind},
    shape::metadata_of,
    table::Table,
};
use crate::{metadata, sqlite::failure::Result};

/// Adds every change of `delivery`, save those that are there already. `at` is the row that is being written.
pub(super) fn apply(
    connection: &Connection,
    table: &Table,
    log: &LogId,
    delivery: &Delivery,
    at: &mut Option<usize>,
) -> Result<()> {
    use std::fmt::Write;
    let Delivery { sequence, changes, .. } = delivery;
    let unnumbered = || Error::internal("a batch reached a destination before it was numbered");
    let ordinals = changes.ordinals().ok_or_else(unnumbered)?;
    let mut insert = connection.prepare_cached(&insert_sql(table))?;
    let fields = Cells::all(changes, table);
    let times = changes.columns().source_times.as_ref();
    let (mut scratch, mut position) = (String::new(), String::new());
    for row in 0..changes.rows() {
        *at = Some(row);
        position.clear();
        let id = ChangeId { log, sequence: *sequence, ordinal: ordinals.value(row) };
        // Writing to a `String` cannot fail.
        let _ = write!(position, "{id}");
        bind(&mut insert, 1, ValueRef::Text(position.as_bytes()))?;
        bind(&mut insert, 2, ValueRef::Text(changes.op(row)?.as_str().as_bytes()))?;
        let time = times.filter(|times| times.is_valid(row)).map(|times| Time::from_micros(times.value(row)));
        bind(&mut insert, 3, text(time.map(|time| time.to_string()).as_deref()))?;
        bind(&mut insert, 4, text(metadata::unchanged_names(changes, row).as_deref()))?;
        for (index, cells) in fields.iter().enumerate() {
            cells.bind(&mut insert, index + 5, row, &mut scratch)?;
        }
        insert.raw_execute()?;
    }
    Ok(())
}

fn text(text: Option<&str>) -> ValueRef<'_> {
    text.map_or(ValueRef::Null, |text| ValueRef::Text(text.as_bytes()))
}

fn insert_sql(table: &Table) -> String {
    let metadata = metadata_of(WriteMode::Append).iter().map(|(name, _)| *name);
    let names = metadata.chain(table.fields.iter().map(|(name, _)| name.as_str())).collect::<Vec<_>>();
    let marks = vec!["?"; names.len()].join(", ");
    format!(
        "INSERT INTO {} ({}) VALUES ({marks}) ON CONFLICT ({}) DO NOTHING",
        table.name,
        names.join(", "),
        metadata::POSITION
    )
}
