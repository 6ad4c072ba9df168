//! SQLite: a database file as a destination, and as a source that is asked again and again (see `source`).
//!
//! Values are kept exactly, which in SQLite is a matter of affinities: a column declared `NUMERIC` turns the text
//! `1.10` into the number 1.1. So every kind has a declared type whose affinity leaves its values alone:
//!
//! | Kind | Declared as | Affinity | Stored |
//! |---|---|---|---|
//! | bool | `BOOLEAN` | numeric | 0 or 1 |
//! | int8 to int64, uint8 to uint32 | `INTEGER` | integer | the number |
//! | uint64 | nothing | none | the number; beyond 2^63-1 its digits as text |
//! | float32 | `FLOAT` | real | the number; NaN as the text `NaN`, for SQLite has none |
//! | float64 | `DOUBLE` | real | the same |
//! | decimal, number | `NUMBER TEXT` | text | every digit as text |
//! | json, list | `JSON TEXT` | text | JSON, to the letter |
//! | bytes | `BLOB` | none | the bytes |
//! | date | `DATE TEXT` | text | `2013-01-01` |
//! | timestamp | `TIMESTAMP TEXT` | text | `2013-01-01T00:00:00` |
//! | text, enum, time, timestamptz, interval, uuid, other | `TEXT` | text | canonical text |
//!
//! The one thing SQLite does not keep is the sign of a zero: a float of -0.0 becomes 0.0.
//!
//! A value that its kind cannot hold (an infinite date) is its canonical text. When a column widens, what is stored
//! already is rewritten in the wider form: integers and floats meet in a column without a type, which holds both as they
//! are; dates among timestamps are the midnights they begin with; whatever meets `JSON TEXT` becomes JSON; other
//! disagreements become text.
//!
//! Times of our own (`_tidemark_source_time`, `_tidemark_deleted_at`, `_tidemark_valid_from`, `_tidemark_valid_to`) are texts of one
//! length, `2013-01-01T05:00:00.000000Z`, which sort as the times do.
//!
//! Names are quoted and may be any text without a NUL. SQLite does not tell `A` from `a`, so names that differ in
//! nothing else are refused.

mod compared;
mod config;
mod destination;
mod failure;
mod identifier;
mod source;
mod storage;
mod system;

pub use config::{DestinationConfig, SourceConfig};
pub use destination::Destination;
pub use source::Source;
