//! Which failures are repeated, and after how long.

mod asked;
mod dates;
mod reaction;
mod tries;

pub(super) use asked::asked_wait;
pub(super) use reaction::{Reaction, of_status};
pub(super) use tries::{Next, Tries};
