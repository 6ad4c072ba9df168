//! NATS: changes as messages of JetStream, which keeps them.
//!
//! | Question | Module |
//! |---|---|
//! | What does the pipeline file say? | `config` |
//! | How is a message sent? | `post` |

mod config;
mod destination;
mod post;
mod system;
#[cfg(test)]
mod tests;

pub use config::DestinationConfig;
pub use destination::Destination;
