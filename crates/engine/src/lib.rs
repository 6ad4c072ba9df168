//! The engine of Tidemark: the words of the domain, the staging log, the loops that fill and drain it. It names no
//! database and opens no socket; connectors bring the systems, the app brings the command line.
//!
//! One record's way through, which is also the order to read in:
//!
//! | Step | Module |
//! |---|---|
//! | A read strategy makes a change of a source's record | [`schema`], [`change`], [`read`] |
//! | Changes and cursor become durable in one commit | [`log`], [`codec`] |
//! | A destination's loop reads the commit and applies it | [`mod@write`] |
//! | The same loop plays any range again | [`mod@write`] |
//!
//! [`seal`] keeps small secrets in the log unreadable. [`world`] is all that comes from outside (time, randomness, processors); [`contract`] holds the test suites that
//! every implementation of a trait runs.

mod cursor;
mod digest;
mod error;
mod retry;
mod stop;
mod time;

pub mod change;
pub mod codec;
pub mod contract;
pub mod log;
pub mod read;
pub mod schema;
pub mod seal;
pub mod world;
pub mod write;

pub use arrow_array;
pub use arrow_buffer;
pub use arrow_schema;
pub use arrow_select;

pub use cursor::{ChangeId, Cursor, LogId, PartId, Position};
pub use digest::Digest;
pub use error::{Error, ErrorKind, Result};
pub use stop::Stop;
pub use time::Time;
