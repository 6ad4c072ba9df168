//! Which folder each change goes to.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use tidemark_engine::{
    Error, Result,
    arrow_array::BooleanArray,
    change::{Cell, ChangeBatch, Column},
    schema::StreamSchema,
    write::Delivery,
};

use super::{
    layout::{Layout, Piece},
    names,
};

/// Stands for NULL, an empty text, and a column that the change does not carry, as in Hive.
const NOTHING: &str = "__HIVE_DEFAULT_PARTITION__";

/// Some changes of a delivery.
pub(super) struct Partition {
    /// The folder from the root, its parts separated by `/`.
    pub(super) folder: String,
    pub(super) changes: ChangeBatch,
}

/// The changes of `delivery` by folder, in the order in which the folders first occur. `stream` is the name of the stream's own folder.
///
/// Fails with [`tidemark_engine::ErrorKind::Config`] when the stream has no such column, and with
/// [`tidemark_engine::ErrorKind::Data`], naming the change, when a value is too long for a folder's name.
pub(super) fn split(layout: &Layout, stream: &str, delivery: &Delivery) -> Result<Vec<Partition>> {
    let changes = &delivery.changes;
    let columns = columns(layout, changes)?;
    if !layout.is_partitioned() {
        let folder = folder(layout, stream, delivery, 0, &columns)?;
        return Ok(vec![Partition { folder, changes: changes.clone() }]);
    }
    let mut folders = HashMap::<String, usize>::new();
    let mut of_row = Vec::with_capacity(changes.rows());
    for row in 0..changes.rows() {
        let folder = folder(layout, stream, delivery, row, &columns)?;
        let next = folders.len();
        of_row.push(*folders.entry(folder).or_insert(next));
    }
    let mut folders = folders.into_iter().collect::<Vec<_>>();
    folders.sort_by_key(|(_, number)| *number);
    let is_one = folders.len() == 1;
    let pick = |(folder, number): (String, usize)| {
        let wanted = || of_row.iter().map(|of| Some(*of == number)).collect::<BooleanArray>();
        let changes = if is_one { changes.clone() } else { changes.filter(&wanted())? };
        Ok(Partition { folder, changes })
    };
    folders.into_iter().map(pick).collect()
}

/// The columns that `layout` names.
fn columns<'a>(layout: &'a Layout, changes: &'a ChangeBatch) -> Result<HashMap<&'a str, Column<'a>>> {
    let schema: &StreamSchema = changes.schema();
    let named = layout.0.iter().flatten().filter_map(|piece| match piece {
        Piece::Column(name) => Some(name.as_str()),
        _ => None,
    });
    let column = |name: &'a str| {
        let index = schema.fields().iter().position(|field| field.name == name);
        let missing = || {
            Error::config(format!("stream `{}` has no column `{name}` to partition by", schema.stream()))
                .hint("name one of its columns in `path`, or add it with `transforms`")
        };
        Ok((name, changes.column(index.ok_or_else(missing)?)))
    };
    named.map(column).collect()
}

/// The folder of the change in `row`.
fn folder(
    layout: &Layout,
    stream: &str,
    delivery: &Delivery,
    row: usize,
    columns: &HashMap<&str, Column<'_>>,
) -> Result<String> {
    let mut path = String::new();
    for part in &layout.0 {
        if !path.is_empty() {
            path.push('/');
        }
        let begin = path.len();
        for piece in part {
            match piece {
                Piece::Text(text) => path.push_str(text),
                Piece::Stream => path.push_str(stream),
                Piece::Op => path.push_str(delivery.changes.op(row)?.as_str()),
                Piece::Date => path.push_str(&moment(delivery, row)?[..DATE]),
                Piece::Hour => path.push_str(&moment(delivery, row)?[DATE + 1..HOUR]),
                Piece::Column(name) => match columns.get(name.as_str()).map(|column| column.cell(row)) {
                    Some(Cell::Value(value)) => push(&value.to_string(), &mut path),
                    Some(Cell::Exception(text)) => push(text, &mut path),
                    Some(Cell::Null | Cell::Unchanged) | None => path.push_str(NOTHING),
                },
            }
        }
        if path.len() - begin > names::MAX_NAME || path.len() > names::MAX_FOLDER {
            return Err(too_long(delivery, row));
        }
    }
    Ok(path)
}

fn push(value: &str, path: &mut String) {
    if value.is_empty() { path.push_str(NOTHING) } else { names::escape(value, path) }
}

/// How much of a time as text is the date, and how much the hour: `2013-01-05T09:00:00Z`.
const DATE: usize = 10;
const HOUR: usize = 13;

/// When the commit of the change in `row` was made, as text.
fn moment(delivery: &Delivery, row: usize) -> Result<String> {
    let text = delivery.watermark(row)?.to_string();
    // A year beyond 9999 would have more digits.
    let is_sound = text.is_ascii() && text.as_bytes().get(DATE) == Some(&b'T') && text.len() > HOUR;
    is_sound.then_some(text).ok_or_else(|| Error::data("the time of a commit is beyond the year 9999"))
}

fn too_long(delivery: &Delivery, row: usize) -> Error {
    let stream = delivery.changes.schema().stream();
    let error = Error::data(format!(
        "a value of stream `{stream}` that it is partitioned by is too long for a folder's name"
    ))
    .hint("partition by a column of short values, or make one with `transforms`");
    match delivery.changes.ordinals() {
        Some(ordinals) => error.of_change(stream, delivery.sequence, ordinals.value(row)),
        None => error,
    }
}
