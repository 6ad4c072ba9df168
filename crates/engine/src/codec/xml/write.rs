//! A change as an element.

use super::{CHANGE, Element, INFINITY, NIL, characters};
use crate::codec::text::{Cell, Cells};

/// Appends the element of the change in `row`.
pub(super) fn change(elements: &[Element], cells: &[Cells<'_>], row: usize, out: &mut Vec<u8>) {
    open(CHANGE, out);
    fields(elements, cells, row, out);
    close(CHANGE, out);
}

fn fields(elements: &[Element], cells: &[Cells<'_>], row: usize, out: &mut Vec<u8>) {
    for (element, cells) in elements.iter().zip(cells) {
        cell(element, cells, row, out);
    }
}

fn cell(element: &Element, cells: &Cells<'_>, row: usize, out: &mut Vec<u8>) {
    match cells.cell(row) {
        Cell::Absent => return,
        Cell::Null => {
            out.push(b'<');
            out.extend_from_slice(element.name.as_bytes());
            out.extend_from_slice(NIL.as_bytes());
            out.extend_from_slice(b"/>");
            return;
        }
        Cell::Text(text) => {
            open(&element.name, out);
            characters::write(text, out);
        }
        Cell::Plain { .. } => {
            open(&element.name, out);
            cells.write(row, INFINITY, out);
        }
        Cell::List(items, range) => {
            open(&element.name, out);
            range.for_each(|index| cell(&element.below[0], items, index, out));
        }
        Cell::Struct(parts) => {
            open(&element.name, out);
            fields(&element.below, parts, row, out);
        }
    }
    close(&element.name, out);
}

fn open(name: &str, out: &mut Vec<u8>) {
    out.push(b'<');
    out.extend_from_slice(name.as_bytes());
    out.push(b'>');
}

fn close(name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"</");
    out.extend_from_slice(name.as_bytes());
    out.push(b'>');
}
