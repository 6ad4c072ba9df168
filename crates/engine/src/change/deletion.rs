//! Deletions as something that is said of a record, for destinations that keep what was deleted.

use std::sync::Arc;

use arrow_array::{ArrayRef, TimestampMicrosecondArray, UInt8Array, new_null_array};

use super::{ChangeBatch, Columns, Op};
use crate::{
    Result, Time,
    schema::{Field, Kind},
};

impl ChangeBatch {
    /// The same changes with one column more, the last, called `name`: when the record was deleted, as `time` tells for a row,
    /// and NULL for a record that is there. A delete becomes an update that carries what the delete knew of the record. A
    /// truncate stays one, and has its time in the column.
    pub fn with_deletions_marked(&self, name: &str, time: impl Fn(usize) -> Result<Time>) -> Result<Self> {
        let deleted = Field::new(name, Kind::TimestampTz);
        let kind = deleted.kind.arrow();
        let schema = self.schema().with_own_field(deleted)?;
        let (mut ops, mut times) = (Vec::with_capacity(self.rows()), Vec::with_capacity(self.rows()));
        for row in 0..self.rows() {
            let op = self.op(row)?;
            let is_gone = matches!(op, Op::Delete | Op::Truncate);
            times.push(if is_gone { Some(time(row)?.as_micros()) } else { None });
            ops.push(if op == Op::Delete { Op::Update.letter() } else { op.letter() });
        }
        let times: TimestampMicrosecondArray = times.into();
        let times: ArrayRef = Arc::new(times.with_data_type(kind.clone()));
        let mut columns = Columns { ops: UInt8Array::from(ops), ..self.columns().clone() };
        // What was before is numbered after the columns.
        let width = self.schema().fields().len();
        let place = |column| Some(if column < width { column } else { column + 1 });
        columns.exceptions = columns.exceptions.and_then(|exceptions| exceptions.renumbered(place));
        columns.values.push(times);
        if let Some(before) = &mut columns.before {
            before.values.push(new_null_array(&kind, self.ops().len()));
        }
        let marked = Self::new(schema, columns)?;
        Ok(match self.ordinals() {
            Some(ordinals) => marked.with_ordinals(ordinals.clone()),
            None => marked,
        })
    }

    fn ops(&self) -> &UInt8Array {
        &self.columns().ops
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        change::{Cell, Value},
        contract::samples::numbered_rows,
    };

    #[test]
    fn a_delete_says_when_and_keeps_what_it_knew() {
        let rows = numbered_rows("a", 0, 3).numbered_from(7);
        let ops = UInt8Array::from_iter_values([Op::Create, Op::Delete, Op::Truncate].map(Op::letter));
        let changes =
            ChangeBatch::new(rows.schema().clone(), Columns { ops, ..rows.columns().clone() }).unwrap();
        let changes = changes.numbered_from(7);
        let marked = changes
            .with_deletions_marked("_tidemark_deleted_at", |row| Ok(Time::from_micros(row as i64)))
            .unwrap();
        let ops: Vec<_> = (0..3).map(|row| marked.op(row).unwrap()).collect();
        assert_eq!(ops, [Op::Create, Op::Update, Op::Truncate]);
        let last = marked.schema().fields().len() - 1;
        let cells: Vec<_> = (0..3).map(|row| marked.column(last).cell(row)).collect();
        assert_eq!(
            cells,
            [Cell::Null, Cell::Value(Value::TimestampTz(1)), Cell::Value(Value::TimestampTz(2))]
        );
        assert_eq!(marked.column(0).cell(1), changes.column(0).cell(1));
        assert_eq!(marked.ordinals().unwrap().value(0), 7);
        assert_ne!(marked.schema().digest(), changes.schema().digest());
    }
}
