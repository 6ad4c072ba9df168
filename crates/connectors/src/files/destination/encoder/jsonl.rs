//! JSON Lines: an object a change. A column the change does not carry is left out, so that it is not NULL.

use std::{fmt::Write as _, io::Write as _};

use tidemark_engine::{
    Digest, Result,
    change::{Cell, Op, Value, write_json},
    schema::Kind,
};

use super::{Rows, Sealed};
use crate::{files::destination::disk, metadata};

pub(in crate::files::destination) struct JsonlFile {
    file: Sealed,
    line: String,
}

impl JsonlFile {
    pub(super) fn new(file: Sealed) -> Self {
        Self { file, line: String::new() }
    }

    pub(super) fn write(&mut self, rows: &Rows<'_>) -> Result<()> {
        let fields = rows.changes.schema().fields();
        let columns = (0..fields.len()).map(|index| rows.changes.column(index)).collect::<Vec<_>>();
        let names = fields.iter().map(|field| json_string(&field.name)).collect::<Vec<_>>();
        for row in 0..rows.changes.rows() {
            let op = rows.changes.op(row)?;
            self.begin(rows, row, op);
            let line = &mut self.line;
            // A truncate has no record.
            let cells = columns.iter().zip(fields).zip(&names).filter(|_| op != Op::Truncate);
            for ((column, field), name) in cells {
                let cell = column.cell(row);
                if matches!(cell, Cell::Unchanged) {
                    continue;
                }
                line.push(',');
                line.push_str(name);
                line.push(':');
                match cell {
                    Cell::Value(value) => write_json(&value, &field.kind, line),
                    Cell::Exception(text) => write_json(&Value::Text(text), &Kind::Text, line),
                    Cell::Null | Cell::Unchanged => line.push_str("null"),
                }
            }
            line.push_str("}\n");
            self.end()?;
        }
        Ok(())
    }

    fn begin(&mut self, rows: &Rows<'_>, row: usize, op: Op) {
        let line = &mut self.line;
        line.clear();
        // Writing to a `String` cannot fail.
        let _ = write!(
            line,
            "{{\"{}\":\"{}\",\"{}\":\"{}\"",
            metadata::POSITION,
            rows.id(row),
            metadata::OP,
            op.as_str()
        );
        if let Some(time) = rows.source_time(row) {
            let _ = write!(line, ",\"{}\":\"{time}\"", metadata::SOURCE_TIME);
        }
        if let Some(unchanged) = metadata::unchanged_names(rows.changes, row).filter(|_| op != Op::Truncate) {
            let _ = write!(line, ",\"{}\":{unchanged}", metadata::UNCHANGED);
        }
    }

    fn end(&mut self) -> Result<()> {
        // A JSON value may hold line breaks between its tokens, and only there: as blanks they mean the same.
        let inner = self.line.len() - 1;
        let written = if self.line[..inner].contains(['\n', '\r']) {
            let line = self.line[..inner].replace(['\n', '\r'], " ");
            self.file.write_all(line.as_bytes()).and_then(|()| self.file.write_all(b"\n"))
        } else {
            self.file.write_all(self.line.as_bytes())
        };
        written.map_err(|error| disk::failed("write", self.file.path(), error))
    }

    pub(super) fn bytes(&self) -> u64 {
        self.file.bytes()
    }

    pub(super) fn finish(self) -> Result<(u64, Digest)> {
        self.file.seal()
    }
}

fn json_string(text: &str) -> String {
    let mut out = String::new();
    write_json(&Value::Text(text), &Kind::Text, &mut out);
    out
}
