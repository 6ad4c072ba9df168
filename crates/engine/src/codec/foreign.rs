//! Decoders of others, which panic on some of what nobody has ever written.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// What `decode` gives; `None` where it panics. What it was reading is of no more use then.
pub(super) fn unless_it_panics<T>(decode: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(decode)).ok()
}
