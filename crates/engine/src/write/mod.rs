//! From the log into a destination: the trait every write strategy implements, and the loop that drives it.

mod strategy;
mod unit;

pub use strategy::{Appetite, WriteMode, WriteStrategy};
pub use unit::{Delivery, Unit};
