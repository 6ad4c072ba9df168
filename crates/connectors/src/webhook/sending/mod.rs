//! Web hooks as a destination: every change becomes a request to somebody's server.
//!
//! | Question | Module |
//! |---|---|
//! | What does the pipeline file ask for? | `config`, `validate` |
//! | What does a request say, and where does it go? | `request`, `values` |
//! | Is its answer a yes? | `verdict` |
//! | How are they sent? | `post` |

mod config;
mod destination;
mod post;
mod request;
#[cfg(test)]
mod tests;
mod validate;
mod values;
mod verdict;

pub use config::{DestinationConfig, Methods, SignatureConfig, Verb};
pub use destination::Destination;
