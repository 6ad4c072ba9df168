//! A table that is read: what the pipeline file asks for and what the server's catalog says, together.

use std::sync::Arc;

use tidemark_engine::{
    Digest, Error, Result,
    schema::{Field, StreamName, StreamSchema},
};

use super::{catalog::Sort, definitions::Definitions, selection::TableToRead};
use crate::postgres::{identifier::TableId, types::ColumnType};

/// One table, known by one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::postgres) struct Table {
    pub(in crate::postgres) id: TableId,
    pub(in crate::postgres) oid: u32,
    /// The row of the publication that has it, see [`Publication::row`](super::publication::Publication::row); `None`: nobody looked.
    pub(in crate::postgres) published: Option<u32>,
    /// Its rows live in partitions.
    pub(in crate::postgres) partitioned: bool,
    /// The columns that are read, in order. Generated ones are not: the stream does not carry them.
    pub(in crate::postgres) columns: Vec<Column>,
    /// What tells its records apart; may be empty.
    pub(in crate::postgres) key: Vec<String>,
    /// Columns that are left out.
    pub(in crate::postgres) excluded: Vec<String>,
    /// The SQL condition that its records meet.
    pub(in crate::postgres) condition: Option<String>,
    /// Names and types of all its columns, those that are not read included, as they were when it was looked up.
    pub(in crate::postgres) layout: String,
}

/// One column, as the catalog has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::postgres) struct Column {
    pub(in crate::postgres) name: String,
    pub(in crate::postgres) type_oid: u32,
    pub(in crate::postgres) modifier: i32,
    pub(in crate::postgres) not_null: bool,
}

impl From<TableToRead> for Table {
    fn from(wanted: TableToRead) -> Self {
        let columns = wanted.columns().map(|column| Column {
            name: column.name.clone(),
            type_oid: column.type_oid,
            modifier: column.typmod,
            not_null: column.not_null,
        });
        let columns = columns.collect();
        let all = wanted.table.columns.iter();
        let layout = all.map(|column| format!("{} {} {}", column.name, column.type_oid, column.typmod));
        let layout = layout.collect::<Vec<_>>().join(", ");
        let TableToRead { table, key, excluded, condition } = wanted;
        Self {
            id: table.id,
            oid: table.oid,
            published: None,
            partitioned: table.sort == Sort::Partitioned,
            columns,
            key,
            excluded: excluded.into_iter().collect(),
            condition,
            layout,
        }
    }
}

impl Table {
    /// The stream it is read as: `public.orders`.
    pub(in crate::postgres) fn stream(&self) -> StreamName {
        StreamName::new(self.id.to_string())
    }

    /// The hash of how the pipeline file wants it read: what was read in another way does not go together with it.
    pub(in crate::postgres) fn terms(&self) -> Digest {
        Digest::of(format!("{:?} {:?} {:?}", self.key, self.excluded, self.condition).as_bytes())
    }

    /// The same for its key, for what is left out and for its condition apart, in short: to say what was changed.
    pub(super) fn parts_of_terms(&self) -> Vec<String> {
        let short = |text: String| Digest::of(text.as_bytes()).to_string()[..8].to_owned();
        let parts =
            [format!("{:?}", self.key), format!("{:?}", self.excluded), format!("{:?}", self.condition)];
        parts.map(short).to_vec()
    }

    /// What stands before its name in a FROM clause: tables that inherit from it are read on their own.
    pub(in crate::postgres) fn only(&self) -> &'static str {
        if self.partitioned { "" } else { "ONLY " }
    }

    /// The schema of its stream with these columns, told apart by `key`.
    pub(in crate::postgres) fn schema<'c>(
        &self,
        columns: impl Iterator<Item = (&'c str, &'c ColumnType)>,
    ) -> Result<Arc<StreamSchema>> {
        self.schema_with_key(columns, self.key.clone())
    }

    /// The same, told apart by another `key`.
    pub(in crate::postgres) fn schema_with_key<'c>(
        &self,
        columns: impl Iterator<Item = (&'c str, &'c ColumnType)>,
        key: Vec<String>,
    ) -> Result<Arc<StreamSchema>> {
        let fields = columns.map(|(name, column_type)| Field {
            name: name.to_owned(),
            kind: column_type.kind.clone(),
            nullable: !self.columns.iter().any(|column| column.name == name && column.not_null),
            source_type: Some(column_type.declared.clone()),
        });
        let fields: Vec<_> = fields.collect();
        if fields.is_empty() {
            let message = format!("table `{}` has no column that could be read", self.id);
            return Err(Error::data(message).hint("leave it out of `streams`"));
        }
        StreamSchema::new(self.stream(), fields, key)
    }
}

/// A table with the types of its columns.
#[derive(Debug, Clone)]
pub(in crate::postgres) struct Shape {
    pub(in crate::postgres) table: Arc<Table>,
    pub(in crate::postgres) schema: Arc<StreamSchema>,
    /// One for each column.
    pub(in crate::postgres) types: Vec<ColumnType>,
}

impl Shape {
    /// The shape of `table`, as the server has it now.
    pub(in crate::postgres::source) async fn ask(
        table: Arc<Table>,
        definitions: &mut Definitions,
    ) -> Result<Self> {
        let wanted: Vec<_> = table.columns.iter().map(|column| (column.type_oid, column.modifier)).collect();
        let types = definitions.types(&wanted).await?;
        let names = table.columns.iter().map(|column| column.name.as_str());
        let schema = table.schema(names.zip(&types))?;
        Ok(Self { table, schema, types })
    }
}

/// The hash of what chunks of one table must agree on: names and types of the columns.
pub(in crate::postgres) fn definition(schema: &StreamSchema) -> Digest {
    let columns = schema.fields().iter().map(|field| (&field.name, &field.source_type));
    let text: String = columns.map(|column| format!("{column:?}\n")).collect();
    Digest::of(text.as_bytes())
}
