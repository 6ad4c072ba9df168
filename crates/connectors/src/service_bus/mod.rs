//! Azure Service Bus: changes as messages of queues and topics, over AMQP 1.0.
//!
//! | Question | Module |
//! |---|---|
//! | What does the pipeline file say? | `config` |
//! | How do we prove who we are? | `signature`, `claims` |
//! | What does a message look like? | `letter`, `encoding` |
//! | Which messages go together, and which after others? | `parcel` |
//! | How is the service reached? | `namespace`, `session` |
//! | How is a message sent? | `post` |
//! | What does a refusal mean? | `refusal` |

mod claims;
mod config;
mod destination;
mod encoding;
mod letter;
mod namespace;
mod parcel;
mod post;
mod refusal;
mod session;
mod signature;
mod system;
#[cfg(test)]
mod tests;

pub use config::{Authentication, DestinationConfig, Grouping};
pub use destination::Destination;
