//! The publication: which tables' changes the server sends us.
//! <https://www.postgresql.org/docs/current/logical-replication-publication.html>

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use tidemark_engine::{Error, Result};
use tokio_postgres::Client;

use super::{catalog::Sort, selection::TableToRead};
use crate::postgres::{
    connection::failure,
    identifier::{TableId, quoted},
};

/// A publication as the server has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::postgres) struct Publication {
    name: String,
    edition: Edition,
    tables: HashMap<TableId, Published>,
}

/// Which publication it is, and what it lets through of whatever table it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::postgres) struct Edition {
    /// The number that the server knows it by: one that was made anew under the same name is another one.
    pub(in crate::postgres) number: u32,
    /// Which kinds of change it lets through: insert, update, delete, truncate.
    pub(in crate::postgres) operations: [bool; 4],
    /// Whether a partition's changes come under the name of its root.
    pub(in crate::postgres) via_root: bool,
}

/// What it lets through of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Published {
    /// The number of the catalog's row that has the table in it: another one once the table was taken out and added again, or
    /// its columns or its filter were changed. 0 where it is there without one, with its schema or with all tables.
    row: u32,
    /// Empty before version 15: all of them.
    columns: Vec<String>,
    filtered: bool,
}

const PUBLICATION: &str = "
    SELECT pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot, oid
    FROM pg_catalog.pg_publication WHERE pubname = $1::text::name";

/// Columns and filters came with version 15; as JSON they are simply absent before.
const TABLES: &str = "
    SELECT t.schemaname::text, t.tablename::text,
           ARRAY(SELECT jsonb_array_elements_text(to_jsonb(t) -> 'attnames')),
           to_jsonb(t) ->> 'rowfilter' IS NOT NULL, coalesce(r.oid, 0::oid)
    FROM pg_catalog.pg_publication_tables t
    LEFT JOIN (pg_catalog.pg_publication_rel r
               JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid
               JOIN pg_catalog.pg_class c ON c.oid = r.prrelid
               JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace)
           ON p.pubname = t.pubname AND n.nspname = t.schemaname AND c.relname = t.tablename
    WHERE t.pubname = $1::text::name";

impl Publication {
    /// The publication called `name`, if there is one.
    pub(in crate::postgres) async fn inspect(session: &Client, name: &str) -> Result<Option<Self>> {
        let failed = |error| failure(format!("cannot look at publication `{name}`"), error);
        let row = session.query_opt(PUBLICATION, &[&name]).await.map_err(failed)?;
        let Some(row) = row else { return Ok(None) };
        let tables = session.query(TABLES, &[&name]).await.map_err(failed)?;
        let table = |row: &tokio_postgres::Row| {
            let id = TableId { schema: row.get(0), name: row.get(1) };
            (id, Published { row: row.get(4), columns: row.get(2), filtered: row.get(3) })
        };
        Ok(Some(Self {
            name: name.to_owned(),
            edition: Edition {
                number: row.get(5),
                operations: [row.get(0), row.get(1), row.get(2), row.get(3)],
                via_root: row.get(4),
            },
            tables: tables.iter().map(table).collect(),
        }))
    }

    /// Sees to it that the publication `name`, which is ours, has `tables`: makes it, or adds those it lacks. Those in `anew`, and those
    /// of which it has all rows instead of some or the other way round, are taken out first, and added as they are wanted now. Tables that are no longer read stay in it, and cost nothing but
    /// the way here.
    pub(in crate::postgres) async fn ensure(
        session: &Client,
        name: &str,
        tables: &[TableToRead],
        anew: &BTreeSet<String>,
    ) -> Result<()> {
        let Some(existing) = Self::inspect(session, name).await? else {
            let created = session.batch_execute(&creation(name, tables)).await;
            return created.map_err(|error| failure(format!("cannot create publication `{name}`"), error));
        };
        let missing: Vec<&TableToRead> = tables
            .iter()
            .filter(|wanted| {
                let id = &wanted.table.id;
                !existing.has_as(id, wanted.condition.is_some()) || anew.contains(&id.to_string())
            })
            .collect();
        if !missing.is_empty() {
            let list = published(missing.iter().copied());
            let outdated = missing.iter().filter(|table| existing.has(&table.table.id));
            let outdated: String = outdated
                .map(|table| {
                    format!("ALTER PUBLICATION {} DROP TABLE ONLY {}; ", quoted(name), table.table.id.sql())
                })
                .collect();
            let sql = format!("{outdated}ALTER PUBLICATION {} ADD TABLE {list}", quoted(name));
            let added = session.batch_execute(&sql).await;
            added.map_err(|error| failure(format!("cannot add tables to publication `{name}`"), error))?;
        }
        Ok(())
    }

    /// Drops the publication `name`; one that is not there is as good as dropped.
    pub(in crate::postgres) async fn drop(session: &Client, name: &str) -> Result<()> {
        let dropped = session.batch_execute(&format!("DROP PUBLICATION IF EXISTS {}", quoted(name))).await;
        dropped.map_err(|error| failure(format!("cannot drop publication `{name}`"), error))
    }

