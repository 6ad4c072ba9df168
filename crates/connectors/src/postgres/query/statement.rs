//! What a stream asks for, and what the server says of it.

use std::sync::Arc;

use tidemark_engine::{
    Error, Result,
    schema::{Field, Kind, StreamSchema},
};
use tokio_postgres::Client;

use crate::{
    polling::{Plan, Sweep},
    postgres::{
        connection::failure,
        identifier::{TableId, literal, quoted},
        types::{Catalog, ColumnType},
    },
    queries::{Asked, QueryStream, Terms},
};

/// The columns of the primary key of a table, in its order.
const PRIMARY_KEY: &str = "
    SELECT a.attname::text
    FROM pg_catalog.pg_index i, unnest(i.indkey) WITH ORDINALITY k(attnum, place), pg_catalog.pg_attribute a
    WHERE i.indrelid = pg_catalog.to_regclass($1) AND i.indisprimary AND k.place <= i.indnkeyatts
      AND a.attrelid = i.indrelid AND a.attnum = k.attnum
    ORDER BY k.place";

/// A stream's SELECT, without what one sweep adds to it.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub(super) stream: String,
    /// What stands behind FROM: the user's query in brackets, or a table.
    from: String,
    pub(super) terms: Terms,
    /// One for each of its columns.
    types: Vec<ColumnType>,
}

/// The name, as SQL, of the table that the stream `name` reads, where it reads one.
pub(super) fn table(name: &str, stream: &QueryStream) -> Option<String> {
    match stream.asked(name) {
        Asked::Query(_) => None,
        Asked::Table(table) => Some(match table.split_once('.') {
            Some((schema, name)) => TableId { schema: schema.to_owned(), name: name.to_owned() }.sql(),
            None => quoted(table),
        }),
    }
}

impl Query {
    /// Asks the server what the stream `name` is like.
    pub(super) async fn describe(session: &Client, name: &str, stream: &QueryStream) -> Result<Self> {
        let refused = |error| failure(format!("cannot read stream `{name}`"), error);
        let (from, primary_key) = match (stream.asked(name), table(name, stream)) {
            (_, Some(table)) => {
                let rows = session.query(PRIMARY_KEY, &[&table]).await.map_err(refused)?;
                (table, rows.iter().map(|row| row.get(0)).collect())
            }
            // A line of its own, for the query may end in a comment.
            (Asked::Query(query) | Asked::Table(query), None) => (format!("({query}\n)"), Vec::new()),
        };
        let statement = session.prepare(&format!("SELECT * FROM {from} AS asked")).await.map_err(refused)?;
        let columns = statement.columns();
        let wanted: Vec<_> =
            columns.iter().map(|column| (column.type_().oid(), column.type_modifier())).collect();
        let types = Catalog::default().resolve(session, &wanted).await?;
        let columns = columns.iter().map(|column| column.name().to_owned()).collect();
        Ok(Self { stream: name.to_owned(), from, terms: Terms { columns, primary_key }, types })
    }

    /// Refuses a watermark that the server orders otherwise than we do, such as texts.
    pub(super) fn require_mark(&self, plan: &Plan) -> Result<()> {
        let Some(name) = plan.watermark() else { return Ok(()) };
        let mark = self.columns().find(|(column, _)| *column == name);
        match mark.map(|(_, column_type)| &column_type.kind) {
            Some(
                Kind::Int16 | Kind::Int32 | Kind::Int64 | Kind::UInt32 | Kind::Decimal { .. } | Kind::Number,
            ) => Ok(()),
            Some(Kind::Date | Kind::Timestamp | Kind::TimestampTz) | None => Ok(()),
            Some(kind) => Err(Error::config(format!(
                "the watermark `{name}` of stream `{}` is of type `{}`, which does not grow as numbers and times do",
                self.stream,
                kind.name()
            ))
            .hint("choose a column of exact numbers, dates or timestamps, or convert it in a `query`")),
        }
    }

    fn columns(&self) -> impl Iterator<Item = (&str, &ColumnType)> {
        self.terms.columns.iter().map(String::as_str).zip(&self.types)
    }

    /// The columns that are read.
    fn read<'q>(&'q self, plan: &'q Plan) -> impl Iterator<Item = (&'q str, &'q ColumnType)> {
        self.columns().filter(|(name, _)| !plan.outline.exclude.contains(*name))
    }

    /// The types of the columns that are read.
    pub(super) fn types(&self, plan: &Plan) -> Vec<ColumnType> {
        self.read(plan).map(|(_, column_type)| column_type.clone()).collect()
    }

    /// The schema of its records.
    pub(super) fn schema(&self, plan: &Plan) -> Result<Arc<StreamSchema>> {
        let key = &plan.outline.key;
        let fields = self.read(plan).map(|(name, column_type)| Field {
            name: name.to_owned(),
            kind: column_type.kind.clone(),
            nullable: !key.iter().any(|column| column == name),
            source_type: Some(column_type.declared.clone()),
        });
        StreamSchema::new(plan.outline.name.clone(), fields.collect(), key.clone())
    }

    /// The COPY of the records that `sweep` asks for, in the order of their key.
    pub(super) fn copy(&self, plan: &Plan, sweep: &Sweep, limit: Option<usize>) -> Result<String> {
        let columns = self.read(plan).map(|(name, column_type)| column_type.selected(&quoted(name)));
        let columns = columns.collect::<Vec<_>>().join(", ");
        let condition = match (sweep, plan.watermark()) {
            (Sweep::All, _) => String::new(),
            (Sweep::Since(mark), Some(column)) => {
                self.require_finite(column, mark)?;
                format!(" WHERE {} >= {}", quoted(column), literal(mark))
            }
            (Sweep::Since(_) | Sweep::Delta(_), _) => {
                return Err(Error::internal("PostgreSQL was asked for changes in a way it does not know"));
            }
        };
        let order = plan.outline.key.iter().map(|name| format!("asked.{}", quoted(name)));
        let order = order.collect::<Vec<_>>().join(", ");
        let order = if order.is_empty() { order } else { format!(" ORDER BY {order}") };
        let limit = limit.map_or(String::new(), |limit| format!(" LIMIT {limit}"));
        Ok(format!(
            "COPY (SELECT {columns} FROM {} AS asked{condition}{order}{limit}) TO STDOUT (FORMAT binary)",
            self.from
        ))
    }

    /// Nothing comes after such a mark, so no change would be found any more.
    fn require_finite(&self, column: &str, mark: &str) -> Result<()> {
        if mark.parse::<f64>().is_ok_and(|number| !number.is_finite()) {
            let stream = &self.stream;
            return Err(Error::data(format!(
                "the watermark `{column}` of stream `{stream}` holds a number beyond all others"
            ))
            .hint("correct it at the source, or leave such records out in a `query`"));
        }
        Ok(())
    }
}
