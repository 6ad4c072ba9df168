//! JSON Lines: one object a change.
//!
//! | Value | JSON |
//! |---|---|
//! | NULL | `null`; what a change does not carry, or holds as an exception, is left out |
//! | booleans, integers | literals, every digit |
//! | floats | literals, the shortest that read back to the same bits; `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | decimals | strings, every digit |
//! | bytes | base64 |
//! | lists, structs | arrays, objects |
//! | everything else | strings |

mod read;
mod write;

use arrow_schema::SchemaRef;
use bytes::Bytes;

use super::{
    Batches, Codec, Encoder,
    text::{self, Cells, Column, Filling, Notation, Type, Unsound},
};
use crate::Result;

const NAME: &str = "JSON Lines";
const INFINITY: &str = "Infinity";

pub(super) struct JsonLines;

impl Codec for JsonLines {
    fn extension(&self) -> &'static str {
        "jsonl.zst"
    }

    fn encode(&self, schema: SchemaRef) -> Result<Box<dyn Encoder>> {
        text::encode(&schema, Lines::new)
    }

    fn decode(&self, bytes: Bytes) -> Result<Batches> {
        text::decode(NAME, bytes, Lines::new)
    }
}

/// The keys of the objects.
struct Lines(Vec<Key>);

/// A key, and those of the objects below it.
struct Key {
    name: String,
    /// The name as JSON, with its colon.
    text: Vec<u8>,
    /// The fields of a struct; of a list the keys of its elements, as of one field.
    below: Vec<Key>,
}

impl Lines {
    fn new(columns: &[Column]) -> Self {
        Self(columns.iter().map(Key::new).collect())
    }
}

impl Key {
    fn new(column: &Column) -> Self {
        let mut text = serde_json::Value::from(column.name.as_str()).to_string().into_bytes();
        text.push(b':');
        let below = match &column.holds {
            Type::List(item) => vec![Self::new(item)],
            Type::Struct(fields) => fields.iter().map(Self::new).collect(),
            _ => Vec::new(),
        };
        Self { name: column.name.clone(), text, below }
    }
}

impl Notation for Lines {
    fn name(&self) -> &'static str {
        NAME
    }

    fn head(&self) -> &str {
        ""
    }

    fn tail(&self) -> &'static str {
        ""
    }

    fn write(&self, cells: &[Cells<'_>], row: usize, line: &mut Vec<u8>) {
        write::object(&self.0, cells, row, line);
    }

    fn read(&mut self, line: &str, columns: &mut [Filling]) -> Result<(), Unsound> {
        read::change(&self.0, line, columns)
    }
}
