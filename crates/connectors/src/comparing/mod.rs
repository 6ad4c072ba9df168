//! Two tables, compared where they are: by checksums of parts, narrowed down to the rows that differ.
//!
//! | Question | Module |
//! |---|---|
//! | What is compared with what? | `place` |
//! | Which columns, and how are their values spelled on both sides? | `terms`, `spelling` |
//! | What is a part of a table, and its checksum? | `part`, `sum` |
//! | What is made of rows that are read here? | `gathering` |
//! | Which rows differ? | `narrowing` |
//!
//! A checksum counts the rows of a part and adds up their hashes. A row's hash is taken of what its columns hold, each spelled
//! as text in one way on both sides: by the servers themselves where both are PostgreSQL and spell alike, so that no rows
//! travel, and here otherwise. Parts are ranges of the first key column where that has the same order on both sides, and each is
//! cut further by the hash of the whole key, which every key has.

mod current;
mod empty;
mod gathering;
mod narrowing;
mod part;
mod place;
mod spelling;
mod sum;
mod terms;

pub use empty::Empty;
pub use narrowing::{Limits, Narrowing};
pub use part::{Order, Part};
pub use place::{Offered, Original, Replica, Side, Table};
pub use spelling::Spelling;
pub use sum::{Hash, Key, Row, Seen, Sum, Sums};
pub use terms::{Column, Compared, Described, Place, Terms, agree};

pub(crate) use current::ended_by;
pub(crate) use gathering::{Gathering, Wanted};
pub(crate) use sum::{RowHasher, hexadecimal};
pub(crate) use terms::mixed;
