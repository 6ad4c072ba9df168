//! Records that no key tells apart, of a stream that is read whole and then shown whole (`replace`).

use rusqlite::Connection;
use tidemark_engine::{
    Error,
    change::{ChangeBatch, Op},
};

use super::{bind::Cells, table::Table};
use crate::sqlite::failure::Result;

/// Adds the records of `changes`. `at` is the row that is being written.
pub(super) fn apply(
    connection: &Connection,
    table: &Table,
    changes: &ChangeBatch,
    at: &mut Option<usize>,
) -> Result<()> {
    let names = table.fields.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>();
    let marks = vec!["?"; names.len()].join(", ");
    let sql = format!("INSERT INTO {} ({}) VALUES ({marks})", table.name, names.join(", "));
    let mut insert = connection.prepare_cached(&sql)?;
    let fields = Cells::all(changes, table);
    let mut scratch = String::new();
    for row in 0..changes.rows() {
        *at = Some(row);
        match changes.op(row)? {
            Op::Truncate => drop(connection.execute(&format!("DELETE FROM {}", table.name), [])?),
            Op::Read | Op::Create => {
                for (cells, parameter) in fields.iter().zip(1..) {
                    cells.bind(&mut insert, parameter, row, &mut scratch)?;
                }
                insert.raw_execute()?;
            }
            Op::Update | Op::Delete => {
                return Err(Error::internal("a record without a key was changed").into());
            }
        }
    }
    Ok(())
}
