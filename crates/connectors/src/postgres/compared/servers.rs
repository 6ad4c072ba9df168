//! Rows that their server hashes: it makes each value's text, quotes it, and hashes the texts of a row together. Sessions agree on
//! all that texts depend on, see [`SESSION`](crate::postgres::types::SESSION), so equal rows have equal hashes on any two servers.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use tidemark_engine::{Error, ErrorKind, Result};
use tokio_postgres::Row as ServerRow;

use super::condition;
use crate::{
    comparing::{Hash, Key, Part, Row, Seen, Side, Sum, Sums, Terms, hexadecimal},
    postgres::{
        connection::{Session, failure},
        identifier::quoted,
        source::table::Shape,
    },
};

/// Keys that are looked for in one statement.
const KEYS: usize = 1_000;

/// A table whose server hashes its rows.
pub(super) struct ByServer {
    session: Arc<Session>,
    shape: Shape,
    terms: Terms,
    /// Each compared column as text that tells NULL from every text.
    cells: Vec<String>,
    /// The key's columns as text.
    key: Vec<String>,
}

impl ByServer {
    pub(super) fn new(session: Arc<Session>, shape: Shape, terms: &Terms) -> Self {
        let columns = shape.table.columns.iter().zip(&shape.types);
        let texts: Vec<_> =
            columns.map(|(column, column_type)| column_type.as_text(&quoted(&column.name))).collect();
        let cells = texts.iter().map(|text| format!("pg_catalog.quote_nullable({text})")).collect();
        let key = terms.key.iter().map(|&index| texts[index].clone()).collect();
        Self { session, shape, terms: terms.clone(), cells, key }
    }

    /// The columns that are compared, as SQL.
    fn columns(&self) -> String {
        let names = self.shape.table.columns.iter().map(|column| quoted(&column.name));
        names.collect::<Vec<_>>().join(", ")
    }

    /// The table, as SQL.
    fn table(&self) -> String {
        format!("{}{}", self.shape.table.only(), self.shape.table.id.sql())
    }

    /// A query for the rows of `part` whose keys' hashes go on as they should: `hash` of the whole row, `next`, the byte in question,
    /// and the key. Each step is fenced off by its OFFSET, so that no hash is computed twice, or in vain.
    fn hashed(&self, part: &Part, bytes: Option<&[u8]>) -> String {
        let key_cells: Vec<_> = self.terms.key.iter().map(|&index| self.cells[index].clone()).collect();
        let depth = part.prefix.len();
        let mut matching = Vec::new();
        if depth > 0 {
            let digits: String = part.prefix.iter().map(|byte| format!("{byte:02x}")).collect();
            matching.push(format!("substring(_tidemark_key FROM 1 FOR {depth}) = '\\x{digits}'::bytea"));
        }
        if let Some(bytes) = bytes {
            let bytes: Vec<_> = bytes.iter().map(ToString::to_string).collect();
            matching.push(format!("get_byte(_tidemark_key, {depth}) IN ({})", bytes.join(", ")));
        }
        let keys = self.key.iter().zip(0..).map(|(text, part)| format!("{text} AS k{part}"));
        let keys = if bytes.is_some() { keys.map(|key| format!(", {key}")).collect() } else { String::new() };
        format!(
            "SELECT get_byte(_tidemark_key, {depth}) AS next, {hash} AS hash{keys} FROM (
                 SELECT {columns}, {key} AS _tidemark_key FROM {table}{clause} OFFSET 0
             ) AS t{matching} OFFSET 0",
            hash = hash_of(&self.cells),
            columns = self.columns(),
            key = hash_of(&key_cells),
            table = self.table(),
            clause = condition::clause(&condition::of_range(&self.shape, &self.terms, part)),
            matching = condition::clause(&matching),
        )
    }

    async fn query(&self, sql: &str) -> Result<Vec<ServerRow>> {
        let rows = self.session.query(sql, &[]).await;
        rows.map_err(|error| super::cannot_compare(&self.shape, error))
    }

    async fn look_at(&self, keys: &[Key], closely: bool) -> Result<Vec<(Key, Hash, Vec<Hash>)>> {
        let columns = if closely {
            let hashes = self.cells.iter().map(|cell| hexadecimal_of(&hash_of(std::slice::from_ref(cell))));
            hashes.collect::<Vec<_>>().join(", ")
        } else {
            String::new()
        };
        let sql = format!(
            "SELECT {}, {}, ARRAY[{columns}]::text[] FROM {}{}",
            self.key.join(", "),
            hexadecimal_of(&hash_of(&self.cells)),
            self.table(),
            condition::clause(&condition::of_keys(&self.shape, &self.terms, keys)),
        );
        let rows = self.query(&sql).await?;
        let length = self.key.len();
        let rows = rows.iter().map(|row| {
            let columns: Vec<String> = row.try_get(length + 1).map_err(unreadable)?;
            let columns = columns.iter().map(|digits| hash(digits)).collect::<Result<_>>()?;
            Ok((key(row, 0, length)?, hash(row.try_get(length).map_err(unreadable)?)?, columns))
        });
        rows.collect()
    }
}

