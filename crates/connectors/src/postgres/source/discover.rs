//! What the source offers: the tables that would be read, with their columns and keys.

use std::sync::Arc;

use tidemark_engine::{
    Result,
    schema::{Field, StreamName, StreamSchema},
};
use tokio_postgres::Client;

use super::{
    Source, catalog,
    selection::{Selection, TableToRead},
};
use crate::postgres::types::{Catalog, ColumnType};

impl Source {
    /// The schemas of the streams, by name.
    pub async fn discover(&self) -> Result<Vec<Arc<StreamSchema>>> {
        let session = self.server.connect("discover").await?;
        let mut types = Catalog::default();
        let mut schemas = Vec::new();
        for table in self.tables(&session).await? {
            let types = table.types(&session, &mut types).await?;
            schemas.push(table.schema(&types)?);
        }
        Ok(schemas)
    }

    /// The tables that are asked for, by name.
    ///
    /// Fails with the first problem where the pipeline file and the database do not go together.
    pub(in crate::postgres) async fn tables(&self, session: &Client) -> Result<Vec<TableToRead>> {
        let tables = catalog::tables(session).await?;
        let selection = Selection::of(self.config.streams.as_ref(), &tables);
        match selection.problems.into_iter().next() {
            Some(problem) => Err(problem),
            None => Ok(selection.tables),
        }
    }
}

impl TableToRead {
    /// The types of its [`columns`](Self::columns), in their order.
    pub(in crate::postgres) async fn types(
        &self,
        session: &Client,
        types: &mut Catalog,
    ) -> Result<Vec<ColumnType>> {
        let wanted: Vec<_> = self.columns().map(|column| (column.type_oid, column.typmod)).collect();
        let resolved = types.resolve(session, &wanted).await;
        resolved.map_err(|error| error.context(format!("cannot read table `{}`", self.table.id)))
    }

    /// Its schema, where its columns are of these types.
    pub(in crate::postgres) fn schema(&self, types: &[ColumnType]) -> Result<Arc<StreamSchema>> {
        let field = |(column, column_type): (&catalog::Column, &ColumnType)| Field {
            name: column.name.clone(),
            kind: column_type.kind.clone(),
            nullable: !column.not_null,
            source_type: Some(column_type.declared.clone()),
        };
        let fields = self.columns().zip(types).map(field).collect();
        StreamSchema::new(StreamName::new(self.table.id.to_string()), fields, self.key.clone())
    }
}