    /// One that has `tables` whole.
    #[cfg(test)]
    pub(super) fn of(tables: impl IntoIterator<Item = TableId>) -> Self {
        let whole = || Published { row: 1, columns: Vec::new(), filtered: false };
        let tables = tables.into_iter().map(|table| (table, whole())).collect();
        let edition = Edition { number: 1, operations: [true; 4], via_root: true };
        Self { name: "p".to_owned(), edition, tables }
    }

    /// The same, of another edition and with every table in another row.
    #[cfg(test)]
    pub(super) fn with(mut self, edition: Edition, row: u32) -> Self {
        self.tables.values_mut().for_each(|published| published.row = row);
        Self { edition, ..self }
    }

    /// Which one it is.
    pub(super) fn edition(&self) -> Edition {
        self.edition
    }

    /// The number of the row that has `table` in it; `None` when it does not have it.
    pub(super) fn row(&self, table: &TableId) -> Option<u32> {
        self.tables.get(table).map(|published| published.row)
    }

    /// Whether it has `table`, and some rows of it alone just when it should.
    pub(super) fn has_as(&self, table: &TableId, filtered: bool) -> bool {
        self.tables.get(table).is_some_and(|published| published.filtered == filtered)
    }

    /// Whether it has `table`.
    pub(super) fn has(&self, table: &TableId) -> bool {
        self.tables.contains_key(table)
    }

    /// The tables that it does not have.
    pub(super) fn lacks<'t>(&self, tables: &'t [TableToRead]) -> Vec<&'t TableToRead> {
        tables.iter().filter(|table| !self.tables.contains_key(&table.table.id)).collect()
    }

    /// What keeps `tables` from being read through it as it is, each with the statement that mends it.
    pub(in crate::postgres) fn problems(&self, tables: &[TableToRead]) -> Vec<Error> {
        let name = quoted(&self.name);
        let mut problems = Vec::new();
        if self.edition.operations != [true; 4] {
            problems.push(self.problem("does not publish every kind of change").hint(format!(
                "run `ALTER PUBLICATION {name} SET (publish = 'insert, update, delete, truncate');`"
            )));
        }
        let partitioned = tables.iter().find(|table| table.table.sort == Sort::Partitioned);
        if let Some(table) = partitioned.filter(|_| !self.edition.via_root) {
            let what = format!("publishes the partitions of `{}`, not the table", table.table.id);
            problems
                .push(self.problem(&what).hint(format!(
                    "run `ALTER PUBLICATION {name} SET (publish_via_partition_root = true);`"
                )));
            // Which tables it has can be told only under their roots.
            return problems;
        }
        let lacking = self.lacks(tables);
        if let Some(first) = lacking.first() {
            let what = match lacking.len() {
                1 => format!("does not have `{}`", first.table.id),
                many => format!("does not have {many} of the tables, `{}` among them", first.table.id),
            };
            let list = published(lacking.into_iter());
            problems
                .push(self.problem(&what).hint(format!("run `ALTER PUBLICATION {name} ADD TABLE {list};`")));
        }
        problems.extend(
            tables.iter().filter_map(|table| self.problem_of(table, self.tables.get(&table.table.id)?)),
        );
        problems
    }

    /// What is wrong with how it has a table.
    fn problem_of(&self, wanted: &TableToRead, published: &Published) -> Option<Error> {
        let id = &wanted.table.id;
        let lacks = |column: &str| !published.columns.iter().any(|name| name == column);
        let left_out = wanted.columns().find(|column| !published.columns.is_empty() && lacks(&column.name));
        if let Some(column) = left_out {
            let what = format!("leaves out column `{}` of `{id}`", column.name);
            return Some(self.problem(&what).hint("list it under `exclude` of that table, or publish it"));
        }
        match (&wanted.condition, published.filtered) {
            (Some(_), false) => Some(
                self.problem(&format!("has every row of `{id}`, and `where` asks for some of them")).hint(
                    "drop the table from the publication and add it again with the condition as its row filter",
                ),
            ),
            (None, true) => Some(
                self.problem(&format!("leaves out rows of `{id}`, and the pipeline file says nothing of it"))
                    .hint("give the table the same condition as its `where`"),
            ),
            _ => None,
        }
    }

    fn problem(&self, what: &str) -> Error {
        Error::config(format!("publication `{}` {what}", self.name))
    }
}

/// The statement that makes publication `name`.
pub(super) fn creation(name: &str, tables: &[TableToRead]) -> String {
    let (name, list) = (quoted(name), published(tables.iter()));
    format!("CREATE PUBLICATION {name} FOR TABLE {list} WITH (publish_via_partition_root = true)")
}

/// `ONLY`: tables that inherit from another are tables of their own.
fn published<'t>(tables: impl Iterator<Item = &'t TableToRead>) -> String {
    let table = |table: &TableToRead| match &table.condition {
        Some(condition) => format!("ONLY {} WHERE ({condition})", table.table.id.sql()),
        None => format!("ONLY {}", table.table.id.sql()),
    };
    tables.map(table).collect::<Vec<_>>().join(", ")
}
