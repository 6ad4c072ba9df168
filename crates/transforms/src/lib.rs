//! What a pipeline does to changes on their way: an ordered list of steps, before staging or on the way to one destination.
//!
//! ```text
//! Step            what was typed (config.rs)
//!   └► Verb       what it means, with every problem found (validate.rs)
//!        └► Work  the same for one schema (steps/): which columns, what comes out
//! ```
//!
//! [`Transforms`] holds the list and is a [`Reshape`](tidemark_engine::change::Reshape): the engine calls it with batches and knows
//! nothing of steps. A step never sees one change at a time but a whole batch, and works on its columns. Expressions are CEL
//! (`expression/`), over what is known of a record before and after its change.

mod cells;
mod columns;
mod config;
mod example;
mod expression;
mod glob;
mod passing;
mod problem;
mod secret;
mod steps;
mod transforms;
mod validate;

pub use config::{Added, Encrypt, Hash, Mask, OnFail, Rule, Step, TypedColumn};
pub use example::{Example, Record, Shown};
pub use problem::Problem;
pub use secret::Key;
pub use transforms::{Place, Transforms};

#[cfg(test)]
mod tests;
