//! From a source into the log: the trait every read strategy implements, the lanes it pushes changes into, and the
//! loop that commits them.

mod lane;
mod strategy;

pub use lane::{Lane, Outlet, Phase, Ticket};
pub use strategy::{End, ReadContext, ReadStrategy};
