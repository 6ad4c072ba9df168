//! XML 1.0: one document, an element a change, a line each. NULL is `xsi:nil`; a column that the change does not carry is left out.
//!
//! ```xml
//! <?xml version="1.0" encoding="UTF-8"?>
//! <changes xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" stream="orders">
//! <change position="4f2a…-000000000012-000000003" op="u"><id>7</id><note xsi:nil="true"/></change>
//! </changes>
//! ```

use std::{fmt::Write as _, io::Write as _};

use tidemark_engine::{
    Digest, Result,
    change::{Cell, Op, Value},
    codec::{xml_name, xml_text},
    schema::StreamSchema,
};

use super::{Rows, Sealed};
use crate::{files::destination::disk, metadata};

pub(in crate::files::destination) struct XmlFile {
    file: Sealed,
    /// The elements of the columns.
    names: Vec<String>,
    line: Vec<u8>,
    scratch: String,
}

impl XmlFile {
    pub(super) fn new(file: Sealed, schema: &StreamSchema) -> Result<Self> {
        let names = schema.fields().iter().map(|field| xml_name(&field.name)).collect();
        let mut xml = Self { file, names, line: Vec::new(), scratch: String::new() };
        xml.line.extend_from_slice(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        xml.line.extend_from_slice(b"<changes xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"");
        xml.attribute("stream", schema.stream().as_str());
        xml.line.extend_from_slice(b">\n");
        xml.end()?;
        Ok(xml)
    }

    pub(super) fn write(&mut self, rows: &Rows<'_>) -> Result<()> {
        let columns = (0..self.names.len()).map(|index| rows.changes.column(index)).collect::<Vec<_>>();
        for row in 0..rows.changes.rows() {
            let op = rows.changes.op(row)?;
            self.begin(rows, row, op);
            // A truncate has no record.
            for (index, column) in columns.iter().enumerate().filter(|_| op != Op::Truncate) {
                self.element(index, &column.cell(row));
            }
            self.line.extend_from_slice(b"</change>\n");
            self.end()?;
        }
        Ok(())
    }

    fn begin(&mut self, rows: &Rows<'_>, row: usize, op: Op) {
        self.line.extend_from_slice(b"<change");
        self.attribute("position", &rows.id(row).to_string());
        self.attribute("op", op.as_str());
        if let Some(time) = rows.source_time(row) {
            self.attribute("source_time", &time.to_string());
        }
        if let Some(unchanged) = metadata::unchanged_names(rows.changes, row).filter(|_| op != Op::Truncate) {
            self.attribute("unchanged", &unchanged);
        }
        self.line.push(b'>');
    }

    fn element(&mut self, index: usize, cell: &Cell<'_>) {
        let (line, name) = (&mut self.line, self.names[index].as_bytes());
        let text = match cell {
            Cell::Unchanged => return,
            Cell::Null => {
                line.extend([b"<", name, b" xsi:nil=\"true\"/>"].concat());
                return;
            }
            Cell::Value(Value::Text(text)) | Cell::Exception(text) => text,
            Cell::Value(value) => {
                self.scratch.clear();
                // Writing to a `String` cannot fail.
                let _ = write!(self.scratch, "{value}");
                self.scratch.as_str()
            }
        };
        line.extend([b"<", name, b">"].concat());
        xml_text(text, line);
        line.extend([b"</", name, b">"].concat());
    }

    fn attribute(&mut self, name: &str, value: &str) {
        self.line.extend([b" ", name.as_bytes(), b"=\""].concat());
        let begin = self.line.len();
        xml_text(value, &mut self.line);
        let value = self.line.split_off(begin);
        for byte in value {
            match byte {
                b'"' => self.line.extend_from_slice(b"&quot;"),
                byte => self.line.push(byte),
            }
        }
        self.line.push(b'"');
    }

    fn end(&mut self) -> Result<()> {
        let written = self.file.write_all(&self.line);
        self.line.clear();
        written.map_err(|error| disk::failed("write", self.file.path(), error))
    }

    pub(super) fn bytes(&self) -> u64 {
        self.file.bytes()
    }

    pub(super) fn finish(mut self) -> Result<(u64, Digest)> {
        self.line.extend_from_slice(b"</changes>\n");
        self.end()?;
        self.file.seal()
    }
}
