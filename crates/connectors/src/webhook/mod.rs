//! What others send: an HTTP server whose paths are streams.
//!
//! A request is let in, verified, read, entered and committed, and only then answered:
//!
//! | Question | Module |
//! |---|---|
//! | What does the pipeline file ask for? | `config`, `validate`, `source` |
//! | Who is waited for, and how long? | `connections`, `strategy` |
//! | What is a request told, and when is it sent away? | `reception`, `door`, `answers`, `handshake` |
//! | Does it come from who it should? | `verify/` |
//! | What does it say? | `hook`, `body`, `form`; [`crate::records`] |
//! | Has it been sent before, and does it fit the stream? | `register`, `gathered`, `ids`, `cursor` |
//! | When is what committed, and who hears of it? | `intake` |
//!
//! And the other way: changes as requests to the servers of others, in `sending/`.

mod answers;
mod body;
mod config;
mod connections;
mod cursor;
mod door;
mod form;
mod gathered;
mod handshake;
mod hook;
mod ids;
mod intake;
mod reception;
mod register;
mod sending;
mod source;
mod strategy;
mod system;
mod validate;
mod verify;

pub use config::{Answer, Format, Handshake, HubChallenge, SourceConfig, StreamConfig};
pub use sending::{Destination, DestinationConfig, Methods, SignatureConfig, Verb};
pub use source::Source;
pub use strategy::WebhookStrategy;
pub use verify::{
    Algorithm, BasicConfig, Encoding, HmacConfig, Secrets, SharedSecretConfig, StandardConfig, VerifyConfig,
};
