//! `mirror` in bulk: folded changes go into a work table, and a handful of statements bring the table up to them. Records that come
//! to be are copied straight into the table.

use std::sync::Arc;

use bytes::Bytes;
use tidemark_engine::{
    change::{Cell, ChangeBatch, Value},
    schema::{Field, Kind},
};
use tokio::task::spawn_blocking;

use super::{
    copy::{Form, Rows, of_column},
    failure::{Failure, Result},
    fold::{Action, Folded, fold},
    scratch::{ID, Part, Scratch},
    table::Table,
    writer::Writer,
};
use crate::postgres::types::Target;

/// What came of a merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Merged {
    /// The table is up to the changes.
    Yes,
    /// It is, but records that came to be were there already.
    WithoutCopy,
    /// Nothing was done: the changes must be applied one by one. They displace rows, meet rows that are not there, or collide with
    /// a constraint.
    No,
}

/// Brings `table` up to `batches`, inside a transaction. Where it `copies`, records that come to be go straight into the table: the
/// quickest way there is, as long as none of them is there.
pub(super) async fn merge(
    writer: &mut Writer,
    table: &Arc<Table>,
    batches: &[ChangeBatch],
    copies: bool,
) -> Result<Merged> {
    let ways = if copies {
        &[(true, Merged::Yes), (false, Merged::WithoutCopy)][..]
    } else {
        &[(false, Merged::Yes)]
    };
    for &(copies, merged) in ways {
        let (of, batches) = (table.clone(), batches.to_vec());
        let prepared = spawn_blocking(move || Work::prepare(&of, &batches, copies)).await??;
        let Some(work) = prepared else { break };
        let has_copied = work.new > 0;
        if attempt(writer, table, work).await? {
            return Ok(merged);
        }
        if !has_copied {
            break;
        }
    }
    Ok(Merged::No)
}

/// Does `work`; `false` when it cannot be done, and is not.
async fn attempt(writer: &mut Writer, table: &Table, work: Work) -> Result<bool> {
    if work.count > 0 {
        let needed = if work.moves > 0 { &[Part::Work, Part::Moved][..] } else { &[Part::Work] };
        Scratch::make(writer, table, needed).await?;
    }
    writer.run("SAVEPOINT merge").await?;
    match work.apply(writer, table).await {
        Ok(true) => {
            writer.run("RELEASE merge").await?;
            Ok(true)
        }
        Ok(false) => give_up(writer).await,
        Err(failure) if failure.is_collision() => give_up(writer).await,
        Err(failure) => Err(failure),
    }
}

async fn give_up(writer: &mut Writer) -> Result<bool> {
    writer.run("ROLLBACK TO merge; RELEASE merge").await?;
    Ok(false)
}

/// What is to be done, written down for the work table.
struct Work {
    form: Form,
    rows: Bytes,
    count: usize,
    /// Records that go straight into the table, and how many.
    new_rows: Bytes,
    new: usize,
    /// Whether some rows must find nothing under their key.
    any_free: bool,
    updates: u64,
    moves: u64,
    /// Whether there are rows to be deleted, rows to be set.
    deletes: bool,
    sets: bool,
    /// Fields that some update carries.
    carried: Vec<bool>,
}

impl Work {
    /// Folds and writes down. `None` when the changes cannot be folded.
    fn prepare(table: &Table, batches: &[ChangeBatch], copies: bool) -> Result<Option<Self>> {
        let Some(folded) = fold(batches, table.columns.len() == table.fields.len())? else { return Ok(None) };
        let form = Form::of(table.fields.iter().map(|field| &field.target));
        match Self::write(table, &folded, form, copies) {
            Err(Failure::NeedsText) => Self::write(table, &folded, Form::Text, copies).map(Some),
            work => work.map(Some),
        }
    }

