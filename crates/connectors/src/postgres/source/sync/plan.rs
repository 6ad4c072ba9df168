//! How a table is cut into chunks.
//!
//! Chunks are ranges of the first key column, where its order is the same inside and outside the database: whole numbers,
//! uuids, bytes, and text that is compared byte by byte. Other tables are one chunk.

use tidemark_engine::{
    Result,
    schema::{Kind, StreamSchema},
};

use crate::postgres::{
    connection::{Session, failure},
    identifier::quoted,
    source::table::Table,
};

/// A chunk is about this much of the table on the server's disk.
const CHUNK_BYTES: i64 = 16 << 20;

/// The cursor names each chunk until the table is complete, so there are not many.
const MOST_CHUNKS: i64 = 256;

/// Pages that are looked at for each chunk, to find where it begins.
const PAGES_PER_CHUNK: f64 = 8.0;

/// The column to cut `table` by and where each chunk but the first begins; without a column it is one chunk.
pub(super) async fn chunks(
    session: &Session,
    table: &Table,
    schema: &StreamSchema,
) -> Result<(Option<String>, Vec<String>)> {
    let Some(column) = column(session, table, schema).await? else { return Ok((None, Vec::new())) };
    let bounds = bounds(session, table, &column, MOST_CHUNKS).await?;
    Ok((Some(column), bounds))
}

/// Where each chunk of `table` but the first begins when it is cut by `column`, into `most` at most.
pub(in crate::postgres) async fn bounds(
    session: &Session,
    table: &Table,
    column: &str,
    most: i64,
) -> Result<Vec<String>> {
    let (bytes, pages) = size(session, table).await?;
    let count = (bytes / CHUNK_BYTES).clamp(1, most);
    if count == 1 {
        return Ok(Vec::new());
    }
    let samples = samples(session, table, column, count, pages).await?;
    let step = samples.len() as f64 / count as f64;
    let mut bounds: Vec<String> = Vec::new();
    for chunk in 1..count {
        let Some(bound) = samples.get((chunk as f64 * step) as usize) else { continue };
        if bounds.last() != Some(bound) {
            bounds.push(bound.clone());
        }
    }
    Ok(bounds)
}

/// The column whose ranges chunks can be.
async fn column(session: &Session, table: &Table, schema: &StreamSchema) -> Result<Option<String>> {
    let Some(&first) = schema.key().first() else { return Ok(None) };
    let field = &schema.fields()[first];
    let is_ordered = match field.kind {
        Kind::Int16 | Kind::Int32 | Kind::Int64 | Kind::UInt32 | Kind::Uuid | Kind::Bytes => true,
        Kind::Text => is_bytewise(session, table, &field.name).await?,
        _ => false,
    };
    Ok(is_ordered.then(|| field.name.clone()))
}

/// Whether texts of `column` are ordered byte by byte, as in the locale `C`.
pub(in crate::postgres) async fn is_bytewise(session: &Session, table: &Table, column: &str) -> Result<bool> {
    let sql = "SELECT a.atttypid IN ('text'::regtype, 'varchar'::regtype)
                      AND coalesce(CASE WHEN l.collname <> 'default' THEN l.collcollate
                                         WHEN coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') = 'c' THEN d.datcollate END, '')
                          IN ('C', 'POSIX')
               FROM pg_attribute a
               JOIN pg_collation l ON l.oid = a.attcollation
               JOIN pg_database d ON d.datname = current_database()
               WHERE a.attrelid = $1 AND a.attname = $2::text::name";
    let row = session.query_opt(sql, &[&table.oid, &column]).await;
    let row = row.map_err(|error| failure(format!("cannot ask how `{}` is ordered", table.id), error))?;
    Ok(row.is_some_and(|row| row.get(0)))
}

/// Bytes of the table, and pages of its rows alone.
async fn size(session: &Session, table: &Table) -> Result<(i64, i64)> {
    let sql = "SELECT coalesce(sum(pg_table_size(relid)), 0)::int8,
                      (coalesce(sum(pg_relation_size(relid)), 0) / current_setting('block_size')::int8)::int8
               FROM (SELECT relid FROM pg_partition_tree($1::oid) WHERE isleaf
                     UNION SELECT $1::oid::regclass) AS files";
    let row = session.query_one(sql, &[&table.oid]).await;
    let row = row.map_err(|error| failure(format!("cannot ask for the size of `{}`", table.id), error))?;
    Ok((row.get(0), row.get(1)))
}

/// Values of `column` from some pages of the table, in order.
async fn samples(
    session: &Session,
    table: &Table,
    column: &str,
    chunks: i64,
    pages: i64,
) -> Result<Vec<String>> {
    let percent = (100.0 * PAGES_PER_CHUNK * chunks as f64 / pages.max(1) as f64).clamp(0.001, 100.0);
    let (column, only) = (quoted(column), table.only());
    // The column's own order, not that of its text.
    let sql = format!(
        "SELECT {column}::text FROM {only}{} AS t TABLESAMPLE SYSTEM ({percent}) WHERE {column} IS NOT NULL ORDER BY t.{column}",
        table.id.sql()
    );
    let rows = session.query(&sql, &[]).await;
    let rows = rows.map_err(|error| failure(format!("cannot sample table `{}`", table.id), error))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
