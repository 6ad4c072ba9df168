//! The tables of a database, as its catalog describes them.

use std::collections::HashMap;

use tidemark_engine::Result;
use tokio_postgres::{Client, Row};

use crate::postgres::{connection::failure, identifier::TableId};

/// A table, or what looks like one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::postgres) struct Table {
    pub(in crate::postgres) oid: u32,
    pub(in crate::postgres) id: TableId,
    pub(in crate::postgres) sort: Sort,
    /// In the order of the table.
    pub(in crate::postgres) columns: Vec<Column>,
    /// In the order of the key; empty when there is none.
    pub(in crate::postgres) primary_key: Vec<String>,
    pub(in crate::postgres) identity: ReplicaIdentity,
    pub(in crate::postgres) rights: Rights,
}

/// What kind of relation it is, as far as that decides whether it can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::postgres) enum Sort {
    Table,
    /// A partitioned table: read and published as one, through its root.
    Partitioned,
    /// A part of that root.
    Partition {
        root: TableId,
    },
    Unlogged,
    View,
    Foreign,
}

/// What the log tells of a row that is updated or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::postgres) enum ReplicaIdentity {
    /// The primary key, where there is one.
    Default,
    Full,
    Nothing,
    /// The columns of a unique index.
    Index(Vec<String>),
}

/// What we may do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::postgres) struct Rights {
    /// `USAGE` on its schema.
    pub(in crate::postgres) schema: bool,
    /// `SELECT` on all of it.
    pub(in crate::postgres) select: bool,
    /// We are its owner, or a member of that role: it can be published.
    pub(in crate::postgres) owner: bool,
    /// Row-level security hides rows from us.
    pub(in crate::postgres) hidden_rows: bool,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::postgres) struct Column {
    pub(in crate::postgres) name: String,
    pub(in crate::postgres) attnum: i16,
    pub(in crate::postgres) type_oid: u32,
    pub(in crate::postgres) typmod: i32,
    /// `numeric(12,2)`, `character varying(20)`.
    pub(in crate::postgres) declared: String,
    pub(in crate::postgres) not_null: bool,
    /// Computed from the others; the log leaves it out.
    pub(in crate::postgres) generated: bool,
    /// `SELECT` on it.
    pub(in crate::postgres) select: bool,
}

impl Table {
    /// Why it cannot be read, though it looks like a table.
    pub(in crate::postgres) fn unreadable(&self) -> Option<(String, &'static str)> {
        let id = &self.id;
        Some(match &self.sort {
            Sort::Table | Sort::Partitioned => return None,
            Sort::Partition { root } => {
                (format!("`{id}` is a partition of `{root}`"), "name the partitioned table")
            }
            Sort::Unlogged => (
                format!("`{id}` is an unlogged table: its changes are not in the server's log"),
                "make it permanent by `ALTER TABLE ... SET LOGGED`",
            ),
            Sort::View => {
                (format!("`{id}` is a view: it has no changes of its own"), "name the tables behind it")
            }
            Sort::Foreign => (
                format!("`{id}` is a foreign table: its changes are in another server's log"),
                "read that server",
            ),
        })
    }

    /// The columns that a change tells of a row that is updated or deleted; all of them under `FULL`.
    pub(in crate::postgres) fn identity_columns(&self) -> Vec<&str> {
        match &self.identity {
            ReplicaIdentity::Default => self.primary_key.iter().map(String::as_str).collect(),
            ReplicaIdentity::Index(columns) => columns.iter().map(String::as_str).collect(),
            ReplicaIdentity::Full => self.streamed().map(|column| column.name.as_str()).collect(),
            ReplicaIdentity::Nothing => Vec::new(),
        }
    }

    /// The columns that the log carries.
    pub(in crate::postgres) fn streamed(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| !column.generated)
    }
}

