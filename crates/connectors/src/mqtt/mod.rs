//! MQTT, versions 5 and 3.1.1: the messages that an application's devices publish, as records; and changes as messages.
//!
//! | Question | Module |
//! |---|---|
//! | What does the pipeline file ask for? | `config`, `validate`, `topic` |
//! | How is the broker reached? | `crate::broker` |
//! | What is said over a connection? | `session` |
//! | What is a message's record? | `decoding` |
//! | What is known of the session after a crash? | `cursor`, `delivered` |
//! | When is what acknowledged? | `strategy` |
//! | How are changes published? | `destination` |

mod check;
mod config;
mod cursor;
mod decoding;
mod delivered;
mod destination;
mod discover;
mod session;
mod source;
mod strategy;
mod system;
mod topic;
mod validate;

pub use config::{Metadata, PayloadFormat, RawKind, SourceConfig, StreamConfig, Topics, Version};
pub use destination::{Destination, DestinationConfig};
pub use source::Source;
pub use strategy::MqttStrategy;