    fn write(table: &Table, folded: &Folded<'_>, form: Form, copies: bool) -> Result<Self> {
        let width = table.fields.len();
        let own = OwnColumns::new();
        let mut rows = Rows::begin(form, OwnColumns::COUNT + width + table.key.len());
        let mut new_rows = Rows::begin(form, width);
        let mut work = Self {
            form,
            rows: Bytes::new(),
            count: 0,
            new_rows: Bytes::new(),
            new: 0,
            any_free: false,
            updates: 0,
            moves: 0,
            deletes: false,
            sets: false,
            carried: vec![false; width],
        };
        let mut carried = vec![0; width.div_ceil(8)];
        for entry in 0..folded.len() {
            if copies && folded.is_new(entry) {
                work.new += 1;
                new_rows.begin_row();
                Self::add_fields(&mut new_rows, table, |index| folded.cell(entry, index))?;
                new_rows.end_row();
                continue;
            }
            let (action, free) = (folded.action(entry), folded.was_free(entry));
            work.count += 1;
            work.note(action, free);
            carried.fill(0);
            if matches!(action, Action::Update | Action::Move) {
                for field in 0..width {
                    if !matches!(folded.cell(entry, field), Cell::Unchanged) {
                        carried[field / 8] |= 1 << (field % 8);
                        work.carried[field] |= action == Action::Update;
                    }
                }
            }
            rows.begin_row();
            own.add(&mut rows, entry, action, free, &carried)?;
            Self::add_fields(&mut rows, table, |index| {
                let is_told = action != Action::Delete || table.key.contains(&index);
                if is_told { folded.cell(entry, index) } else { Cell::Null }
            })?;
            for &index in &table.key {
                rows.add(&table.fields[index].target, &folded.base_cell(entry, index))?;
            }
            rows.end_row();
        }
        rows.end();
        new_rows.end();
        (work.rows, work.new_rows) = (rows.finish(), new_rows.finish());
        Ok(work)
    }

    fn add_fields<'c>(rows: &mut Rows, table: &Table, cell: impl Fn(usize) -> Cell<'c>) -> Result<()> {
        table.fields.iter().enumerate().try_for_each(|(index, field)| {
            let added = rows.add(&field.target, &cell(index));
            added.map_err(|failure| of_column(failure, &field.plain, &table.stream))
        })
    }

    fn note(&mut self, action: Action, free: bool) {
        self.any_free |= free;
        match action {
            Action::Delete => self.deletes = true,
            Action::Set => self.sets = true,
            Action::Replace => (self.deletes, self.sets) = (true, true),
            Action::Update => self.updates += 1,
            Action::Move => self.moves += 1,
        }
    }

    /// Fills the work table and runs the statements; `false` when one of them found other rows than it should.
    async fn apply(self, writer: &mut Writer, table: &Table) -> Result<bool> {
        if self.count > 0 && !self.apply_actions(writer, table).await? {
            return Ok(false);
        }
        if self.new > 0 {
            // What others leave is free by now.
            let copy = self.form.copy_sql(&table.id.sql(), &table.field_list());
            copy_in(writer, &copy, self.new_rows).await?;
        }
        Ok(true)
    }

    async fn apply_actions(&self, writer: &mut Writer, table: &Table) -> Result<bool> {
        let scratch = writer.scratch_of(&table.id)?;
        let empty = scratch.empty_sql(Part::Work, self.count);
        let steps = self.steps(table, scratch);
        let copy = self.form.copy_sql(&scratch.work, &OwnColumns::with(table));
        writer.run(&empty).await?;
        copy_in(writer, &copy, self.rows.clone()).await?;
        let sql = steps.iter().map(|(sql, _)| sql.as_str()).collect::<Vec<_>>().join(";\n");
        let counts = writer.counts(&sql).await?;
        let found =
            |((_, expected), count): (&(String, Option<u64>), &u64)| expected.is_none_or(|n| n == *count);
        Ok(counts.len() == steps.len() && steps.iter().zip(&counts).all(found))
    }

    /// The statements in order, and how many rows each has to touch where that is known.
    fn steps(&self, table: &Table, scratch: &Scratch) -> Vec<(String, Option<u64>)> {
        let (name, work, moved) = (table.id.sql(), &scratch.work, &scratch.moved);
        let at_key = table.key_equals("t", "w", 'c');
        let mut steps = Vec::new();
        if !table.is_exact {
            // PostgreSQL itself says whether it takes two of the keys for one.
            let key = table.key.iter().map(|index| format!("c{index}")).collect::<Vec<_>>().join(", ");
            steps.push((format!("SELECT FROM {work} GROUP BY {key} HAVING count(*) > 1 LIMIT 1"), Some(0)));
        }
        if self.any_free {
            steps.push((
                format!("SELECT FROM {work} AS w JOIN {name} AS t ON {at_key} WHERE w.free LIMIT 1"),
                Some(0),
            ));
        }
        if self.moves > 0 {
            let (from, columns) = (table.key_equals("t", "w", 'o'), table.column_list("t."));
            steps.push((format!("DELETE FROM {moved}"), None));
            steps.push((
                format!(
                    "WITH gone AS (DELETE FROM {name} AS t USING {work} AS w WHERE w.action = 'm' AND {from} RETURNING w.id, {columns})
                     INSERT INTO {moved} SELECT * FROM gone"
                ),
                Some(self.moves),
            ));
        }
        if self.deletes || self.moves > 0 {
            // What a moved row finds under its new key has been moved or deleted itself.
            steps.push((
                format!(
                    "DELETE FROM {name} AS t USING {work} AS w WHERE w.action IN ('d', 'r', 'm') AND {at_key}"
                ),
                None,
            ));
        }
        if self.updates > 0 {
            let sets = self.update_sets(table);
            steps.push((
                format!("UPDATE {name} AS t SET {sets} FROM {work} AS w WHERE w.action = 'u' AND {at_key}"),
                Some(self.updates),
            ));
        }
        if self.moves > 0 {
            steps.push((self.insert_moved(table, scratch), Some(self.moves)));
        }
        if self.sets {
            let values =
                (0..table.fields.len()).map(|index| format!("w.c{index}")).collect::<Vec<_>>().join(", ");
            let query = format!("SELECT {values} FROM {work} AS w WHERE w.action IN ('s', 'r')");
            steps.push((table.upsert_sql(&query), None));
        }
        steps
    }

    /// Columns that no change carries are set to themselves, so that a value the server keeps out of line stays where it is.
    fn update_sets(&self, table: &Table) -> String {
        let fields = table.fields.iter().enumerate();
        let fields = fields.filter(|(index, _)| self.carried[*index] && !table.key.contains(index));
        let sets =
            fields.map(|(index, field)| format!("{} = {}", field.name, overlaid(index, &field.name, "t")));
        let sets = sets.collect::<Vec<_>>();
        match table.key.first().map(|&index| &table.fields[index].name) {
            Some(key) if sets.is_empty() => format!("{key} = t.{key}"),
            _ => sets.join(", "),
        }
    }

    fn insert_moved(&self, table: &Table, scratch: &Scratch) -> String {
        let values = table.columns.iter().map(|column| {
            match table.fields.iter().position(|field| &field.name == column) {
                Some(index) => overlaid(index, column, "m"),
                None => format!("m.{column}"),
            }
        });
        format!(
            "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} AS w JOIN {} AS m ON m.{ID} = w.id WHERE w.action = 'm'",
            table.id.sql(),
            table.column_list(""),
            values.collect::<Vec<_>>().join(", "),
            scratch.work,
            scratch.moved,
        )
    }
}

