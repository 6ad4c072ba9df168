//! From records that are found to have changed to batches of changes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tidemark_engine::{
    Error, Result,
    arrow_array::{BooleanArray, UInt8Array, new_null_array},
    change::{BitmapBuilder, ChangeBatch, Columns, ExceptionsBuilder, Op},
    schema::StreamSchema,
};

use super::{
    identity::{KeyCell, cells_of},
    page::Records,
    subset::{KeyRows, Subset},
};
use crate::records::{self, Known, Outline, Table};

/// What a stream's records look like so far, as its cursor keeps it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// The columns of records that come as text.
    #[serde(default)]
    columns: Known,
    /// The schema of records that have one of their own, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schema: Option<String>,
}

/// Makes batches of one stream's records.
#[derive(Debug, Clone)]
pub(crate) struct Shaper {
    outline: Outline,
    table: Table,
    schema: Option<Arc<StreamSchema>>,
}

impl Shaper {
    /// Goes on with what has been seen.
    pub(crate) fn new(outline: &Outline, seen: Seen) -> Result<Self> {
        let schema = seen.schema.map(|json| StreamSchema::from_json(json.as_bytes())).transpose()?;
        Ok(Self { outline: outline.clone(), table: Table::new(outline, seen.columns), schema })
    }

    /// What to keep in the cursor.
    pub(crate) fn seen(&self) -> Result<Seen> {
        let json = |schema: &Arc<StreamSchema>| {
            let json = schema.to_json()?;
            String::from_utf8(json).map_err(|error| Error::internal("a schema is not text").source(error))
        };
        let schema = self.schema.as_ref().map(json).transpose()?;
        Ok(Seen { columns: self.table.known().clone(), schema })
    }

    /// The schema so far; `None` while there is no column.
    pub(crate) fn schema(&mut self) -> Result<Option<Arc<StreamSchema>>> {
        match (&self.schema, self.table.has_columns()) {
            (Some(schema), _) => Ok(Some(schema.clone())),
            (None, true) => self.table.schema().map(Some),
            (None, false) => Ok(None),
        }
    }

    /// The changes that the records at `rows` are, each with its operation, in their order. `settle` declares columns without a value so
    /// far as text; `sparse` says that records which have changed bring only that.
    pub(crate) fn changes(
        &mut self,
        records: &Records,
        rows: &[(usize, Op)],
        (settle, sparse): (bool, bool),
        origin: &str,
    ) -> Result<Option<ChangeBatch>> {
        let ops = UInt8Array::from_iter_values(rows.iter().map(|(_, op)| op.letter()));
        match records {
            // Of no records at all, and none before, nothing is known: there is no column.
            Records::Text(all) if all.names().is_empty() && !self.table.has_columns() => Ok(None),
            Records::Text(all) => {
                if !rows.is_empty() {
                    self.schema = None;
                }
                let picked = rows.iter().map(|(row, _)| *row).collect();
                let subset = Subset { all: all.clone(), picked };
                let batch = self.table.batch(&subset, Op::Create, settle, origin)?;
                with_ops(&batch, ops, sparse).map(Some)
            }
            Records::Typed(batch) => {
                self.schema = Some(batch.schema().clone());
                let mut wanted = vec![false; batch.rows()];
                rows.iter().for_each(|(row, _)| wanted[*row] = true);
                let picked = batch.filter(&BooleanArray::from(wanted))?;
                with_ops(&picked, ops, sparse).map(Some)
            }
        }
    }

    /// Deletes of the records with these keys, of which nothing else is known.
    pub(crate) fn deletes(&mut self, keys: &[Vec<u8>]) -> Result<ChangeBatch> {
        let cells = keys.iter().map(|key| cells_of(key)).collect::<Result<Vec<_>>>()?;
        let rows = KeyRows { names: &self.outline.key, keys: cells };
        match &self.schema {
            None => self.table.batch(&rows, Op::Delete, false, self.outline.name.as_str()),
            Some(schema) => typed_deletes(&schema.clone(), &rows),
        }
    }

    /// A truncate; `None` while nothing has been read.
    pub(crate) fn emptied(&mut self) -> Result<Option<ChangeBatch>> {
        match self.schema()? {
            Some(schema) => records::truncate(schema).map(Some),
            None => Ok(None),
        }
    }
}

/// `batch` with other operations. What a changed record does not have any more is NULL from now on, unless records are sparse.
fn with_ops(batch: &ChangeBatch, ops: UInt8Array, sparse: bool) -> Result<ChangeBatch> {
    let columns = batch.columns();
    let width = batch.schema().fields().len();
    let unchanged = match &columns.unchanged {
        Some(unchanged) if !sparse => {
            let mut kept = BitmapBuilder::new(width);
            for row in 0..batch.rows() {
                if ops.value(row) != Op::Update.letter() && !unchanged.is_empty(row) {
                    let missing = (0..width).filter(|column| unchanged.contains(row, *column));
                    missing.for_each(|column| kept.set(column));
                }
                kept.end_row();
            }
            kept.finish()
        }
        unchanged => unchanged.clone(),
    };
    ChangeBatch::new(batch.schema().clone(), Columns { ops, unchanged, ..columns.clone() })
}

/// Everything but the key is unknown.
fn typed_deletes(schema: &Arc<StreamSchema>, rows: &KeyRows<'_>) -> Result<ChangeBatch> {
    let (count, width) = (rows.keys.len(), schema.fields().len());
    // The key's columns stand in the order of the pipeline file in one, and in that of the schema in the other.
    let of_key = |index: usize| rows.names.iter().position(|name| *name == schema.fields()[index].name);
    let mut values = Vec::with_capacity(width);
    for (index, field) in schema.fields().iter().enumerate() {
        values.push(match of_key(index) {
            Some(column) => records::declared_column(rows, column, &field.kind)?,
            None => new_null_array(&field.kind.arrow(), count),
        });
    }
    let (mut unknown, mut exceptions) = (BitmapBuilder::new(width), ExceptionsBuilder::new());
    for key in &rows.keys {
        for index in 0..width {
            match of_key(index).and_then(|column| key.get(column)) {
                None => unknown.set(index),
                Some(KeyCell::Exception(text)) => exceptions.add(index, text),
                Some(KeyCell::Value(_)) => {}
            }
        }
        unknown.end_row();
        exceptions.end_row();
    }
    let columns = Columns::new(UInt8Array::from_value(Op::Delete.letter(), count), values);
    let (unchanged, exceptions) = (unknown.finish(), exceptions.finish());
    ChangeBatch::new(schema.clone(), Columns { unchanged, exceptions, ..columns })
}
