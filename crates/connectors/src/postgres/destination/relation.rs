//! What the database has under a table's name.

use tidemark_engine::{Error, write::WriteMode};
use tokio_postgres::Client;

use super::failure::Result;
use crate::{metadata, postgres::identifier::TableId};

/// A relation as the catalog describes it: <https://www.postgresql.org/docs/current/catalog-pg-class.html>
#[derive(Debug)]
pub(super) struct Relation {
    oid: u32,
    kind: u8,
    is_partition: bool,
    pub(super) columns: Vec<Existing>,
}

/// A column that is there.
#[derive(Debug, Clone)]
pub(super) struct Existing {
    pub(super) name: String,
    pub(super) type_oid: u32,
    pub(super) typmod: i32,
    /// Its type as SQL: `numeric(12,2)`.
    pub(super) declared: String,
    /// Whether a row needs a value for it.
    pub(super) is_required: bool,
    /// Whether the server alone computes it.
    pub(super) is_generated: bool,
    /// Whether it takes no value but by force: `GENERATED ALWAYS AS IDENTITY`.
    pub(super) is_always_identity: bool,
}

impl Relation {
    /// What is called `table`; `None` when nothing is.
    pub(super) async fn find(client: &Client, table: &TableId) -> Result<Option<Self>> {
        let sql = "SELECT c.oid, c.relkind, c.relispartition FROM pg_class AS c
                   JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2";
        let Some(row) = client.query_opt(sql, &[&table.schema, &table.name]).await? else { return Ok(None) };
        let oid: u32 = row.get(0);
        let sql = "SELECT attname, atttypid, atttypmod, format_type(atttypid, atttypmod),
                          attnotnull AND NOT atthasdef AND attidentity = '', attgenerated <> '', attidentity = 'a'
                   FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped ORDER BY attnum";
        let columns = client.query(sql, &[&oid]).await?;
        let columns = columns.iter().map(|row| Existing {
            name: row.get(0),
            type_oid: row.get(1),
            typmod: row.get(2),
            declared: row.get(3),
            is_required: row.get(4),
            is_generated: row.get(5),
            is_always_identity: row.get(6),
        });
        let columns = columns.collect();
        Ok(Some(Self { oid, kind: row.get::<_, i8>(1).cast_unsigned(), is_partition: row.get(2), columns }))
    }

    /// The column called `name`.
    pub(super) fn column(&self, name: &str) -> Option<&Existing> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Refuses what is no table of its own.
    pub(super) fn check_kind(&self, table: &TableId) -> Result<()> {
        let what = match self.kind {
            b'r' | b'p' if !self.is_partition => return Ok(()),
            b'r' | b'p' => "a partition of another table",
            b'v' => "a view",
            b'm' => "a materialized view",
            b'f' => "a foreign table",
            b'S' => "a sequence",
            b'i' | b'I' => "an index",
            _ => "no table",
        };
        Err(Error::config(format!("`{table}` is {what}")).hint("choose another name with `table`").into())
    }

    /// The columns of the primary key, in order.
    pub(super) async fn primary_key(&self, client: &Client) -> Result<Vec<String>> {
        let keys = self.unique_keys(client, "i.indisprimary").await?;
        Ok(keys.into_iter().next().unwrap_or_default())
    }

    /// The columns that tell records apart in a table that we made for `mode`, in order.
    pub(super) async fn key(&self, client: &Client, mode: WriteMode) -> Result<Vec<String>> {
        if mode != WriteMode::History {
            return self.primary_key(client).await;
        }
        let keys = self.unique_keys(client, &is_of_valid()).await?;
        Ok(keys.into_iter().next().unwrap_or_default())
    }

    /// The name of the constraint that makes the primary key.
    pub(super) async fn primary_key_name(&self, client: &Client) -> Result<Option<String>> {
        let sql = "SELECT conname FROM pg_constraint WHERE conrelid = $1 AND contype = 'p'";
        Ok(client.query_opt(sql, &[&self.oid]).await?.map(|row| row.get(0)))
    }

    /// The names of the indexes that keep a record from having two valid versions.
    pub(super) async fn indexes_of_valid(&self, client: &Client) -> Result<Vec<String>> {
        let sql = format!(
            "SELECT c.relname FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
             WHERE i.indrelid = $1 AND {}",
            is_of_valid()
        );
        Ok(client.query(&sql, &[&self.oid]).await?.iter().map(|row| row.get(0)).collect())
    }

    /// The sets of columns that can tell rows apart for `ON CONFLICT`.
    pub(super) async fn unique_sets(&self, client: &Client) -> Result<Vec<Vec<String>>> {
        self.unique_keys(
            client,
            "i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL",
        )
        .await
    }

    async fn unique_keys(&self, client: &Client, condition: &str) -> Result<Vec<Vec<String>>> {
        let sql = format!(
            "SELECT array_agg(a.attname::text ORDER BY k.place) FROM pg_index AS i
             CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attribute, place)
             JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attribute
             WHERE i.indrelid = $1 AND k.place <= i.indnkeyatts AND {condition}
             GROUP BY i.indexrelid ORDER BY i.indexrelid"
        );
        let rows = client.query(&sql, &[&self.oid]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Whether it holds any row.
    pub(super) async fn is_filled(&self, client: &Client, table: &TableId) -> Result<bool> {
        let sql = format!("SELECT EXISTS (SELECT FROM {})", table.sql());
        Ok(client.query_one(&sql, &[]).await?.get(0))
    }
}

/// The condition that an index `i` keeps a record from having two valid versions.
fn is_of_valid() -> String {
    format!("i.indisunique AND pg_get_expr(i.indpred, i.indrelid) = '({} IS NULL)'", metadata::VALID_TO)
}

/// The table that the foreign key `constraint` of `table` refers to.
pub(super) async fn referred(client: &Client, table: &TableId, constraint: &str) -> Result<Option<TableId>> {
    let sql = "SELECT n.nspname, c.relname FROM pg_constraint AS k
               JOIN pg_class AS c ON c.oid = k.confrelid
               JOIN pg_namespace AS n ON n.oid = c.relnamespace
               WHERE k.contype = 'f' AND k.conname = $2 AND k.conrelid = to_regclass($1::text)";
    let row = client.query_opt(sql, &[&table.sql(), &constraint]).await?;
    Ok(row.map(|row| TableId { schema: row.get(0), name: row.get(1) }))
}
