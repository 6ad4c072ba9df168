//! The keys of records as canonical text: what tells one record of a stream from another, whatever the change says of it.

use super::{Cell, ChangeBatch, Column, Op, Value, write_json};
use crate::schema::Kind;

/// The keys of a batch's changes, ready to be read row by row.
#[derive(Debug)]
pub(crate) struct Keys<'a>(Vec<Part<'a>>);

/// One column of the key.
#[derive(Debug)]
struct Part<'a> {
    name: &'a str,
    kind: &'a Kind,
    after: Column<'a>,
    before: Option<Column<'a>>,
}

impl<'a> Keys<'a> {
    pub(crate) fn new(changes: &'a ChangeBatch) -> Self {
        let part = |&index: &usize| {
            let field = &changes.schema().fields()[index];
            let (after, before) = (changes.column(index), changes.column_before(index));
            Part { name: &field.name, kind: &field.kind, after, before }
        };
        Self(changes.schema().key().iter().map(part).collect())
    }

    /// The keys that the change in `row` is about, as JSON: of the record as it is and, where the change moves it, as it was. None in
    /// a stream without a key, and none of a truncate.
    pub(crate) fn of(&self, row: usize, op: Op) -> Vec<String> {
        if self.0.is_empty() || op == Op::Truncate {
            return Vec::new();
        }
        let new = self.key(row, false);
        let old = (op == Op::Update).then(|| self.key(row, true)).filter(|old| *old != new);
        std::iter::once(new).chain(old).collect()
    }

    fn key(&self, row: usize, before: bool) -> String {
        let mut out = String::from("{");
        for part in &self.0 {
            if out.len() > 1 {
                out.push(',');
            }
            write_json(&Value::Text(part.name), &Kind::Text, &mut out);
            out.push(':');
            let old = part.before.as_ref().filter(|_| before).map(|column| column.cell(row));
            // What is not known of the old key has not changed.
            let cell = match old {
                None | Some(Cell::Unchanged) => part.after.cell(row),
                Some(old) => old,
            };
            match cell {
                Cell::Value(value) => write_json(&value, part.kind, &mut out),
                Cell::Exception(text) => write_json(&Value::Text(text), &Kind::Text, &mut out),
                Cell::Null | Cell::Unchanged => out.push_str("null"),
            }
        }
        out.push('}');
        out
    }
}
