//! A replication session: what reads the server's log, change by change.
//! <https://www.postgresql.org/docs/current/protocol-replication.html>
//!
//! | Question | Module |
//! |---|---|
//! | How does a session become one for replication? | `startup` |
//! | How are its commands asked and answered? | `wire`, `commands` |
//! | How do changes arrive while we say how far we are? | `feed`, `acknowledger` |
//! | What does a change say? | `pgoutput` |

mod acknowledger;
mod commands;
mod feed;
pub(in crate::postgres) mod pgoutput;
mod startup;
#[cfg(test)]
mod tests;
mod wire;

pub(in crate::postgres) use acknowledger::Acknowledger;
pub(in crate::postgres) use commands::{ExportedSnapshot, Identity, Replication};
pub(in crate::postgres) use feed::{Feed, Frame};
