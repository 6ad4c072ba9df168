//! What the database offers: its streams, with the kinds that their first records have.

use rusqlite::Connection;
use tidemark_engine::{Result, change::Op};

use super::{Source, query::Query, rows::SqliteRows};
use crate::{
    config::{Discovered, Extent},
    queries::{QueryStream, plan},
    records::{Known, Rows, Table},
};

/// Records of a stream that are looked at.
const LOOKED_AT: usize = 1_000;

impl Source {
    /// The streams, with up to `records` records of each.
    pub async fn discover(&self, records: usize) -> Result<Vec<Discovered>> {
        let source = self.clone();
        let look = move |connection: &Connection| {
            let streams = source.config.streams.iter();
            streams.map(|(name, stream)| source.look(connection, name, stream, records)).collect()
        };
        self.database.run(look).await
    }

    fn look(
        &self,
        connection: &Connection,
        name: &str,
        stream: &QueryStream,
        records: usize,
    ) -> Result<Discovered> {
        let query = Query::describe(connection, &self.database, name, stream)?;
        let plan = plan(name, stream, &query.terms, self.config.poll.0)?;
        let mut columns = query.terms.columns.clone();
        columns.retain(|column| !plan.outline.exclude.contains(column));
        let sql = format!("{} LIMIT {LOOKED_AT}", query.sql(&columns, None, &[])?);
        let failure = |error| self.database.failure(error);
        let mut statement = connection.prepare(&sql).map_err(failure)?;
        let mut found = statement.query([]).map_err(failure)?;
        let mut rows = SqliteRows::new(&columns);
        while let Some(record) = found.next().map_err(failure)? {
            rows.add(record, name)?;
        }
        let mut table = Table::new(&plan.outline, Known::default());
        table.see(&columns);
        let batch = table.batch(&rows, Op::Read, true, name)?;
        let sample = (records > 0).then(|| batch.slice(0, rows.len().min(records)));
        Ok(Discovered { schema: table.schema()?, extent: Extent::Records(None), sample })
    }
}
