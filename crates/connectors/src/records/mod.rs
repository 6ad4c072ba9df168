//! Records as text: where one ends, what its values are, and what kinds hold them. Whatever is read as CSV or JSON comes
//! through here, out of a file, a page of an API or a message.
//!
//! | Question | Module |
//! |---|---|
//! | Where does a record end, and what are its fields? | `cutter`, `csv`, `jsonl`, `object` |
//! | Where in a JSON document are the records? | `json`, `document`, `path` |
//! | Which elements of an XML document are records? | `xml` |
//! | How is a format asked for a value? | `rows`, `built` |
//! | Which kind holds a column's values? | `infer`, `moment`, `declared` |
//! | What do records look like so far? | `outline`, `validate`, `table`, `column` |

mod built;
mod column;
mod csv;
mod cutter;
mod declared;
mod document;
#[cfg(feature = "fuzzing")]
#[expect(clippy::expect_used, reason = "a broken promise is to panic")]
pub mod fuzzing;
mod infer;
mod json;
mod jsonl;
mod moment;
mod object;
mod outline;
mod path;
mod rows;
mod scan;
mod table;
mod validate;
mod xml;

pub(crate) use built::{BuiltRows, Value};
pub(crate) use column::declared_column;
pub(crate) use csv::{CsvCutter, CsvRows};
#[cfg(test)]
pub(crate) use cutter::count_lines;
pub(crate) use cutter::{BATCH_ROWS, Cutter};
pub(crate) use json::{JsonCutter, text_at, text_beside};
pub(crate) use jsonl::JsonlCutter;
pub(crate) use moment::{Moment, date, moment};
pub(crate) use object::JsonRows;
pub(crate) use outline::Outline;
pub(crate) use path::RecordPath;
pub(crate) use rows::{Cell, Rows, Shape, SharedRows};
pub(crate) use scan::{Passed, plain_bytes};
pub(crate) use table::{Declared, Known, Table, truncate};
pub(crate) use validate::problems;
pub(crate) use xml::{XmlPath, records as xml_records, text_at as xml_text_at};
