//! A table with integer keys: its changes as batches, and batches as a table again.

use std::{collections::BTreeMap, sync::Arc};

use arrow_array::{ArrayRef, BinaryArray, Int64Array, UInt8Array};
use arrow_buffer::BooleanBuffer;

use crate::{
    change::{Before, BitmapBuilder, Cell, ChangeBatch, Columns, Op, Value},
    read::Phase,
    schema::{Field, Kind, StreamName, StreamSchema},
    write::Delivery,
};

/// Two values of each key; partial changes tell the first alone.
pub(in crate::log) type Rows = BTreeMap<i64, (i64, i64)>;

/// What happened to a record.
#[derive(Debug, Clone, Copy)]
pub(in crate::log) struct Change {
    pub(in crate::log) op: Op,
    pub(in crate::log) key: i64,
    /// The key before, where it changed.
    pub(in crate::log) old_key: Option<i64>,
    pub(in crate::log) first: i64,
    /// `None`: not told.
    pub(in crate::log) second: Option<i64>,
}

/// `changes` that the source made in transaction `lsn`.
pub(in crate::log) fn batch(lsn: u64, changes: &[Change]) -> ChangeBatch {
    let fields = ["id", "first", "second"].map(|name| Field::new(name, Kind::Int64)).to_vec();
    let schema = StreamSchema::new(StreamName::new("table"), fields, vec!["id".into()]).unwrap();
    let (mut unchanged, mut unknown) = (BitmapBuilder::new(3), BitmapBuilder::new(3));
    for change in changes {
        if change.second.is_none() {
            unchanged.set(2);
        }
        unchanged.end_row();
        unknown.set(1);
        unknown.set(2);
        unknown.end_row();
    }
    let integers = |value: &dyn Fn(&Change) -> Option<i64>| -> ArrayRef {
        Arc::new(changes.iter().map(value).collect::<Int64Array>())
    };
    let is_truncate = |change: &Change| change.op == Op::Truncate;
    let positions =
        (0..changes.len() as u32).map(|ordinal| [&lsn.to_be_bytes()[..], &ordinal.to_be_bytes()].concat());
    let columns = Columns {
        source_positions: Some(BinaryArray::from_iter_values(positions)),
        unchanged: unchanged.finish(),
        before: Some(Before {
            present: changes.iter().map(|change| change.old_key.is_some()).collect::<BooleanBuffer>(),
            unknown: unknown.finish(),
            values: vec![integers(&|change| change.old_key), integers(&|_| None), integers(&|_| None)],
        }),
        ..Columns::new(
            UInt8Array::from_iter_values(changes.iter().map(|change| change.op.letter())),
            vec![
                integers(&|change| (!is_truncate(change)).then_some(change.key)),
                integers(&|change| (!is_truncate(change)).then_some(change.first)),
                integers(&|change| change.second),
            ],
        )
    };
    ChangeBatch::new(schema, columns).unwrap()
}

fn int(cell: Cell<'_>) -> Option<i64> {
    match cell {
        Cell::Value(Value::Int(value)) => Some(value),
        _ => None,
    }
}

/// A destination that takes nothing but what fits exactly.
#[derive(Debug, Default)]
pub(in crate::log) struct Mirror {
    pub(in crate::log) rows: Rows,
}

impl Mirror {
    pub(in crate::log) fn apply(&mut self, delivery: &Delivery) {
        let changes = &delivery.changes;
        let cell = |index: usize, row| int(changes.column(index).cell(row));
        for row in 0..changes.rows() {
            let op = changes.op(row).unwrap();
            if op == Op::Truncate {
                self.rows.clear();
                continue;
            }
            let key = cell(0, row).unwrap();
            let old_key = changes.column_before(0).and_then(|column| int(column.cell(row))).unwrap_or(key);
            match op {
                Op::Delete => assert!(self.rows.remove(&key).is_some(), "what is deleted is there"),
                Op::Update => {
                    let (_, second) = self.rows.remove(&old_key).expect("what is updated is there");
                    let there =
                        self.rows.insert(key, (cell(1, row).unwrap(), cell(2, row).unwrap_or(second)));
                    assert_eq!(there, None, "a key is free before a record moves to it");
                }
                _ => {
                    let there = self.rows.insert(key, (cell(1, row).unwrap(), cell(2, row).unwrap()));
                    assert_eq!(there, None, "what is created is not there");
                }
            }
        }
    }
}

/// One change as it was played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::log) struct Played {
    pub(in crate::log) sequence: u64,
    pub(in crate::log) ordinal: u64,
    pub(in crate::log) key: i64,
    pub(in crate::log) lsn: u64,
    pub(in crate::log) is_record: bool,
    pub(in crate::log) begins_anew: bool,
}

pub(in crate::log) fn change_ids<'d>(deliveries: impl IntoIterator<Item = &'d Delivery>) -> Vec<Played> {
    let mut ids = Vec::new();
    for Delivery { sequence, phase, changes, .. } in deliveries {
        let positions = changes.columns().source_positions.as_ref().unwrap();
        for row in 0..changes.rows() {
            let op = changes.op(row).unwrap();
            ids.push(Played {
                sequence: *sequence,
                ordinal: changes.ordinals().unwrap().value(row),
                key: int(changes.column(0).cell(row)).unwrap_or_default(),
                lsn: u64::from_be_bytes(positions.value(row)[..8].try_into().unwrap()),
                is_record: op == Op::Read,
                begins_anew: op == Op::Truncate && *phase == Phase::InitialSync,
            });
        }
    }
    ids
}
