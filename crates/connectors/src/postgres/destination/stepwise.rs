//! `mirror`, change by change in source order: whatever order of values the source's own constraints allowed is allowed here.
//! For a few changes it is also the quickest way, for it needs no work table.

use tidemark_engine::{
    Error,
    change::{ChangeBatch, Op},
};

use super::{
    failure::Result,
    literal::{Literal, as_parameters},
    parking::Parking,
    planned::{Plan, Planned},
    table::{START_ANEW, Table},
    writer::Writer,
};
use crate::tables::View;

/// Applies every change of `changes` to `table`, inside a transaction. When they are `replayed`, the table has seen them before
/// and may hold rows as they became later.
pub(super) async fn apply(
    writer: &mut Writer,
    table: &Table,
    changes: &ChangeBatch,
    replayed: bool,
    parking: &mut Parking,
) -> Result<()> {
    let view = View::new(changes);
    let mut plan = Plan::default();
    for row in 0..view.rows() {
        let mut step = Step { writer, table, view: &view, row, replayed };
        match step.plan(parking)? {
            Some(statement) => plan.add(step.writer, statement).await?,
            None => {
                // What it does depends on what it finds.
                plan.run(step.writer).await?;
                step.apply(parking).await?;
            }
        }
    }
    plan.run(writer).await
}

/// One change on its way into a table.
pub(super) struct Step<'a> {
    pub(super) writer: &'a mut Writer,
    pub(super) table: &'a Table,
    view: &'a View<'a>,
    row: usize,
    /// Whether the table has seen this change before.
    pub(super) replayed: bool,
}

