//! Record batches of one stream may differ in their optional columns: making them alike.

use std::sync::Arc;

use arrow_array::{RecordBatch, new_null_array};
use arrow_schema::{Schema, SchemaRef};
use arrow_select::concat::concat_batches;

use crate::{Error, Result};

/// `batch` with exactly the columns of `schema`, absent ones as NULL; `None` when it has a column that `schema` has not.
pub(crate) fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Option<RecordBatch> {
    if batch.schema_ref() == schema {
        return Some(batch.clone());
    }
    let known = |name: &str| schema.field_with_name(name).is_ok();
    if !batch.schema_ref().fields().iter().all(|field| known(field.name())) {
        return None;
    }
    let columns = schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        Some(column) => column.clone(),
        None => new_null_array(field.data_type(), batch.num_rows()),
    });
    RecordBatch::try_new(schema.clone(), columns.collect()).ok()
}

/// `batches` of one stream schema as one batch, in order.
pub(crate) fn join(batches: &[RecordBatch]) -> Result<RecordBatch> {
    let unsound = |error| Error::internal("batches of one schema do not join").source(error);
    let schema = union(batches.iter().map(|batch| batch.schema_ref()));
    let alike = batches.iter().map(|batch| {
        conform(batch, &schema)
            .ok_or_else(|| Error::internal("batches of one schema differ in a column's type"))
    });
    concat_batches(&schema, &alike.collect::<Result<Vec<_>>>()?).map_err(unsound)
}

/// Every column that any of `schemas` has. Reserved columns come first, in the order they were met.
pub(crate) fn union<'a>(schemas: impl Iterator<Item = &'a SchemaRef>) -> SchemaRef {
    let mut union: Option<SchemaRef> = None;
    for schema in schemas {
        union = Some(match union {
            None => schema.clone(),
            Some(union) if union == *schema => union,
            Some(union) => {
                let mut fields = union.fields().to_vec();
                let absent =
                    schema.fields().iter().filter(|field| union.field_with_name(field.name()).is_err());
                fields.splice(0..0, absent.cloned());
                Arc::new(Schema::new(fields))
            }
        });
    }
    union.unwrap_or_else(|| Arc::new(Schema::empty()))
}
