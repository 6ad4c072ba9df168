//! Test suites that every implementation of a trait runs, and benches to run one implementation on.
//!
//! They are ordinary functions: a codec, a store or a connector calls them from its own tests. They panic where the
//! contract is broken.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a broken contract is to panic")]

pub mod codec;
mod folding;
pub mod log;
pub mod read;
mod retention;
pub mod samples;
pub mod states;
pub mod write;
