//! A change of a record's key, seen from one of its two keys alone.

use arrow_array::UInt8Array;

use super::{BitmapBuilder, Cell, ChangeBatch, Columns, ExceptionsBuilder, Op};
use crate::{Error, Result};

impl ChangeBatch {
    /// The update in `row` as its old key sees it: the record is deleted. What is not known of it before is unchanged,
    /// save parts of the key, which then were what they are.
    pub(crate) fn departure(&self, row: usize) -> Result<Self> {
        let (key, width) = (self.schema().key(), self.schema().fields().len());
        let (mut unknown, mut exceptions) = (BitmapBuilder::new(width), ExceptionsBuilder::new());
        let mut values = Vec::with_capacity(width);
        for index in 0..width {
            let before = self.column_before(index).map_or(Cell::Unchanged, |column| column.cell(row));
            let keeps_key = before == Cell::Unchanged && key.contains(&index);
            let cell = if keeps_key { self.column(index).cell(row) } else { before };
            match cell {
                Cell::Unchanged => unknown.set(index),
                Cell::Exception(text) => exceptions.add(index, text),
                Cell::Null | Cell::Value(_) => {}
            }
            let columns = match &self.columns().before {
                Some(before) if !keeps_key => &before.values,
                _ => &self.columns().values,
            };
            values.push(columns[index].slice(row, 1));
        }
        unknown.end_row();
        exceptions.end_row();
        let columns = Columns {
            values,
            unchanged: unknown.finish(),
            exceptions: exceptions.finish(),
            ..self.alone(row)
        };
        self.half(row, Op::Delete, columns)
    }

    /// The update in `row` as its new key sees it: the record is created.
    ///
    /// Fails with [`crate::ErrorKind::Data`] when the update leaves columns unchanged: nobody there knows what they hold.
    pub(crate) fn arrival(&self, row: usize) -> Result<Self> {
        let stream = self.schema().stream();
        if self.columns().unchanged.as_ref().is_some_and(|unchanged| !unchanged.is_empty(row)) {
            return Err(Error::data(format!(
                "a record of stream `{stream}` moved to a key that its initial sync reads later, and its source did not tell \
                 all of its columns"
            ))
            .hint(format!("read stream `{stream}` anew"))
            .of_stream(stream));
        }
        self.half(row, Op::Create, self.alone(row))
    }

    /// The columns of `row` alone, without what was before.
    fn alone(&self, row: usize) -> Columns {
        Columns { before: None, ..self.slice(row, 1).columns().clone() }
    }

    fn half(&self, row: usize, op: Op, columns: Columns) -> Result<Self> {
        let columns = Columns { ops: UInt8Array::from(vec![op.letter()]), ..columns };
        let half = Self::new(self.schema().clone(), columns)?;
        Ok(match self.ordinals() {
            Some(ordinals) => half.with_ordinals(ordinals.slice(row, 1)),
            None => half,
        })
    }
}