#[async_trait]
impl Side for ByServer {
    async fn sums(&mut self, part: &Part) -> Result<Sums> {
        let half = |from: usize| {
            format!("sum(('x' || encode(substring(hash FROM {from} FOR 8), 'hex'))::bit(64)::bigint)::text")
        };
        let sql = format!(
            "SELECT next, count(*), {}, {} FROM ({}) AS rows GROUP BY next",
            half(1),
            half(9),
            self.hashed(part, None)
        );
        let rows = self.query(&sql).await?;
        let sums = rows.iter().map(|row| {
            let (next, rows) = (row.try_get::<_, i32>(0), row.try_get::<_, i64>(1));
            let half = |index| row.try_get::<_, &str>(index).map_err(unreadable).and_then(half_of);
            let next = u8::try_from(next.map_err(unreadable)?).map_err(|_| unsound())?;
            let rows = u64::try_from(rows.map_err(unreadable)?).map_err(|_| unsound())?;
            Ok((next, Sum { rows, halves: [half(2)?, half(3)?] }))
        });
        sums.collect()
    }

    async fn rows(&mut self, part: &Part, bytes: &[u8]) -> Result<Vec<Row>> {
        let keys = (0..self.key.len()).map(|part| format!("k{part}")).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "SELECT {keys}, encode(substring(hash FROM 1 FOR 16), 'hex') FROM ({}) AS rows",
            self.hashed(part, Some(bytes))
        );
        let length = self.key.len();
        let rows = self.query(&sql).await?;
        let rows = rows.iter().map(|row| {
            let digits = row.try_get(length).map_err(unreadable)?;
            Ok(Row { key: key(row, 0, length)?, hash: hash(digits)? })
        });
        rows.collect()
    }

    async fn look(&mut self, keys: &[Key], closely: bool) -> Result<Vec<Seen>> {
        let places: HashMap<_, _> = keys.iter().zip(0usize..).collect();
        let mut seen = vec![Seen::default(); keys.len()];
        for some in keys.chunks(KEYS) {
            let found = match self.look_at(some, closely).await {
                Err(error) if error.kind() == ErrorKind::Data => {
                    // A key of the other side that is no value here is none of a row here.
                    let mut found = Vec::new();
                    for key in some {
                        match self.look_at(std::slice::from_ref(key), closely).await {
                            Err(error) if error.kind() == ErrorKind::Data => {}
                            row => found.extend(row?),
                        }
                    }
                    found
                }
                found => found?,
            };
            for (key, hash, columns) in found {
                if let Some(&place) = places.get(&key) {
                    seen[place].sum.add(&hash);
                    seen[place].columns = columns;
                }
            }
        }
        Ok(seen)
    }
}

/// The hash of `cells` together: SHA-256 of their texts in UTF-8, whatever the database's own encoding is. Every server has it,
/// also one that may use no weaker one.
fn hash_of(cells: &[String]) -> String {
    format!(
        "pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.array_to_string(ARRAY[{}], ','), 'UTF8'))",
        cells.join(", ")
    )
}

fn hexadecimal_of(hash: &str) -> String {
    format!("encode(substring({hash} FROM 1 FOR 16), 'hex')")
}

fn key(row: &ServerRow, from: usize, length: usize) -> Result<Key> {
    (from..from + length).map(|index| row.try_get(index).map_err(unreadable)).collect()
}

fn hash(digits: &str) -> Result<Hash> {
    hexadecimal(digits).and_then(|bytes| bytes.try_into().ok()).ok_or_else(unsound)
}

/// A sum of numbers with a sign, modulo 2^64: the same as that of the same bits without one.
fn half_of(text: &str) -> Result<u64> {
    let sum: i128 = text.parse().map_err(|_| unsound())?;
    Ok(sum.cast_unsigned() as u64)
}

fn unsound() -> Error {
    Error::internal("a server's checksum is none")
}

fn unreadable(error: tokio_postgres::Error) -> Error {
    failure("cannot read a server's checksums", error)
}
