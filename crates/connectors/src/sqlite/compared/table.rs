//! A table, as it is declared.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension};
use tidemark_engine::{
    Error, Result,
    schema::{Kind, RESERVED_PREFIX, StreamName},
    write::WriteMode,
};

use super::{Database, Outcome, has_table, side::SqliteSide};
use crate::{
    comparing::{Described, Order, Place, Side, Table, Terms, ended_by, mixed},
    sqlite::{
        destination::read_as,
        identifier::{fold, quote},
        storage::Storage,
    },
};

/// A range is about this many rows.
const RANGE_ROWS: u64 = 200_000;

/// What is known of a table.
#[derive(Debug, Clone)]
pub(super) struct DescribedTable {
    /// Its name as SQL.
    pub(super) name: String,
    /// The columns that can be compared, and how each stores its values.
    pub(super) columns: Vec<Described>,
    pub(super) storages: Vec<Storage>,
    /// Where the table was there before us: the type that each was declared with.
    adopted: Option<Vec<String>>,
    /// The columns of the primary key.
    pub(super) key: Vec<String>,
    /// What holds for rows that the source should have too.
    pub(super) condition: Option<String>,
}

/// The table of `stream`; `None` when `destination` has none yet.
pub(super) fn describe(
    connection: &Connection,
    destination: &str,
    stream: &StreamName,
    mode: WriteMode,
) -> Outcome<Option<DescribedTable>> {
    if !has_table(connection, "_tidemark_tables")? {
        return Ok(None);
    }
    let sql = "SELECT name, made FROM _tidemark_tables WHERE destination = ?1 AND stream = ?2";
    let registered = connection.query_row(sql, [destination, stream.as_str()], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?))
    });
    let Some((table, made)) = registered.optional()? else { return Ok(None) };
    let mut statement =
        connection.prepare("SELECT name FROM pragma_table_xinfo(?1) WHERE pk > 0 ORDER BY pk")?;
    let key = statement.query_map([&table], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let sql = "SELECT name, type FROM pragma_table_xinfo(?1) WHERE hidden = 0 ORDER BY cid";
    let mut statement = connection.prepare(sql)?;
    let declared = statement.query_map([&table], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let declared = declared.collect::<Result<Vec<(String, String)>, _>>()?;
    if declared.is_empty() {
        return Ok(None);
    }
    let own = declared.into_iter().filter(|(name, _)| !fold(name).starts_with(RESERVED_PREFIX));
    let (mut columns, mut storages, mut types) = (Vec::new(), Vec::new(), Vec::new());
    for (name, declared) in own {
        // A type that is not ours is somebody's alteration; text holds everything.
        let storage = Storage::from_declared(&declared).unwrap_or(Storage::Text);
        columns.push(Described { name, kind: kind(storage), place: Place::Sqlite, server_text: None });
        storages.push(storage);
        types.push(declared);
    }
    let condition = ended_by(mode).map(|column| Ok::<_, Error>(format!("{} IS NULL", quote(column)?)));
    let condition = condition.transpose()?;
    let adopted = (!made).then_some(types);
    Ok(Some(DescribedTable { name: quote(&table)?, columns, storages, adopted, key, condition }))
}

/// The kind of what is read of a column.
fn kind(storage: Storage) -> Kind {
    match storage {
        Storage::Boolean => Kind::Bool,
        Storage::Integer => Kind::Int64,
        Storage::Float => Kind::Float32,
        Storage::Double => Kind::Float64,
        Storage::Mixed => mixed(),
        Storage::Number => Kind::Number,
        Storage::Json => Kind::Json,
        Storage::Date => Kind::Date,
        Storage::Timestamp => Kind::Timestamp,
        Storage::Text => Kind::Text,
        Storage::Blob => Kind::Bytes,
    }
}

/// A table that can be compared.
pub(super) struct ComparedTable {
    database: Database,
    table: DescribedTable,
}

impl ComparedTable {
    pub(super) fn new(database: Database, table: DescribedTable) -> Self {
        Self { database, table }
    }

    fn index(&self, column: &str) -> Option<usize> {
        self.table.columns.iter().position(|described| fold(&described.name) == fold(column))
    }
}

#[async_trait]
impl Table for ComparedTable {
    fn columns(&self) -> &[Described] {
        &self.table.columns
    }

    fn key(&self) -> &[String] {
        &self.table.key
    }

    fn meet(&mut self, other: &[Described]) {
        let DescribedTable { columns, storages, adopted, .. } = &mut self.table;
        let Some(types) = adopted else { return };
        for (column, (storage, declared)) in columns.iter_mut().zip(storages.iter_mut().zip(types)) {
            let written = other.iter().find(|other| fold(&other.name) == fold(&column.name));
            let written = written.map(|other| match &other.kind {
                kind if *kind == mixed() => Storage::Mixed,
                kind => Storage::of(kind),
            });
            if let Some(read_as) = written.and_then(|written| read_as(declared, written)) {
                *storage = read_as;
                column.kind = kind(read_as);
            }
        }
    }

    async fn order(&self, column: &str) -> Result<Option<Order>> {
        Ok(self.index(column).and_then(|index| match self.table.storages[index] {
            Storage::Integer => Some(Order::Number),
            Storage::Blob => Some(Order::Bytes),
            Storage::Text => Some(Order::Text),
            _ => None,
        }))
    }

    async fn bounds(&self, column: &str) -> Result<Vec<String>> {
        let Some(index) = self.index(column) else { return Ok(Vec::new()) };
        let (table, name) = (self.table.name.clone(), quote(&self.table.columns[index].name)?);
        let storage = self.table.storages[index];
        let bounds = move |connection: &Connection| {
            let sql = format!(
                "SELECT {name} FROM (SELECT {name}, row_number() OVER (ORDER BY {name}) AS _tidemark_n FROM {table})
                 WHERE _tidemark_n % {RANGE_ROWS} = 0 AND {name} IS NOT NULL ORDER BY {name}"
            );
            let mut statement = connection.prepare(&sql)?;
            let mut rows = statement.query([])?;
            let mut bounds: Vec<String> = Vec::new();
            while let Some(row) = rows.next()? {
                let Some((value, _)) = storage.value(row.get_ref(0)?) else { continue };
                let bound = value.to_string();
                if bounds.last() != Some(&bound) {
                    bounds.push(bound);
                }
            }
            Ok(bounds)
        };
        self.database.read(bounds).await
    }

    fn side(self: Box<Self>, terms: Arc<Terms>) -> Result<Box<dyn Side>> {
        let columns = terms.columns.iter().map(|column| {
            let index = self.index(&column.name);
            let index = index.ok_or_else(|| Error::internal("a column is compared that is not there"))?;
            Ok((quote(&self.table.columns[index].name)?, self.table.storages[index]))
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let DescribedTable { name, condition, .. } = self.table;
        Ok(Box::new(SqliteSide::new(self.database, name, columns, condition, terms)))
    }
}
