//! From a source into the log: the trait every read strategy implements, the lanes it pushes changes into, and the
//! loop that commits them.

mod committer;
mod lane;
mod memory;
mod nudges;
mod read_loop;
mod resyncs;
mod strategy;

pub use crate::log::Span;
pub use lane::{Lane, Outlet, Phase, Ticket, UnderWay};
pub(crate) use memory::Memory;
pub use nudges::{Nudges, Seen};
pub use read_loop::{ReadLoop, ReadSettings};
pub use resyncs::{Asked, Resyncs};
pub use strategy::{End, ReadContext, ReadStrategy};