/// Schemas, and what belongs to extensions, are the server's own.
const TABLES: &str = "
    SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, c.relpersistence::text, c.relispartition,
           c.relreplident::text, has_schema_privilege(n.oid, 'USAGE'), has_table_privilege(c.oid, 'SELECT'),
           pg_has_role(c.relowner, 'USAGE'), row_security_active(c.oid),
           rn.nspname::text, r.relname::text
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_class r ON c.relispartition AND r.oid = pg_partition_root(c.oid)
    LEFT JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
      AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', '_tidemark')
      AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
                      WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    ORDER BY n.nspname COLLATE \"C\", c.relname COLLATE \"C\"";

const COLUMNS: &str = "
    SELECT a.attrelid, a.attname::text, a.attnum, a.atttypid, a.atttypmod, format_type(a.atttypid, a.atttypmod),
           a.attnotnull, a.attgenerated <> '', has_column_privilege(a.attrelid, a.attnum, 'SELECT')
    FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = ANY($1) AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attrelid, a.attnum";

/// The columns of primary keys and of indices that are a replica identity, in the index's order.
const KEYS: &str = "
    SELECT i.indrelid, i.indisprimary, i.indisreplident,
           ARRAY(SELECT a.attname::text FROM unnest(i.indkey) WITH ORDINALITY k(attnum, place)
                 JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                 WHERE k.place <= i.indnkeyatts ORDER BY k.place)
    FROM pg_catalog.pg_index i
    WHERE i.indrelid = ANY($1) AND (i.indisprimary OR i.indisreplident) AND i.indisvalid";

/// Every table and view of the database that is not the server's own, by name.
pub(in crate::postgres) async fn tables(session: &Client) -> Result<Vec<Table>> {
    let doing = "cannot list the tables";
    let rows = session.query(TABLES, &[]).await.map_err(|error| failure(doing, error))?;
    let mut tables: Vec<Table> = rows.iter().map(table).collect();
    let oids: Vec<u32> = tables.iter().map(|table| table.oid).collect();
    let columns = session.query(COLUMNS, &[&oids]).await.map_err(|error| failure(doing, error))?;
    let keys = session.query(KEYS, &[&oids]).await.map_err(|error| failure(doing, error))?;

    let mut place: HashMap<u32, &mut Table> = tables.iter_mut().map(|table| (table.oid, table)).collect();
    for row in &columns {
        if let Some(table) = place.get_mut(&row.get(0)) {
            table.columns.push(column(row));
        }
    }
    for row in &keys {
        let Some(table) = place.get_mut(&row.get(0)) else { continue };
        if row.get(1) {
            table.primary_key = row.get(3);
        }
        if let (true, ReplicaIdentity::Index(columns)) = (row.get(2), &mut table.identity) {
            *columns = row.get(3);
        }
    }
    Ok(tables)
}

fn table(row: &Row) -> Table {
    let root: Option<String> = row.get(11);
    let root = root.zip(row.get(12)).map(|(schema, name)| TableId { schema, name });
    Table {
        oid: row.get(0),
        id: TableId { schema: row.get(1), name: row.get(2) },
        sort: match (row.get(3), row.get(4), root) {
            ("r" | "p", _, Some(root)) => Sort::Partition { root },
            ("p", _, None) => Sort::Partitioned,
            ("r", "u", None) => Sort::Unlogged,
            ("f", ..) => Sort::Foreign,
            ("v" | "m", ..) => Sort::View,
            _ => Sort::Table,
        },
        columns: Vec::new(),
        primary_key: Vec::new(),
        identity: match row.get(6) {
            "f" => ReplicaIdentity::Full,
            "n" => ReplicaIdentity::Nothing,
            "i" => ReplicaIdentity::Index(Vec::new()),
            _ => ReplicaIdentity::Default,
        },
        rights: Rights {
            schema: row.get(7),
            select: row.get(8),
            owner: row.get(9),
            hidden_rows: row.get(10),
        },
    }
}

fn column(row: &Row) -> Column {
    Column {
        name: row.get(1),
        attnum: row.get(2),
        type_oid: row.get(3),
        typmod: row.get(4),
        declared: row.get(5),
        not_null: row.get(6),
        generated: row.get(7),
        select: row.get(8),
    }
}
