//! Comma-separated values (RFC 4180) with a header line. NULL is an empty field, an empty text a quoted one.

use std::{fmt::Write as _, io::Write as _};

use tidemark_engine::{
    Digest, Result,
    change::{Cell, Value},
    schema::StreamSchema,
};

use super::{Rows, Sealed};
use crate::{files::destination::disk, metadata};

pub(in crate::files::destination) struct CsvFile {
    file: Sealed,
    line: String,
    scratch: String,
}

impl CsvFile {
    pub(super) fn new(file: Sealed, schema: &StreamSchema) -> Result<Self> {
        let mut csv = Self { file, line: String::new(), scratch: String::new() };
        let names = [metadata::POSITION, metadata::OP, metadata::SOURCE_TIME, metadata::UNCHANGED];
        let names = names.into_iter().chain(schema.fields().iter().map(|field| field.name.as_str()));
        for (index, name) in names.enumerate() {
            if index > 0 {
                csv.line.push(',');
            }
            push(name, &mut csv.line);
        }
        csv.end()?;
        Ok(csv)
    }

    pub(super) fn write(&mut self, rows: &Rows<'_>) -> Result<()> {
        let count = rows.changes.schema().fields().len();
        let columns = (0..count).map(|index| rows.changes.column(index)).collect::<Vec<_>>();
        for row in 0..rows.changes.rows() {
            let (line, scratch) = (&mut self.line, &mut self.scratch);
            // Writing to a `String` cannot fail.
            let _ = write!(line, "{},{},", rows.id(row), rows.changes.op(row)?.as_str());
            if let Some(time) = rows.source_time(row) {
                let _ = write!(line, "{time}");
            }
            line.push(',');
            if let Some(unchanged) = metadata::unchanged_names(rows.changes, row) {
                push(&unchanged, line);
            }
            for column in &columns {
                line.push(',');
                match column.cell(row) {
                    Cell::Null | Cell::Unchanged => {}
                    Cell::Value(Value::Text(text)) | Cell::Exception(text) => push(text, line),
                    Cell::Value(value) => {
                        scratch.clear();
                        let _ = write!(scratch, "{value}");
                        push(scratch, line);
                    }
                }
            }
            self.end()?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        self.line.push('\n');
        let written = self.file.write_all(self.line.as_bytes());
        self.line.clear();
        written.map_err(|error| disk::failed("write", self.file.path(), error))
    }

    pub(super) fn bytes(&self) -> u64 {
        self.file.bytes()
    }

    pub(super) fn finish(self) -> Result<(u64, Digest)> {
        self.file.seal()
    }
}

/// Appends `text` as one field.
fn push(text: &str, line: &mut String) {
    let edge = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_whitespace);
    let bytes = text.as_bytes();
    if edge(bytes.first()) || edge(bytes.last()) || text.contains(['"', ',', '\n', '\r']) {
        line.push('"');
        line.push_str(&text.replace('"', "\"\""));
        line.push('"');
    } else {
        line.push_str(text);
    }
}
