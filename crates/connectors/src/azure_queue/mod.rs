//! Queues of Azure Storage: changes as messages of at most 64 KiB, those that are larger in a blob.
//!
//! | Question | Module |
//! |---|---|
//! | What does the pipeline file say? | `config`, `validate` |
//! | Where are the account's queues and blobs, and who are we? | `account` |
//! | What does a message look like, and does it fit? | `text` |
//! | Where does one go that does not? | `claim` |
//! | How are they sent? | `post` |

mod account;
mod claim;
mod config;
mod destination;
mod post;
mod system;
#[cfg(test)]
mod tests;
mod text;
mod validate;

pub use config::{Auth, ClaimCheckConfig, DestinationConfig, Encoding, Entra};
pub use destination::Destination;
