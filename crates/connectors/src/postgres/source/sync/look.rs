//! What a snapshot does not keep: the definition of a table and the files that hold its rows.
//!
//! A COPY in an older snapshot reads a table as it is defined now, and finds nothing in one that was rewritten since
//! (`TRUNCATE`, most of `ALTER TABLE`). So a table is looked at before the snapshot is taken and after each chunk.
//! <https://www.postgresql.org/docs/current/mvcc-caveats.html>

use tidemark_engine::Result;
use tokio_postgres::Client;

use super::What;
use crate::postgres::{connection::failure, source::table::Table};

/// How a table was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Look {
    /// As [`Table::layout`].
    layout: String,
    /// The files of its rows, over all partitions.
    files: String,
}

impl Look {
    /// How `table` is now.
    pub(super) async fn at(session: &Client, table: &Table) -> Result<Self> {
        let sql = "SELECT coalesce((SELECT string_agg(attname || ' ' || atttypid || ' ' || atttypmod, ', ' ORDER BY attnum)
                                    FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped), ''),
                          coalesce((SELECT string_agg(relid || '=' || pg_relation_filenode(relid), ', ' ORDER BY relid)
                                    FROM (SELECT relid::oid FROM pg_partition_tree($1::oid) UNION SELECT $1::oid) AS t), '')";
        let row = session.query_one(sql, &[&table.oid]).await;
        let row = row.map_err(|error| failure(format!("cannot look at table `{}`", table.id), error))?;
        Ok(Self { layout: row.get(0), files: row.get(1) })
    }

    /// What has happened to `table` by now, where it looked like this before.
    pub(super) fn difference(&self, table: &Table, before: &Self) -> Option<What> {
        if self.layout != table.layout || self.layout != before.layout {
            return Some(What::Altered);
        }
        (self.files != before.files).then_some(What::Truncated)
    }
}
