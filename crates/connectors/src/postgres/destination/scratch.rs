//! Temporary tables that a session works with, beside each table it merges into.

use super::{failure::Result, table::Table, writer::Writer};

/// Rows that a work table may have held since it was last truncated. Emptying it by DELETE is cheap but leaves dead rows
/// behind, which every later statement reads over; TRUNCATE gives the table new files, too dear for a small batch.
const WORN: usize = 20_000;

/// The temporary tables of one session for one table.
#[derive(Debug)]
pub(super) struct Scratch {
    /// The columns they were made for: a table may have been widened since by another schema than the one at hand.
    shape: String,
    /// What is to be done, a row for each key: `id`, `action`, `free`, `carried`, the fields `c0`, `c1`, ..., the old key's
    /// parts `o0`, `o1`, ...
    pub(super) work: String,
    /// Whole rows of the table on their way to another key, by the `id` of their action.
    pub(super) moved: String,
    /// Whole rows of the table that have been displaced, by a number of their own.
    pub(super) parked: String,
    /// Rows that `work` has held since it was last truncated.
    worn: usize,
}

/// The column by which rows in `moved` and `parked` are found. No column of a stream can have its name.
pub(super) const ID: &str = "_tidemark_id";

impl Scratch {
    /// Makes the tables for `table` as it is now. Not inside a savepoint, which could take them back.
    pub(super) async fn make(writer: &mut Writer, table: &Table) -> Result<()> {
        match writer.scratch.remove(&table.id) {
            Some(scratch) if scratch.shape == table.shape() => {
                writer.scratch.insert(table.id.clone(), scratch);
                return Ok(());
            }
            Some(old) => {
                writer.run(&format!("DROP TABLE {}, {}, {}", old.work, old.moved, old.parked)).await?;
            }
            None => {}
        }
        let number = writer.next_number();
        let name = |what: &str| format!("pg_temp._tidemark_{what}_{number}");
        let scratch = Self {
            shape: table.shape(),
            work: name("work"),
            moved: name("moved"),
            parked: name("parked"),
            worn: 0,
        };
        writer.run(&scratch.create_sql(table)).await?;
        writer.scratch.insert(table.id.clone(), scratch);
        Ok(())
    }

    /// The statement that empties the work table for `rows` more.
    pub(super) fn empty_sql(&mut self, rows: usize) -> String {
        let is_worn = self.worn > WORN;
        self.worn = if is_worn { rows } else { self.worn + rows };
        if is_worn { format!("TRUNCATE {}", self.work) } else { format!("DELETE FROM {}", self.work) }
    }

    /// The columns have the types and collations of the table's own, so that they compare as those do.
    fn create_sql(&self, table: &Table) -> String {
        let name = table.id.sql();
        let fields =
            table.fields.iter().enumerate().map(|(index, field)| format!("{} AS c{index}", field.name));
        let old_key = table.key.iter().enumerate();
        let old_key = old_key.map(|(part, &index)| format!("{} AS o{part}", table.fields[index].name));
        let work = fields.chain(old_key).collect::<Vec<_>>().join(", ");
        let whole = table.column_list("");
        format!(
            "CREATE TEMP TABLE {work_table} AS
                SELECT 0 AS id, ''::text AS action, false AS free, ''::bytea AS carried, {work} FROM {name} WITH NO DATA;
             CREATE TEMP TABLE {moved} AS SELECT 0::bigint AS {ID}, {whole} FROM {name} WITH NO DATA;
             CREATE TEMP TABLE {parked} AS SELECT 0::bigint AS {ID}, {whole} FROM {name} WITH NO DATA",
            work_table = self.work,
            moved = self.moved,
            parked = self.parked,
        )
    }
}
