//! Real servers for the tests: each started privately, on a free port with its own data folder and configuration, and stopped
//! when its test process ends, however that happens. A server whose programs are missing fails the test and names the Debian
//! package; nothing is skipped.
//!
//! Everything here blocks and panics, which is what a test wants; it may be called from asynchronous tests too.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test has nobody to hand an error to")]
#![expect(clippy::disallowed_methods, reason = "a real server takes real time")]

mod guard;
mod port;
mod postgres;

pub use postgres::{Database, Postgres};
