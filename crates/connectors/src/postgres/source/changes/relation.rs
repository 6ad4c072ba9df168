//! A table as the replication stream describes it: each change of its definition comes with a new description.

use std::sync::Arc;

use tidemark_engine::{Error, Result, schema::StreamSchema};

use crate::postgres::{
    source::{replication::pgoutput, table::Table},
    types::ColumnType,
};

/// `REPLICA IDENTITY FULL`: every old value is told.
const FULL: u8 = b'f';

/// What is needed to read a table's changes.
#[derive(Debug)]
pub(super) struct Relation {
    pub(super) schema: Arc<StreamSchema>,
    /// For each column as it comes: the field it is, or `None` where it is left out.
    pub(super) wire: Vec<Option<usize>>,
    /// The type of each field.
    pub(super) types: Vec<ColumnType>,
    /// Whether the old value of each field is told when it matters: it is part of the replica identity.
    pub(super) identity: Vec<bool>,
}

impl Relation {
    /// The relation of `table` that `message` describes. `types` are those of its columns, in order.
    pub(super) fn new(
        table: &Table,
        message: &pgoutput::Relation<'_>,
        types: Vec<ColumnType>,
    ) -> Result<Self> {
        let (mut wire, mut kept, mut identity) = (Vec::new(), Vec::new(), Vec::new());
        for (column, column_type) in message.columns.iter().zip(types) {
            if table.excluded.iter().any(|excluded| excluded == column.name) {
                wire.push(None);
                continue;
            }
            wire.push(Some(kept.len()));
            kept.push((column.name, column_type));
            identity.push(column.key || message.identity == FULL);
        }
        let schema = table.schema(kept.iter().map(|(name, column_type)| (*name, column_type)))?;
        let types = kept.into_iter().map(|(_, column_type)| column_type).collect();
        let relation = Self { schema, wire, types, identity };
        relation.check_key(table)?;
        Ok(relation)
    }

    /// Whether changes of `other` are read just as this one's: the server describes tables more often than they change.
    pub(super) fn is_read_alike(&self, other: &Self) -> bool {
        self.schema.digest() == other.schema.digest()
            && self.wire == other.wire
            && self.identity == other.identity
    }

    /// A delete tells the replica identity alone: a key beyond it would not be known.
    fn check_key(&self, table: &Table) -> Result<()> {
        let unknown = self.schema.key().iter().find(|&&index| !self.identity[index]);
        let Some(&index) = unknown else { return Ok(()) };
        let (column, id) = (&self.schema.fields()[index].name, &table.id);
        Err(Error::data(format!("key column `{column}` of table `{id}` is not part of its replica identity"))
            .hint(format!("run `ALTER TABLE {} REPLICA IDENTITY FULL`, or choose another `key`", id.sql())))
    }
}
