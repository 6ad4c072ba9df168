//! XML 1.0: one document, one element a change, one line each; an XML Schema 1.0 of all of it inside.
//!
//! ```xml
//! <?xml version="1.0" encoding="UTF-8"?>
//! <changes xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
//! <xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">…</xs:schema>
//! <change><_tidemark_op>c</_tidemark_op><_tidemark_ordinal>0</_tidemark_ordinal><id>1</id><note xsi:nil="true"/></change>
//! </changes>
//! ```
//!
//! NULL is `xsi:nil`; what a change does not carry, or holds as an exception, is left out. The document has no document type, and a
//! reader of it asks for nothing beside it.

mod characters;
mod head;
mod names;
mod read;
mod write;

use arrow_schema::SchemaRef;
use bytes::Bytes;

pub use characters::write as xml_text;
pub use names::element as xml_name;

use super::{
    Batches, Codec, Encoder,
    text::{self, Cells, Column, Filling, Notation, Type, Unsound},
};
use crate::Result;

const NAME: &str = "XML";
const INFINITY: &str = "INF";
const CHANGE: &str = "change";
const ITEM: &str = "item";
const NIL: &str = " xsi:nil=\"true\"";

pub(super) struct Xml;

impl Codec for Xml {
    fn extension(&self) -> &'static str {
        "xml.zst"
    }

    fn encode(&self, schema: SchemaRef) -> Result<Box<dyn Encoder>> {
        text::encode(&schema, Document::new)
    }

    fn decode(&self, bytes: Bytes) -> Result<Batches> {
        text::decode(NAME, bytes, Document::new)
    }
}

/// What all lines of a document have in common.
struct Document {
    head: String,
    elements: Vec<Element>,
    reader: read::Room,
}

/// What the element of a column is called, and those below it.
struct Element {
    name: String,
    /// The fields of a struct; of a list its items, as one field.
    below: Vec<Element>,
}

impl Document {
    fn new(columns: &[Column]) -> Self {
        let elements = columns.iter().map(Element::new).collect();
        Self { head: head::write(columns), elements, reader: read::Room::default() }
    }
}

impl Element {
    fn new(column: &Column) -> Self {
        let below = match &column.holds {
            Type::List(item) => vec![Self { name: ITEM.into(), ..Self::new(item) }],
            Type::Struct(fields) => fields.iter().map(Self::new).collect(),
            _ => Vec::new(),
        };
        Self { name: names::element(&column.name), below }
    }
}

impl Notation for Document {
    fn name(&self) -> &'static str {
        NAME
    }

    fn head(&self) -> &str {
        &self.head
    }

    fn tail(&self) -> &'static str {
        "</changes>\n"
    }

    fn write(&self, cells: &[Cells<'_>], row: usize, line: &mut Vec<u8>) {
        write::change(&self.elements, cells, row, line);
    }

    fn read(&mut self, line: &str, columns: &mut [Filling]) -> Result<(), Unsound> {
        read::change(&self.elements, line, columns, &mut self.reader)
    }
}
