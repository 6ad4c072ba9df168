//! Real servers for the tests: each started privately, on a free port with its own data folder and configuration, and stopped
//! when its test process ends, however that happens. A server whose programs are missing fails the test and names what
//! has to be installed; nothing is skipped.
//!
//! Everything here blocks and panics, which is what a test wants; it may be called from asynchronous tests too.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test has nobody to hand an error to")]
#![expect(clippy::disallowed_methods, reason = "a real server takes real time")]

mod clouds;
mod front;
mod guard;
mod http;
mod line;
mod port;
mod postgres;

pub use clouds::{Bucket, Cloud, Emulator};
pub use front::{Front, Request, Treatment};
pub use http::Response;
pub use line::{Commit, Condition, Line};
pub use postgres::{Database, Postgres};
