//! Reaching a PostgreSQL server: where it is, whether it is the right one, who we are there, and what its errors mean.
//!
//! | Question | Module |
//! |---|---|
//! | Which server, database and user does a URL name? | `url`, `server` |
//! | Whose certificate is believed? | `trust` |
//! | How do bytes get there? | `transport`, `buffered` |
//! | How are statements run? | `session` |
//! | What does an error ask for? | `failure` |

mod buffered;
mod failure;
mod server;
mod session;
#[cfg(test)]
mod tests;
mod transport;
mod trust;
mod url;

pub(in crate::postgres) use failure::{ServerReport, failure, kind};
pub(in crate::postgres) use server::{Server, UNLIMITED_SINCE_14};
pub(in crate::postgres) use session::Session;
pub(in crate::postgres) use transport::Transport;
