//! Temporary tables that a session works with, beside each table it merges into.

use super::{failure::Result, table::Table, writer::Writer};

/// Rows that a work table may have held since it was last truncated. Emptying it by DELETE is cheap but leaves dead rows
/// behind, which every later statement reads over; TRUNCATE gives the table new files, too dear for a small batch.
const WORN: usize = 20_000;

/// One of the temporary tables. Each costs locks, which a server has not without end, so it is made when it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Work,
    Moved,
    Parked,
}

/// The temporary tables of one session for one table.
#[derive(Debug, Clone)]
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
    /// Which of them are there.
    made: Vec<Part>,
    /// Rows that `work` has held since it was last truncated.
    worn: usize,
}

/// The column by which rows in `moved` and `parked` are found. No column of a stream can have its name.
pub(super) const ID: &str = "_tidemark_id";

impl Scratch {
    /// Makes those of the tables that `needed` names for `table` as it is now. Not inside a savepoint, which could take them back.
    pub(super) async fn make(writer: &mut Writer, table: &Table, needed: &[Part]) -> Result<()> {
        let mut needed = needed.to_vec();
        let mut scratch = match writer.scratch.remove(&table.id) {
            Some(scratch) if scratch.shape == table.shape() => scratch,
            Some(old) => {
                let names = old.made.iter().map(|part| old.name(*part)).collect::<Vec<_>>().join(", ");
                writer.run(&format!("DROP TABLE {names}")).await?;
                needed.extend(old.made);
                Self::named(writer.next_number(), table)
            }
            None => Self::named(writer.next_number(), table),
        };
        for part in needed {
            if !scratch.made.contains(&part) {
                writer.run(&scratch.create_sql(table, part)).await?;
                scratch.made.push(part);
            }
        }
        writer.scratch.insert(table.id.clone(), scratch);
        Ok(())
    }

    fn named(number: usize, table: &Table) -> Self {
        let name = |what: &str| format!("pg_temp._tidemark_{what}_{number}");
        Self {
            shape: table.shape(),
            work: name("work"),
            moved: name("moved"),
            parked: name("parked"),
            made: Vec::new(),
            worn: 0,
        }
    }

    fn name(&self, part: Part) -> &str {
        match part {
            Part::Work => &self.work,
            Part::Moved => &self.moved,
            Part::Parked => &self.parked,
        }
    }

    /// The statement that empties the work table for `rows` more.
    pub(super) fn empty_sql(&mut self, rows: usize) -> String {
        let is_worn = self.worn > WORN;
        self.worn = if is_worn { rows } else { self.worn + rows };
        if is_worn { format!("TRUNCATE {}", self.work) } else { format!("DELETE FROM {}", self.work) }
    }

    /// The columns have the types and collations of the table's own, so that they compare as those do.
    fn create_sql(&self, table: &Table, part: Part) -> String {
        let columns = match part {
            Part::Work => {
                let fields = table.fields.iter().enumerate();
                let fields = fields.map(|(index, field)| format!("{} AS c{index}", field.name));
                let old_key = table.key.iter().enumerate();
                let old_key =
                    old_key.map(|(part, &index)| format!("{} AS o{part}", table.fields[index].name));
                let own = "0 AS id, ''::text AS action, false AS free, ''::bytea AS carried";
                format!("{own}, {}", fields.chain(old_key).collect::<Vec<_>>().join(", "))
            }
            Part::Moved | Part::Parked => format!("0::bigint AS {ID}, {}", table.column_list("")),
        };
        format!(
            "CREATE TEMP TABLE {} AS SELECT {columns} FROM {} WITH NO DATA",
            self.name(part),
            table.id.sql()
        )
    }
}
