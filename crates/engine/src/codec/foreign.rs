//! Codecs of others, which panic on some of what nobody has ever written, and keep some of what no changes have as something else.

use std::{
    collections::HashSet,
    panic::{AssertUnwindSafe, catch_unwind},
};

use arrow_array::{Array, RecordBatch};
use arrow_schema::{ArrowError, DataType, FieldRef, Fields, Schema};

use super::text::Type;

/// What `decode` gives; `None` where it panics. What it was reading is of no more use then.
pub(super) fn unless_it_panics<T>(decode: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(decode)).ok()
}

/// Refuses what the columns of changes do not have, types, remarks and names that come twice; says what it is.
pub(super) fn only_what_changes_have(schema: &Schema) -> Result<(), String> {
    if !schema.metadata().is_empty() {
        return Err("its schema has metadata".into());
    }
    if let Some(name) = twice(schema.fields()) {
        return Err(format!("it has two columns `{name}`"));
    }
    match schema.fields().iter().find(|field| !is_of_changes(field)) {
        Some(field) => Err(format!("column `{}` has the type {}", field.name(), field.data_type())),
        None => Ok(()),
    }
}

/// Whether changes have such columns, however deep lists and structs lie.
fn is_of_changes(field: &FieldRef) -> bool {
    let is_known = match field.data_type() {
        DataType::List(item) => is_of_changes(item),
        DataType::Struct(fields) if !fields.is_empty() => {
            twice(fields).is_none() && fields.iter().all(is_of_changes)
        }
        flat => Type::of(flat, 0).is_some(),
    };
    is_known && field.metadata().is_empty()
}

/// The name that two of `fields` have.
fn twice(fields: &Fields) -> Option<&str> {
    let mut names = HashSet::new();
    fields.iter().map(|field| field.name().as_str()).find(|name| !names.insert(*name))
}

/// Refuses lists and structs that lack what they cannot lack, which some decoders do not see.
pub(super) fn lacks_nothing(batch: &RecordBatch) -> Result<(), ArrowError> {
    batch.columns().iter().filter(|column| column.data_type().is_nested()).try_for_each(|column| {
        let mut open = vec![column.to_data()];
        while let Some(data) = open.pop() {
            data.validate_nulls()?;
            open.extend_from_slice(data.child_data());
        }
        Ok(())
    })
}
