//! RabbitMQ: changes as messages that its queues keep.
//!
//! | Question | Module |
//! |---|---|
//! | What does the pipeline file say? | `config` |
//! | Which exchange and routing key does a message go to? | `route` |
//! | How is the server reached? | `session` |
//! | How is a message sent? | `post` |
//! | What does a refusal mean? | `refusal` |

mod config;
mod destination;
mod post;
mod refusal;
mod route;
mod session;
mod system;
#[cfg(test)]
mod tests;

pub use config::DestinationConfig;
pub use destination::Destination;
