//! From the log into a destination: the trait every write strategy implements, and the loop that drives it.

mod at_least_once;
mod beginning;
mod dead_letters;
mod filling;
mod gathering;
mod holding;
mod pausing;
mod progress;
mod report;
mod schema_change;
mod standing;
mod strategy;
mod truncate;
mod unit;
mod write_loop;

pub use at_least_once::{AtLeastOnce, Courier};
pub use progress::Progress;
pub use standing::{Anew, Hold, Standing, Takeover};
pub use strategy::{Appetite, OnError, OnTruncate, SchemaPolicy, WriteMode, WriteStrategy};
pub use unit::{Delivery, Unit, Watermarks};
pub use write_loop::{Horizon, Plan, WriteLoop};
