//! Rows that another row's key change has displaced.
//!
//! A source that checks its keys at the end of a transaction may swap two of them: 1 becomes 2, then 2 becomes 1. In between two
//! rows have the key 2. The one that was there first must leave before the transaction ends, so it waits in a temporary table for
//! the change that moves or deletes it, and changes that leave a key look there first.

use tidemark_engine::Error;

use super::{
    failure::Result,
    literal::Literal,
    scratch::{ID, Part, Scratch},
    stepwise::Step,
    table::Table,
    writer::Writer,
};

/// The rows of one table that wait.
#[derive(Debug, Clone, Default)]
pub(super) struct Parking {
    waiting: u64,
    /// Rows wait in the order of their numbers.
    next: i64,
}

impl Parking {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Forgets every waiting row of `table`: at the end of a unit nothing can ask for it any more.
    pub(super) async fn forget(&mut self, writer: &mut Writer, table: &Table) -> Result<()> {
        if !self.is_empty() {
            let parked = writer.scratch_of(&table.id)?.parked.clone();
            writer.run(&format!("DELETE FROM {parked}")).await?;
            self.waiting = 0;
        }
        Ok(())
    }

    /// The stream is truncated: rows that wait are forgotten.
    pub(super) async fn clear(&mut self, step: &mut Step<'_>) -> Result<()> {
        step.truncate().await?;
        self.forget(step.writer, step.table).await
    }

    /// Deletes the waiting row with the change's key, if there is one.
    pub(super) async fn delete(&mut self, step: &mut Step<'_>) -> Result<bool> {
        if self.is_empty() {
            return Ok(false);
        }
        let key = step.key()?;
        let Some(id) = self.find(step, &key).await? else { return Ok(false) };
        self.remove(step, id).await?;
        Ok(true)
    }

    /// Moves a row from its old key to its new one, with what the update carries, and keeps the rest. A row that stands there
    /// already is parked. `false` when there is no row under the old key.
    pub(super) async fn move_row(&mut self, step: &mut Step<'_>) -> Result<bool> {
        let (carried, old_key, table) = (step.carried(), step.old_key()?, step.table.id.sql());
        if let Some(id) = self.find(step, &old_key).await? {
            let parked = step.writer.scratch_of(&step.table.id)?.parked.clone();
            let (sets, values) = (step.set(&carried), step.values(&carried)?);
            step.run(&format!("UPDATE {parked} {sets} WHERE {ID} = {id}"), &values).await?;
            self.park(step, None).await?;
            let columns = step.table.column_list("");
            step.writer
                .run(&format!(
                    "INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {parked} WHERE {ID} = {id}"
                ))
                .await?;
            self.remove(step, id).await?;
            return Ok(true);
        }
        let exists = format!("SELECT FROM {table} WHERE {}", step.key_is(1));
        if step.run(&exists, &old_key).await? == 0 {
            return Ok(false);
        }
        self.park(step, Some(&old_key)).await?;
        let sql = format!("UPDATE {table} {} WHERE {}", step.set(&carried), step.key_is(carried.len() + 1));
        let mut values = step.values(&carried)?;
        values.extend(old_key);
        match step.run(&sql, &values).await? {
            1 => Ok(true),
            rows => {
                let what = format!("a change of key in table `{}` touched {rows} rows", step.table.id);
                Err(Error::internal(what).into())
            }
        }
    }

    /// The row under `key` that has waited longest.
    async fn find(&self, step: &mut Step<'_>, key: &[Literal]) -> Result<Option<i64>> {
        if self.is_empty() {
            return Ok(None);
        }
        let parked = step.writer.scratch_of(&step.table.id)?.parked.clone();
        let sql = format!("SELECT {ID} FROM {parked} WHERE {} ORDER BY {ID} LIMIT 1", step.key_is(1));
        step.first(&sql, key).await
    }

    /// Parks the row that stands under the change's new key, if there is one; not the row that moves there from `old_key`, which
    /// it is where PostgreSQL takes the two keys for one (`1.0` and `1.00`).
    async fn park(&mut self, step: &mut Step<'_>, old_key: Option<&[Literal]>) -> Result<()> {
        let (table, mut condition, mut key) = (step.table.id.sql(), step.key_is(1), step.key()?);
        if let Some(old_key) = old_key.filter(|_| !step.table.is_exact) {
            condition = format!("{condition} AND NOT ({})", step.key_is(key.len() + 1));
            key.extend_from_slice(old_key);
        }
        // A deleted row does not wait: the source has it no more, and nothing will ask for it.
        if let Some(index) = step.table.deleted_at() {
            let is_deleted = format!("{} IS NOT NULL", step.table.fields[index].name);
            step.run(&format!("DELETE FROM {table} WHERE {condition} AND {is_deleted}"), &key).await?;
        }
        // In a replay what stands there is most likely the same row as it became later, and nothing will ask for it.
        if step.replayed {
            step.run(&format!("DELETE FROM {table} WHERE {condition}"), &key).await?;
            return Ok(());
        }
        if step.run(&format!("SELECT FROM {table} WHERE {condition}"), &key).await? == 0 {
            return Ok(());
        }
        Scratch::make(step.writer, step.table, &[Part::Parked]).await?;
        let parked = step.writer.scratch_of(&step.table.id)?.parked.clone();
        let (columns, id) = (step.table.column_list(""), self.next);
        let sql = format!(
            "WITH gone AS (DELETE FROM {table} WHERE {condition} RETURNING {columns})
             INSERT INTO {parked} SELECT {id}, * FROM gone"
        );
        step.run(&sql, &key).await?;
        self.next += 1;
        self.waiting += 1;
        Ok(())
    }

    async fn remove(&mut self, step: &mut Step<'_>, id: i64) -> Result<()> {
        let parked = step.writer.scratch_of(&step.table.id)?.parked.clone();
        let sql = format!("DELETE FROM {parked} WHERE {ID} = {id}");
        step.writer.run(&sql).await?;
        self.waiting -= 1;
        Ok(())
    }
}
