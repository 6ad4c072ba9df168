//! Tables out of sight, which are to take the place of others: how they are called, and under whose name they are kept.
//!
//! A destination's name begins with a letter or a digit and goes on with those, `_` and `-`; what follows a colon is ours.

use tidemark_engine::{Digest, schema::StreamName};

use super::ledger;
use crate::{config::Writing, postgres::identifier::TableId};

/// Under which name what is written for `writing` is kept in the ledger.
pub(super) fn destination(writing: &Writing) -> String {
    let name = &writing.destination;
    if writing.shadow { format!("{name}:replay") } else { name.clone() }
}

/// Under which name the shadows of single streams of `holder` are kept.
pub(super) fn anew(holder: &str) -> String {
    format!("{holder}:anew")
}

/// The table that `holder` keeps out of sight for `stream`.
pub(super) fn table(holder: &str, stream: &StreamName) -> TableId {
    let digest = Digest::of(format!("{holder}/{}", stream.as_str()).as_bytes()).to_string();
    let digest = digest.get(..40).unwrap_or_default();
    TableId { schema: ledger::SCHEMA.to_owned(), name: format!("shadow_{digest}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_holder_has_tables_of_its_own() {
        let stream = StreamName::new("s");
        let names =
            ["copy:replay", "copy:anew", "copy:replay:anew"].map(|holder| table(holder, &stream).name);
        assert!(names[0] != names[1] && names[1] != names[2] && names[0] != names[2]);
        assert!(names.iter().all(|name| name.len() < 63));
        assert_ne!(table("copy:anew", &stream), table("copy:anew", &StreamName::new("t")));
    }
}