async fn copy_in(writer: &mut Writer, sql: &str, rows: Bytes) -> Result<()> {
    let mut into = writer.copy_in(sql).await?;
    into.send(rows).await?;
    into.finish().await?;
    Ok(())
}

/// The value of field `index`: what the work table carries, else what `column` of `row` was.
fn overlaid(index: usize, column: &str, row: &str) -> String {
    format!("CASE WHEN get_bit(w.carried, {index}) = 1 THEN w.c{index} ELSE {row}.{column} END")
}

/// The work table's own columns.
struct OwnColumns {
    id: Target,
    action: Target,
    free: Target,
    carried: Target,
}

impl OwnColumns {
    const COUNT: usize = 4;

    fn new() -> Self {
        let of = |kind| Target::of(&Field::new("own", kind), &|_| false);
        Self { id: of(Kind::Int32), action: of(Kind::Text), free: of(Kind::Bool), carried: of(Kind::Bytes) }
    }

    /// All columns of the work table of `table`.
    fn with(table: &Table) -> String {
        let own = ["id", "action", "free", "carried"].map(str::to_owned).into_iter();
        let fields = (0..table.fields.len()).map(|index| format!("c{index}"));
        let old_key = (0..table.key.len()).map(|part| format!("o{part}"));
        own.chain(fields).chain(old_key).collect::<Vec<_>>().join(", ")
    }

    fn add(&self, rows: &mut Rows, entry: usize, action: Action, free: bool, carried: &[u8]) -> Result<()> {
        let action = match action {
            Action::Delete => "d",
            Action::Set => "s",
            Action::Replace => "r",
            Action::Update => "u",
            Action::Move => "m",
        };
        // A batch has some ten thousand changes.
        let id = i64::try_from(entry).unwrap_or(i64::MAX);
        rows.add(&self.id, &Cell::Value(Value::Int(id)))?;
        rows.add(&self.action, &Cell::Value(Value::Text(action)))?;
        rows.add(&self.free, &Cell::Value(Value::Bool(free)))?;
        rows.add(&self.carried, &Cell::Value(Value::Bytes(carried)))
    }
}
