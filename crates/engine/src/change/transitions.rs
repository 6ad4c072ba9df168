//! Updates that mean something else to whoever sees only some of the records: a record that leaves is deleted there, one that
//! comes in is created.

use arrow_array::{ArrayRef, BooleanArray, UInt8Array};
use arrow_buffer::BooleanBuffer;
use arrow_select::zip::zip;

use super::{Before, BitmapBuilder, Cell, ChangeBatch, Columns, ExceptionsBuilder, Op};
use crate::{Error, Result};

impl ChangeBatch {
    /// The same changes, of which the updates that `rows` marks are deletes of what was before, see `departure`.
    pub fn with_departures(&self, rows: &BooleanArray) -> Result<Self> {
        self.with_transitions(rows, Op::Delete)
    }

    /// The same changes, of which the updates that `rows` marks are creates. What they leave unchanged is taken from what was before;
    /// what is not known there stays missing.
    pub fn with_arrivals(&self, rows: &BooleanArray) -> Result<Self> {
        self.with_transitions(rows, Op::Create)
    }

    fn with_transitions(&self, marked: &BooleanArray, op: Op) -> Result<Self> {
        let unsound = |error| Error::internal("updates cannot be taken for something else").source(error);
        if marked.len() != self.rows() {
            return Err(Error::internal("updates are marked in a batch of another length"));
        }
        if marked.true_count() == 0 {
            return Ok(self.clone());
        }
        let (all, width) = (self.columns(), self.schema().fields().len());
        let mut values: Vec<ArrayRef> = Vec::with_capacity(width);
        let mut from_before = Vec::with_capacity(width);
        for index in 0..width {
            let taken: BooleanArray = (0..self.rows())
                .map(|row| Some(marked.value(row) && self.is_of_before(index, row, op)))
                .collect();
            values.push(match &all.before {
                Some(before) if taken.true_count() > 0 => {
                    zip(&taken, &before.values[index], &all.values[index]).map_err(unsound)?
                }
                _ => all.values[index].clone(),
            });
            from_before.push(taken);
        }
        let (mut unchanged, mut unknown) = (BitmapBuilder::new(width), BitmapBuilder::new(width));
        let mut exceptions = ExceptionsBuilder::new();
        // A delete of which nothing was known carries nothing but its key.
        let mut cleared = vec![Vec::new(); width];
        for row in 0..self.rows() {
            let is_marked = marked.value(row);
            for index in 0..width {
                let before = self.column_before(index).map_or(Cell::Unchanged, |column| column.cell(row));
                let after = self.column(index).cell(row);
                let is_cleared = is_marked
                    && op == Op::Delete
                    && !from_before[index].value(row)
                    && !self.schema().key().contains(&index);
                cleared[index].push(is_cleared);
                let cell = if from_before[index].value(row) { before.clone() } else { after };
                match cell {
                    _ if is_cleared => unchanged.set(index),
                    Cell::Unchanged => unchanged.set(index),
                    Cell::Exception(text) => exceptions.add(index, text),
                    Cell::Null | Cell::Value(_) => {}
                }
                if !is_marked {
                    match before {
                        Cell::Unchanged => unknown.set(index),
                        Cell::Exception(text) => exceptions.add(width + index, text),
                        Cell::Null | Cell::Value(_) => {}
                    }
                }
            }
            unchanged.end_row();
            unknown.end_row();
            exceptions.end_row();
        }
        for (array, cleared) in values.iter_mut().zip(cleared) {
            let cleared = BooleanArray::from(cleared);
            if cleared.true_count() > 0 {
                *array = arrow_select::nullif::nullif(array, &cleared).map_err(unsound)?;
            }
        }
        let ops =
            (0..self.rows()).map(|row| if marked.value(row) { op.letter() } else { all.ops.value(row) });
        let present = |before: &Before| {
            (0..self.rows())
                .map(|row| before.present.value(row) && !marked.value(row))
                .collect::<BooleanBuffer>()
        };
        let before = all.before.as_ref().map(|before| Before {
            present: present(before),
            unknown: unknown.finish(),
            values: before.values.clone(),
        });
        let columns = Columns {
            ops: UInt8Array::from_iter_values(ops),
            unchanged: unchanged.finish(),
            exceptions: exceptions.finish(),
            values,
            before: before.filter(|before| before.present.count_set_bits() > 0),
            ..all.clone()
        };
        let changed = Self::new(self.schema().clone(), columns)?;
        Ok(match self.ordinals() {
            Some(ordinals) => changed.with_ordinals(ordinals.clone()),
            None => changed,
        })
    }

    /// Whether the update in `row`, taken for `op`, has what was before in this column.
    fn is_of_before(&self, index: usize, row: usize, op: Op) -> bool {
        let before = self.column_before(index).map_or(Cell::Unchanged, |column| column.cell(row));
        let is_known = before != Cell::Unchanged;
        match op {
            Op::Delete => is_known,
            _ => is_known && self.column(index).cell(row) == Cell::Unchanged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::samples;

    fn updates() -> (ChangeBatch, BooleanArray) {
        let batch = samples::everything();
        let rows = (0..batch.rows()).map(|row| Some(batch.op(row).unwrap() == Op::Update)).collect();
        (batch, rows)
    }

    #[test]
    fn a_departure_is_that_of_a_moved_key() {
        let (batch, rows) = updates();
        let departed = batch.with_departures(&rows).unwrap();
        for row in 0..batch.rows() {
            let expected = if rows.value(row) { batch.departure(row).unwrap() } else { batch.slice(row, 1) };
            assert_eq!(departed.op(row).unwrap(), expected.op(0).unwrap());
            for index in 0..batch.schema().fields().len() {
                let show = |batch: &ChangeBatch, row| {
                    let before =
                        batch.column_before(index).map_or(Cell::Unchanged, |column| column.cell(row));
                    format!("{:?} {before:?}", batch.column(index).cell(row))
                };
                assert_eq!(show(&departed, row), show(&expected, 0), "row {row} column {index}");
            }
        }
    }

    #[test]
    fn an_arrival_knows_what_was_known_before() {
        let (batch, rows) = updates();
        let arrived = batch.with_arrivals(&rows).unwrap();
        assert_eq!(arrived.ordinals(), batch.ordinals());
        for row in (0..batch.rows()).filter(|row| rows.value(*row)) {
            assert_eq!(arrived.op(row).unwrap(), Op::Create);
            for index in 0..batch.schema().fields().len() {
                let before = batch.column_before(index).map_or(Cell::Unchanged, |column| column.cell(row));
                let expected = match batch.column(index).cell(row) {
                    Cell::Unchanged => before,
                    known => known,
                };
                assert_eq!(format!("{:?}", arrived.column(index).cell(row)), format!("{expected:?}"));
            }
        }
    }
}
