//! Amazon SQS: changes as messages of standard and FIFO queues, by its JSON protocol.
//!
//! | Question | Module |
//! |---|---|
//! | What does the pipeline file say? | `config`, `validate` |
//! | What goes into one request, and what came of it? | `batch` |
//! | What do the service's errors mean? | `failure` |
//! | How are they sent? | `post` |

mod batch;
mod config;
mod destination;
mod failure;
mod post;
mod system;
#[cfg(test)]
mod tests;
mod validate;

pub use config::DestinationConfig;
pub use destination::Destination;
