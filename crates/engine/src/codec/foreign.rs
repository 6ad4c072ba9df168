//! Codecs of others, which panic on some of what nobody has ever written, and keep some of what no changes have as something else.

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_schema::{DataType, Schema};

use super::text::Type;

/// What `decode` gives; `None` where it panics. What it was reading is of no more use then.
pub(super) fn unless_it_panics<T>(decode: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(decode)).ok()
}

/// Refuses columns of types that no changes have; says which.
pub(super) fn only_what_changes_have(schema: &Schema) -> Result<(), String> {
    match schema.fields().iter().find(|field| !is_of_changes(field.data_type())) {
        Some(field) => Err(format!("column `{}` has the type {}", field.name(), field.data_type())),
        None => Ok(()),
    }
}

/// Whether changes have values of this type, however deep lists and structs lie.
fn is_of_changes(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item) => is_of_changes(item.data_type()),
        DataType::Struct(fields) if !fields.is_empty() => {
            fields.iter().all(|field| is_of_changes(field.data_type()))
        }
        flat => Type::of(flat, 0).is_some(),
    }
}
