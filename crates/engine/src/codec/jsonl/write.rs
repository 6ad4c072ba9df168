//! A change as an object.

use super::{INFINITY, Key};
use crate::codec::text::{Cell, Cells};

/// Appends the object of `cells` in `row`.
pub(super) fn object(keys: &[Key], cells: &[Cells<'_>], row: usize, out: &mut Vec<u8>) {
    out.push(b'{');
    let mut is_first = true;
    for (key, cells) in keys.iter().zip(cells) {
        let cell = cells.cell(row);
        if matches!(cell, Cell::Absent) {
            continue;
        }
        if !is_first {
            out.push(b',');
        }
        is_first = false;
        out.extend_from_slice(&key.text);
        value(key, cells, row, cell, out);
    }
    out.push(b'}');
}

fn value(key: &Key, cells: &Cells<'_>, row: usize, cell: Cell<'_, '_>, out: &mut Vec<u8>) {
    match cell {
        Cell::Absent | Cell::Null => out.extend_from_slice(b"null"),
        Cell::Text(text) => string(text, out),
        Cell::Plain { literal: true } => cells.write(row, INFINITY, out),
        Cell::Plain { literal: false } => {
            out.push(b'"');
            cells.write(row, INFINITY, out);
            out.push(b'"');
        }
        Cell::List(elements, range) => {
            out.push(b'[');
            let begin = range.start;
            for index in range {
                if index > begin {
                    out.push(b',');
                }
                value(&key.below[0], elements, index, elements.cell(index), out);
            }
            out.push(b']');
        }
        Cell::Struct(fields) => object(&key.below, fields, row, out),
    }
}

fn string(text: &str, out: &mut Vec<u8>) {
    // Writing a text to a `Vec` cannot fail.
    let _ = serde_json::to_writer(out, text);
}
