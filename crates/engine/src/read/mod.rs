//! From a source into the log: the trait every read strategy implements, the lanes it pushes changes into, and the
//! loop that commits them.

mod strategy;

pub use strategy::{End, ReadContext, ReadStrategy};
