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
        let columns = kept.iter().map(|(name, column_type)| (*name, column_type));
        let schema = table.schema_with_key(columns, key_of(table, message, &kept))?;
        let types = kept.into_iter().map(|(_, column_type)| column_type).collect();
        Ok(Self { schema, wire, types, identity })
    }

    /// Whether changes of `other` are read just as this one's: the server describes tables more often than they change.
    pub(super) fn is_read_alike(&self, other: &Self) -> bool {
        self.schema.digest() == other.schema.digest()
            && self.wire == other.wire
            && self.identity == other.identity
    }

    /// Refuses a record that does not have a value for every column of its table.
    pub(super) fn check_width(&self, record: pgoutput::Tuple<'_>) -> Result<()> {
        if record.len() == self.wire.len() {
            return Ok(());
        }
        let stream = self.schema.stream();
        Err(Error::data(format!(
            "a record of stream `{stream}` has another number of columns than its table was said to have"
        )))
    }

    /// Refuses an update or a delete that does not tell which record it is about: it tells the replica identity alone.
    pub(super) fn check_key(&self) -> Result<()> {
        let unknown = self.schema.key().iter().find(|&&index| !self.identity[index]);
        let Some(&index) = unknown else { return Ok(()) };
        let (column, stream) = (&self.schema.fields()[index].name, self.schema.stream());
        Err(Error::data(format!("a change of stream `{stream}` does not tell its key column `{column}`")).hint(
            "it is not part of the table's replica identity; the server's log cannot be changed any more: choose another \
             `key`, or run `ALTER TABLE … REPLICA IDENTITY FULL`, drop the replication slot and run `tidemark resync FILE`",
        ))
    }
}

/// The key of the table. While the log is behind, a table may look older than its key of today: then its key of then.
fn key_of(table: &Table, message: &pgoutput::Relation<'_>, kept: &[(&str, ColumnType)]) -> Vec<String> {
    let is_there = |name: &String| kept.iter().any(|(column, _)| column == name);
    if table.key.iter().all(is_there) {
        return table.key.clone();
    }
    let key = message.columns.iter().filter(|column| column.key).map(|column| column.name.to_owned());
    key.filter(is_there).collect()
}
