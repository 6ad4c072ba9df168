//! The entities of an answer as records.

use std::collections::BTreeSet;

use tidemark_engine::{Error, Result};

use super::edm;
use crate::records::{BuiltRows, Cell, JsonCutter, RecordPath, Rows, Shape, Value};

/// What stands behind the name of a property whose type it tells.
const TYPE: &str = "@odata.type";
/// When the service changed an entity last.
pub(super) const TIMESTAMP: &str = "Timestamp";

/// How the answers of a table are read.
#[derive(Debug, Clone)]
pub(super) struct Decoding {
    path: RecordPath,
    /// Properties whose times are cut to the microsecond.
    cut: BTreeSet<String>,
}

/// A property, and where the answer holds it.
struct Property<'a> {
    name: &'a str,
    column: usize,
    /// Where it holds its type.
    edm: Option<usize>,
}

impl Decoding {
    /// `cut`: properties whose times lose what is beyond the microsecond.
    pub(super) fn new(cut: BTreeSet<String>) -> Result<Self> {
        Ok(Self { path: "$.value".parse()?, cut })
    }

    /// The entities of `body`, which came from `origin`. What the service says of an entity (its `odata.etag`) is no column.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Data`] where the answer is none, or holds a type that nobody knows.
    pub(super) fn decode(&self, body: &[u8], origin: &str) -> Result<BuiltRows> {
        let json = JsonCutter::default().records(body, &self.path, origin)?;
        let names = json.names();
        let place = |name: &str| names.iter().position(|other| other == name);
        let is_property = |name: &str| !name.starts_with("odata.") && !name.contains("@odata.");
        let properties: Vec<_> = names
            .iter()
            .enumerate()
            .filter(|(_, name)| is_property(name))
            .map(|(column, name)| Property { name, column, edm: place(&format!("{name}{TYPE}")) })
            .collect();
        let mut rows = BuiltRows::default();
        for row in 0..json.len() {
            rows.begin(json.line(row));
            for Property { name, column, edm } in &properties {
                let cell = json.cell(*column, row);
                let edm = match edm.map(|edm| json.cell(edm, row)) {
                    Some(Cell::Value { text, .. }) => Some(text),
                    // It is the one time whose type goes without saying.
                    _ if *name == TIMESTAMP => Some("Edm.DateTime"),
                    _ => None,
                };
                if cell == Cell::Missing {
                    continue;
                }
                let mut value = edm::value(cell, edm).ok_or_else(|| unknown(name, edm, origin))?;
                if let Value::Shaped(Shape::String, time) = &mut value
                    && self.cut.contains(*name)
                {
                    edm::to_the_microsecond(time);
                }
                let full = |_| Error::data(format!("`{origin}` has too many different properties"));
                rows.put(name, value).map_err(full)?;
            }
        }
        Ok(rows)
    }
}

fn unknown(property: &str, edm: Option<&str>, origin: &str) -> Error {
    let edm = edm.unwrap_or("a type that goes without saying");
    Error::data(format!(
        "property `{property}` of an entity of `{origin}` has a value that cannot be read as `{edm}`"
    ))
    .hint("leave the property out: name the others under `select`")
}
