//! What the source offers: its tables, with the schemas they are staged under.

use std::sync::Arc;

use tidemark_engine::Result;
use tokio_postgres::Client;

use super::{
    Source, catalog,
    definitions::Definitions,
    selection::Selection,
    sync::sample,
    table::{Shape, Table},
};
use crate::{
    config::{Discovered, Extent},
    postgres::connection::failure,
};

impl Source {
    /// The tables that the pipeline file asks for, by name, with up to `records` records of each.
    pub async fn discover(&self, records: usize) -> Result<Vec<Discovered>> {
        let session = self.server.connect("discover").await?;
        let selection = Selection::of(self.config.streams.as_ref(), &catalog::tables(&session).await?);
        if let Some(problem) = selection.problems.into_iter().next() {
            return Err(problem);
        }
        let mut definitions = Definitions::new(self.server.clone());
        let mut discovered = Vec::new();
        for table in selection.tables {
            let shape = Shape::ask(Arc::new(table.into()), &mut definitions).await?;
            let sample = if records > 0 { sample(&session, &shape, records).await? } else { None };
            let extent = Extent::Records(about(&session, &shape.table).await?);
            discovered.push(Discovered { schema: shape.schema, extent, sample });
        }
        Ok(discovered)
    }
}

/// How many rows the server takes the table to have; `None` when it has not looked.
async fn about(session: &Client, table: &Table) -> Result<Option<u64>> {
    let sql = "SELECT sum(reltuples)::int8 FROM pg_class
               WHERE oid IN (SELECT relid FROM pg_partition_tree($1::oid) WHERE isleaf UNION SELECT $1) AND reltuples >= 0";
    let row = session.query_one(sql, &[&table.oid]).await;
    let row = row.map_err(|error| failure(format!("cannot ask how large `{}` is", table.id), error))?;
    Ok(row.get::<_, Option<i64>>(0).and_then(|rows| u64::try_from(rows).ok()))
}
