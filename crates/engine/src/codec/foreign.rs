//! Decoders of others, which panic on some of what nobody has ever written, and make something else of some of it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_schema::{DataType, Schema};

/// What `decode` gives; `None` where it panics. What it was reading is of no more use then.
pub(super) fn unless_it_panics<T>(decode: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(decode)).ok()
}

/// Whether there are times of another zone than UTC; some readers take a zone without a name for none.
pub(super) fn has_other_zones(schema: &Schema) -> bool {
    let is_other = |kind: &DataType| matches!(kind, DataType::Timestamp(_, Some(zone)) if &**zone != "UTC");
    schema.flattened_fields().iter().any(|field| is_other(field.data_type()))
}
