//! The key of a change, as a letter keeps it.

use crate::change::{Cell, ChangeBatch, Op, Value, write_json};
use crate::schema::Kind;

/// The keys that the change in `row` is about, as JSON: of the record as it is and, where the change moves it, as it was. None in
/// a stream without a key, and none of a truncate.
pub(super) fn keys_of(changes: &ChangeBatch, row: usize, op: Op) -> Vec<String> {
    if changes.schema().key().is_empty() || op == Op::Truncate {
        return Vec::new();
    }
    let new = key(changes, row, false);
    let old = (op == Op::Update).then(|| key(changes, row, true)).filter(|old| *old != new);
    std::iter::once(new).chain(old).collect()
}

fn key(changes: &ChangeBatch, row: usize, before: bool) -> String {
    let mut out = String::from("{");
    for &index in changes.schema().key() {
        let field = &changes.schema().fields()[index];
        if out.len() > 1 {
            out.push(',');
        }
        write_json(&Value::Text(&field.name), &Kind::Text, &mut out);
        out.push(':');
        let old = changes.column_before(index).filter(|_| before).map(|column| column.cell(row));
        // What is not known of the old key has not changed.
        let cell = match old {
            None | Some(Cell::Unchanged) => changes.column(index).cell(row),
            Some(old) => old,
        };
        match cell {
            Cell::Value(value) => write_json(&value, &field.kind, &mut out),
            Cell::Exception(text) => write_json(&Value::Text(text), &Kind::Text, &mut out),
            Cell::Null | Cell::Unchanged => out.push_str("null"),
        }
    }
    out.push('}');
    out
}