impl Step<'_> {
    /// The statement that the change comes to, where that can be told before those before it have run.
    fn plan(&self, parking: &Parking) -> Result<Option<Planned>> {
        Ok(match self.view.op(self.row)? {
            Op::Delete if parking.is_empty() => Some(self.delete()?),
            Op::Update if self.view.is_deletion(self.row) => match parking.is_empty() {
                true => Some(self.mark()?),
                false => None,
            },
            // What a created record is missing is NULL.
            Op::Read | Op::Create => Some(self.upsert()?),
            Op::Update if self.view.keys(self.row)?.old.is_none() && !self.view.is_partial(self.row) => {
                Some(self.upsert()?)
            }
            Op::Delete | Op::Update | Op::Truncate => None,
        })
    }

    /// Applies the change.
    async fn apply(&mut self, parking: &mut Parking) -> Result<()> {
        let planned = match self.view.op(self.row)? {
            Op::Truncate => return parking.clear(self).await,
            Op::Delete if parking.delete(self).await? => return Ok(()),
            Op::Delete => self.delete()?,
            Op::Update if self.view.is_deletion(self.row) => match parking.delete(self).await? {
                true => return Ok(()),
                false => self.mark()?,
            },
            Op::Update if self.view.keys(self.row)?.old.is_some() && parking.move_row(self).await? => {
                return Ok(());
            }
            Op::Update if self.view.is_partial(self.row) => return self.update().await,
            Op::Update | Op::Read | Op::Create => self.upsert()?,
        };
        self.run(&planned.sql, &planned.parameters).await?;
        Ok(())
    }

    /// Runs `sql` with `parameters` and tells how many rows it touched.
    pub(super) async fn run(&mut self, sql: &str, parameters: &[Literal]) -> Result<u64> {
        let parameters = as_parameters(parameters);
        self.writer.execute(sql, &parameters).await
    }

    /// The number in the first row that `sql` finds.
    pub(super) async fn first(&mut self, sql: &str, parameters: &[Literal]) -> Result<Option<i64>> {
        let parameters = as_parameters(parameters);
        self.writer.first(sql, &parameters).await
    }

    /// Deletes every row of the table, or says of every row that it is deleted. Not by TRUNCATE: to a reader whose transaction
    /// began before, a truncated table is empty at once, and so half of this unit would show.
    /// <https://www.postgresql.org/docs/current/mvcc-caveats.html>
    pub(super) async fn truncate(&mut self) -> Result<()> {
        let table = self.table.id.sql();
        match self.table.deleted_at() {
            None => self.run(&format!("DELETE FROM {table}"), &[]).await?,
            Some(index) => {
                let name = &self.table.fields[index].name;
                let sql = format!("UPDATE {table} SET {name} = $1 WHERE {name} IS NULL");
                let time = self.literal(index, false)?;
                self.run(&sql, &[time]).await?
            }
        };
        Ok(())
    }

    fn delete(&self) -> Result<Planned> {
        self.view.keys(self.row)?;
        let sql = format!("DELETE FROM {} WHERE {}", self.table.id.sql(), self.key_is(1));
        Ok(Planned { sql, parameters: self.key()? })
    }

    /// Inserts the record, or replaces every value of the one that has its key.
    fn upsert(&self) -> Result<Planned> {
        self.view.keys(self.row)?;
        let fields = (0..self.table.fields.len()).collect::<Vec<_>>();
        let marks = (1..=fields.len()).map(|at| format!("${at}")).collect::<Vec<_>>().join(", ");
        let sql = self.table.upsert_sql(&format!("VALUES ({marks})"));
        Ok(Planned { sql, parameters: self.values(&fields)? })
    }

    /// Applies an update that keeps its key and leaves columns as they are.
    async fn update(&mut self) -> Result<()> {
        self.view.keys(self.row)?;
        let mut carried = self.carried();
        if carried.len() > self.table.key.len() {
            carried.retain(|index| !self.table.key.contains(index));
        }
        let Planned { sql, parameters } = self.update_of(&carried)?;
        // In a replay the row may be gone because a later change removes it.
        if self.run(&sql, &parameters).await? > 0 || self.replayed {
            return Ok(());
        }
        Err(Error::data(format!(
            "an update of stream `{}` leaves columns as they are in a row that table `{}` does not have",
            self.table.stream, self.table.id
        ))
        .hint(START_ANEW)
        .into())
    }

    /// Says of the row that it is deleted; where there is none, nothing happens.
    fn mark(&self) -> Result<Planned> {
        self.view.keys(self.row)?;
        let mut carried = self.carried();
        carried.retain(|index| !self.table.key.contains(index));
        self.update_of(&carried)
    }

    /// The statement that sets `fields` of the row under the change's key.
    fn update_of(&self, fields: &[usize]) -> Result<Planned> {
        let (table, condition) = (self.table.id.sql(), self.key_is(fields.len() + 1));
        let sql = format!("UPDATE {table} {} WHERE {condition}", self.set(fields));
        let mut parameters = self.values(fields)?;
        parameters.extend(self.key()?);
        Ok(Planned { sql, parameters })
    }

    /// The fields that the change carries.
    pub(super) fn carried(&self) -> Vec<usize> {
        (0..self.table.fields.len()).filter(|&field| self.view.carries(field, self.row)).collect()
    }

    /// The SET clause for `fields`, with parameters from 1 on.
    pub(super) fn set(&self, fields: &[usize]) -> String {
        let parts =
            fields.iter().zip(1..).map(|(&index, at)| format!("{} = ${at}", self.table.fields[index].name));
        format!("SET {}", parts.collect::<Vec<_>>().join(", "))
    }

    /// The condition that the key is the parameters from `at` on.
    pub(super) fn key_is(&self, at: usize) -> String {
        let parts = self.table.key.iter().zip(at..);
        let parts = parts.map(|(&index, at)| format!("{} = ${at}", self.table.fields[index].name));
        parts.collect::<Vec<_>>().join(" AND ")
    }

    pub(super) fn values(&self, fields: &[usize]) -> Result<Vec<Literal>> {
        fields.iter().map(|&index| self.literal(index, false)).collect()
    }

    pub(super) fn key(&self) -> Result<Vec<Literal>> {
        self.values(&self.table.key)
    }

    pub(super) fn old_key(&self) -> Result<Vec<Literal>> {
        self.table.key.iter().map(|&index| self.literal(index, true)).collect()
    }

    fn literal(&self, index: usize, old: bool) -> Result<Literal> {
        let field = &self.table.fields[index];
        let cell = if old { self.view.old_cell(index, self.row) } else { self.view.cell(index, self.row) };
        let text = field.target.literal_text(&cell).map_err(|error| {
            error.context(format_args!("column `{}` of stream `{}`", field.plain, self.table.stream))
        })?;
        Ok(Literal(text))
    }
}
