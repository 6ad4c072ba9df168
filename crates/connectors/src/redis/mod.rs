//! Redis: changes as entries of its streams, or records under keys of their own.
//!
//! | Question | Module |
//! |---|---|
//! | What does the pipeline file say? | `config` |
//! | How is the server reached, and what does it put up with? | `session` |
//! | What does a refusal mean? | `refusal` |
//! | How is an entry added (`write: append`)? | `streams` |
//! | How does the server look like the source (`write: mirror`)? | `mirror` |

mod config;
mod destination;
mod mirror;
mod refusal;
mod session;
mod streams;
mod system;

pub use config::{DestinationConfig, RecordForm};
pub use destination::Destination;
