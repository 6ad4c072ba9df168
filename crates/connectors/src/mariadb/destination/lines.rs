//! Rows as LOAD DATA reads them: a line each, columns apart by tabs.

use bytes::Bytes;
use tidemark_engine::{
    Error,
    change::Cell,
    schema::{Kind, StreamName},
};

use super::table::Column;
use crate::mariadb::storage::Storage;

/// Rows, while they are written down.
#[derive(Debug, Default)]
pub(super) struct Lines {
    bytes: Vec<u8>,
    scratch: Vec<u8>,
    is_in_row: bool,
    rows: usize,
}

impl Lines {
    pub(super) fn end_row(&mut self) {
        self.bytes.push(b'\n');
        self.is_in_row = false;
        self.rows += 1;
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn finish(self) -> Bytes {
        self.bytes.into()
    }

    pub(super) fn add_null(&mut self) {
        self.begin_column();
        self.bytes.extend_from_slice(b"\\N");
    }

    /// Adds what is plain text to the server.
    pub(super) fn add(&mut self, text: &str) {
        self.begin_column();
        escape(text.as_bytes(), &mut self.bytes);
    }

    pub(super) fn add_some(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.add(text),
            None => self.add_null(),
        }
    }

    /// Adds what `cell`, of a stream's `column`, holds; NULL when it holds nothing.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Data`] when the column cannot hold it.
    pub(super) fn add_cell(
        &mut self,
        column: &Column,
        cell: &Cell<'_>,
        stream: &StreamName,
    ) -> Result<(), Error> {
        if matches!(cell, Cell::Null | Cell::Unchanged) {
            self.add_null();
            return Ok(());
        }
        self.scratch.clear();
        if !column.storage.write(cell, &column.kind, &mut self.scratch) {
            return Err(cannot_hold(column, stream));
        }
        self.begin_column();
        escape(&self.scratch, &mut self.bytes);
        Ok(())
    }

    fn begin_column(&mut self) {
        if self.is_in_row {
            self.bytes.push(b'\t');
        }
        self.is_in_row = true;
    }
}

fn escape(value: &[u8], out: &mut Vec<u8>) {
    let mut rest = value;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\\' | b'\t' | b'\n' | 0)) {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        out.push(b'\\');
        out.push(match special[0] {
            b'\t' => b't',
            b'\n' => b'n',
            0 => b'0',
            other => other,
        });
        rest = &special[1..];
    }
    out.extend_from_slice(rest);
}

fn cannot_hold(column: &Column, stream: &StreamName) -> Error {
    let Column { name, kind, storage, .. } = column;
    let kind: &Kind = kind;
    let (name, declared) = (name, storage.declared());
    let declared = declared.split(" CHARACTER").next().unwrap_or_default();
    let error = Error::data(format!(
        "column `{name}` of stream `{stream}`, of kind `{}`, holds a value that `{declared}` does not",
        kind.name()
    ));
    match storage {
        Storage::ShortText(_) | Storage::ShortBlob(_) => {
            error.hint("choose a key of shorter columns, or give the column a longer type in the table")
        }
        _ => error.hint("cast the column to text at the source, or exclude it; NaN, infinities and years beyond 1 to 9999 have no place in MariaDB"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_special_is_escaped() {
        let mut lines = Lines::default();
        lines.add("a\tb\\N\n\0'\"\r");
        lines.add_null();
        lines.add("");
        lines.end_row();
        assert_eq!(lines.finish(), &b"a\\tb\\\\N\\n\\0'\"\r\t\\N\t\n"[..]);
    }
}
