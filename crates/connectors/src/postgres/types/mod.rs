//! PostgreSQL's values: which kind a column's type becomes, how its values are read, and how they are written.
//!
//! | Step | File |
//! |---|---|
//! | a column's type, looked up in `pg_type` | [`catalog`], [`column_type`] |
//! | how a type's values are laid out on the wire | [`format`](mod@format) |
//! | a value read, from bytes or from text | [`binary`], [`text`] |
//! | into an Arrow array, lists included | [`builder`], [`list`] |
//! | a value as PostgreSQL writes it | [`literal`] |
//! | a field's column at a destination, and its values written | [`target`], [`encode`]; [`plain`] for the commonest |
//!
//! [`numeric`], [`interval`], [`calendar`] and [`array`] each know one of the formats that are more than a number.
//!
//! PostgreSQL sends and takes values in two formats. The binary one is exact and quick, and is documented by each
//! type's `send` and `recv` function in the server's source alone; the types in [`format`](mod@format) have kept theirs for
//! decades. All others travel as text, which every type has. Text is canonical only under the settings in [`SESSION`].

mod array;
mod binary;
mod builder;
mod calendar;
mod catalog;
mod column_type;
mod encode;
mod existing;
mod format;
#[cfg(feature = "fuzzing")]
#[expect(clippy::expect_used, reason = "a broken promise is to panic")]
pub(super) mod fuzzing;
mod interval;
mod list;
mod literal;
mod numeric;
mod plain;
mod target;
mod text;

#[cfg(test)]
mod tests;

pub(in crate::postgres) use builder::ColumnBuilder;
pub(in crate::postgres) use calendar::{date_literal, timestamp_literal};
pub(in crate::postgres) use catalog::Catalog;
pub(in crate::postgres) use column_type::ColumnType;
#[cfg(feature = "fuzzing")]
pub(in crate::postgres) use fuzzing::texts;
pub(in crate::postgres) use plain::Plain;
pub(in crate::postgres) use target::{Target, Written};

/// What every session sets, so that values as text mean the same on both sides whatever the server's, the database's and the
/// role's own settings are.
///
/// Money is read in the locale `C`, which has two digits after the point.
/// See "Client Connection Defaults" in PostgreSQL's documentation.
pub(in crate::postgres) const SESSION: &[(&str, &str)] = &[
    ("DateStyle", "ISO, MDY"),
    ("IntervalStyle", "iso_8601"),
    ("TimeZone", "UTC"),
    ("extra_float_digits", "3"),
    ("bytea_output", "hex"),
    ("lc_monetary", "C"),
    ("xmlbinary", "base64"),
    ("xmloption", "content"),
    ("client_encoding", "UTF8"),
    ("standard_conforming_strings", "on"),
];
