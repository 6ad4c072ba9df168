//! Kafka: changes as records of its topics.
//!
//! | Question | Module |
//! |---|---|
//! | What does the pipeline file say? | `config` |
//! | Who are we, and whom do we trust? | `security` |
//! | Is the topic there? | `topics` |
//! | How is a record sent? | `session`, and `post` for what happens when one is refused |
//! | What does a failure ask for? | `failure` |

mod config;
mod destination;
mod failure;
mod post;
mod security;
mod session;
mod system;
#[cfg(test)]
mod tests;
mod topics;

pub use config::{Compression, DestinationConfig, Mechanism, NewTopics};
pub use destination::Destination;
