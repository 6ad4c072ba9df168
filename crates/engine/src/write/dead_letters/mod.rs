//! Changes that a destination cannot take, while the rest of their stream goes on.
//!
//! Such a change becomes a dead letter: an object of the log's store ([`DeadLetter`](crate::log::DeadLetter)), durable before the
//! destination's position moves past it. It holds its key: what comes later of that key becomes a dead letter behind it. Nothing
//! else keeps state; what is held follows from the letters.
//!
//! | Question | Module |
//! |---|---|
//! | Which changes are kept from a destination? | `holds` |
//! | Which letters are there, and which are void? | `letters` |
//! | How does a change become a letter? | `burial`, and never too many too fast: `breaker` |
//! | How is a letter written after all, or discarded? | `retry`, `groups` |
//! | What has somebody asked? | `asking` |

mod asking;
mod breaker;
mod burial;
mod groups;
mod holds;
mod letters;
mod retry;

#[cfg(test)]
mod tests;

pub(super) use letters::Letters;
