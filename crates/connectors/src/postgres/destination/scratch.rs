//! Temporary tables that a session works with, beside each table it merges into.

use super::{failure::Result, table::Table, writer::Writer};
use crate::{metadata, postgres::identifier::quoted};

/// Rows that a work table may have held since it was last truncated. Emptying it by DELETE is cheap but leaves dead rows
/// behind, which every later statement reads over; TRUNCATE gives the table new files, too dear for a small batch.
const WORN: usize = 20_000;

/// One of the temporary tables. Each costs locks, which a server has not without end, so it is made when it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Work,
    Moved,
    Parked,
    Versions,
    Former,
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
    /// Versions to be made, and the keys they follow upon: see [`super::history`].
    pub(super) versions: String,
    /// Where the versions are that are valid under these keys, by the `id` of the key.
    pub(super) former: String,
    /// Which of them are there.
    made: Vec<Part>,
    /// Rows that `work` or `versions` has held since it was last truncated: a table has one of the two.
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
            versions: name("versions"),
            former: name("former"),
            made: Vec::new(),
            worn: 0,
        }
    }

    fn name(&self, part: Part) -> &str {
        match part {
            Part::Work => &self.work,
            Part::Moved => &self.moved,
            Part::Parked => &self.parked,
            Part::Versions => &self.versions,
            Part::Former => &self.former,
        }
    }

    /// The statement that empties the work table for `rows` more.
    pub(super) fn empty_sql(&mut self, part: Part, rows: usize) -> String {
        let is_worn = self.worn > WORN;
        self.worn = if is_worn { rows } else { self.worn + rows };
        let name = self.name(part);
        if is_worn { format!("TRUNCATE {name}") } else { format!("DELETE FROM {name}") }
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
            Part::Versions => {
                let own = "0 AS id, ''::text AS action, 0 AS base, now() AS since, now() AS until";
                let position = format!("{} AS position, ''::bytea AS carried", quoted(metadata::POSITION));
                let fields = table.fields.iter().enumerate();
                let fields = fields.map(|(index, field)| format!("{} AS c{index}", field.name));
                format!("{own}, {position}, {}", fields.collect::<Vec<_>>().join(", "))
            }
            Part::Former => {
                let (position, valid_from) = (quoted(metadata::POSITION), quoted(metadata::VALID_FROM));
                format!("0 AS id, {position} AS position, {valid_from} AS valid_from")
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
