//! MariaDB, version 10.5 or later, as a destination.
//!
//! | Kind | Column | As a key |
//! |---|---|---|
//! | bool | `TINYINT(1)` | the same |
//! | int8 to int64, uint8 to uint64 | `TINYINT`, `SMALLINT`, `INT`, `BIGINT`, each with `UNSIGNED` where it has no sign | the same |
//! | float32, float64 | `FLOAT`, `DOUBLE` | the same |
//! | decimal | `DECIMAL(p,s)` | the same |
//! | date, time | `DATE`, `TIME(6)` | the same |
//! | timestamp, timestamptz | `DATETIME(6)`, the latter in UTC | the same |
//! | uuid | `CHAR(36)` in ASCII | the same |
//! | bytes | `LONGBLOB` | `VARBINARY(n)` |
//! | text, enum, json, number, list, interval, other | `LONGTEXT`: canonical text | `VARCHAR(n)` |
//!
//! Text is kept in `utf8mb4_nopad_bin`, which tells apart whatever differs in a byte: case, accents, spaces at the end. A value that
//! its column cannot hold (NaN, an infinite date) is refused by name. Names are quoted and never shortened.

mod config;
mod destination;
mod failure;
mod identifier;
mod server;
mod storage;
mod system;

pub use config::DestinationConfig;
pub use destination::Destination;
