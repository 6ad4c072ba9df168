//! Rows in the two forms that COPY takes.
//! <https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS>

use bytes::{BufMut, Bytes, BytesMut};
use tidemark_engine::{Error, change::Cell, schema::StreamName};

use super::failure::{Failure, Result};
use crate::postgres::types::{Plain, Target, Written};

/// What the binary form begins with: a signature, no flags, no extension.
const BINARY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with: a row of -1 columns.
const BINARY_END: &[u8] = &[0xff, 0xff];

/// A form of rows. The server reads binary faster; a few values exist as text only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Binary,
    Text,
}

impl Form {
    /// The best form for columns of these types.
    pub(super) fn of<'a>(targets: impl IntoIterator<Item = &'a Target>) -> Self {
        if targets.into_iter().all(Target::is_binary) { Self::Binary } else { Self::Text }
    }

    /// The statement that takes rows in this form.
    pub(super) fn copy_sql(self, table: &str, columns: &str) -> String {
        let format = match self {
            Self::Binary => "binary",
            Self::Text => "text",
        };
        format!("COPY {table} ({columns}) FROM STDIN (FORMAT {format})")
    }
}

/// Rows being written down.
pub(super) struct Rows {
    form: Form,
    columns: i16,
    out: BytesMut,
    in_row: bool,
}

impl Rows {
    /// The first rows of a COPY of `columns` columns.
    pub(super) fn begin(form: Form, columns: usize) -> Self {
        let mut rows = Self::go_on(form, columns, BINARY_HEADER.len());
        if form == Form::Binary {
            rows.out.extend_from_slice(BINARY_HEADER);
        }
        rows
    }

    /// Rows that follow others, about `bytes` of them.
    pub(super) fn go_on(form: Form, columns: usize, bytes: usize) -> Self {
        // A table has at most 1,600 columns.
        let columns = i16::try_from(columns).unwrap_or(i16::MAX);
        Self { form, columns, out: BytesMut::with_capacity(bytes), in_row: false }
    }

    /// Begins a row.
    pub(super) fn begin_row(&mut self) {
        if self.form == Form::Binary {
            self.out.put_i16(self.columns);
        }
        self.in_row = false;
    }

    /// Adds a value to the row. Columns that the change does not carry are NULL.
    pub(super) fn add(&mut self, target: &Target, cell: &Cell<'_>) -> Result<()> {
        match self.form {
            Form::Binary => match target.write_binary(cell, &mut self.out)? {
                Written::NeedsText => Err(Failure::NeedsText),
                Written::Appended => Ok(()),
            },
            Form::Text => {
                if self.in_row {
                    self.out.put_u8(b'\t');
                }
                self.in_row = true;
                Ok(target.write_text(cell, &mut self.out)?)
            }
        }
    }

    /// Adds what `column` holds in `row`, where it can tell; whether it could.
    #[inline]
    pub(super) fn add_plain(&mut self, column: &Plain<'_>, row: usize) -> Result<bool> {
        debug_assert_eq!(self.form, Form::Binary);
        Ok(column.write(row, &mut self.out)?)
    }

    /// Ends the row.
    pub(super) fn end_row(&mut self) {
        if self.form == Form::Text {
            self.out.put_u8(b'\n');
        }
    }

    /// The last of all rows has been written.
    pub(super) fn end(&mut self) {
        if self.form == Form::Binary {
            self.out.extend_from_slice(BINARY_END);
        }
    }

    pub(super) fn finish(self) -> Bytes {
        self.out.freeze()
    }
}

/// The failure of writing down a value of `column`.
pub(super) fn of_column(failure: Failure, column: &str, stream: &StreamName) -> Failure {
    match failure {
        Failure::Known(error) => {
            Failure::Known(Error::context(error, format_args!("column `{column}` of stream `{stream}`")))
        }
        other => other,
    }
}
