//! What every codec promises: nothing changes on the way.

use super::samples;
use crate::{
    change::{Cell, ChangeBatch, Value},
    codec::{Codec, Format, encode_all},
};

/// Checks that `format` keeps every kind, every extreme and every absence, over one and over many batches.
pub fn keeps_everything(format: Format) {
    let batch = samples::everything();
    let read = round_trip(format, std::slice::from_ref(&batch));
    assert_same(&read, &[batch]);

    let many: Vec<_> = (0..20)
        .map(|i| samples::numbered_rows("many", i * 10_000, 10_000).numbered_from(i as u64 * 10_000))
        .collect();
    assert_same(&round_trip(format, &many), &many);
}

/// Checks that a batch is never much more than 4 MiB in memory, however well it compressed.
pub fn gives_batches_that_fit(format: Format) {
    let batch = samples::repeated("large", &"x".repeat(100_000), 400).numbered_from(0);
    let read = round_trip(format, std::slice::from_ref(&batch));
    assert_eq!(read.iter().map(ChangeBatch::rows).sum::<usize>(), 400);
    assert!(read.iter().all(|batch| batch.byte_size() < 9 << 20), "a batch has more than a reader can take");
}

/// Checks that bytes that `format` did not write, or not all of them, are refused rather than misread.
pub fn refuses_damage(format: Format) {
    let batch = samples::everything();
    let record = batch.to_record_batch().unwrap();
    let whole = encode_all(format, record.schema_ref(), std::slice::from_ref(&record)).unwrap();
    for length in [0, 1, whole.len() / 2] {
        let read = format.codec().decode(whole.slice(..length)).and_then(|batches| {
            batches.map(|batch| batch.map(|batch| batch.num_rows())).sum::<crate::Result<usize>>()
        });
        assert!(read.is_err(), "{length} of {} bytes were read", whole.len());
    }
}

fn round_trip(format: Format, batches: &[ChangeBatch]) -> Vec<ChangeBatch> {
    let codec: &dyn Codec = format.codec();
    let records: Vec<_> = batches.iter().map(|batch| batch.to_record_batch().unwrap()).collect();
    let bytes = encode_all(format, records[0].schema_ref(), &records).unwrap();
    let schema = batches[0].schema();
    let read = codec.decode(bytes).unwrap();
    read.map(|record| ChangeBatch::from_record_batch(schema.clone(), &record.unwrap()).unwrap()).collect()
}

/// Checks that two runs of batches hold the same changes, cell by cell, however they are cut.
pub fn assert_same(left: &[ChangeBatch], right: &[ChangeBatch]) {
    let (left, right) = (cells(left), cells(right));
    assert_eq!(left.len(), right.len(), "the number of changes differs");
    for (left, right) in left.iter().zip(&right) {
        assert_eq!(left, right);
    }
}

/// Each change as text, complete.
fn cells(batches: &[ChangeBatch]) -> Vec<String> {
    let mut rows = Vec::new();
    for batch in batches {
        let columns = batch.columns();
        for row in 0..batch.rows() {
            let ordinal = batch.ordinals().map(|ordinals| ordinals.value(row));
            let mut text = format!("{:?} {ordinal:?}", batch.op(row).unwrap());
            let position = columns.source_positions.as_ref().map(|array| array.slice(row, 1));
            let time = columns.source_times.as_ref().map(|array| array.slice(row, 1));
            let transaction = columns.transactions.as_ref().map(|array| array.slice(row, 1));
            text += &format!(" {position:?} {time:?} {transaction:?}");
            for index in 0..batch.schema().fields().len() {
                text += &describe(&batch.column(index).cell(row));
                text +=
                    &batch.column_before(index).map_or(String::new(), |column| describe(&column.cell(row)));
            }
            rows.push(text);
        }
    }
    rows
}

/// Reads every cell of a batch, now and before, as its canonical text: whatever it holds, there is one.
pub fn read_every_cell(batch: &ChangeBatch) {
    drop(cells(std::slice::from_ref(batch)));
}

fn describe(cell: &Cell<'_>) -> String {
    match cell {
        // Bits, not digits: -0.0 and every NaN count.
        Cell::Value(Value::Float32(value)) => format!("|{:x}", value.to_bits()),
        Cell::Value(Value::Float64(value)) => format!("|{:x}", value.to_bits()),
        Cell::Value(value) => format!("|{value}"),
        other => format!("|{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format() {
        for format in Format::ALL {
            keeps_everything(format);
            gives_batches_that_fit(format);
            refuses_damage(format);
        }
    }

    #[test]
    fn the_sample_has_every_absence() {
        let batch = samples::everything();
        assert_eq!(batch.column(13).cell(2), Cell::Unchanged);
        assert_eq!(batch.column(15).cell(2), Cell::Exception("infinity"));
        assert_eq!(batch.column(1).cell(2), Cell::Null);
        assert_eq!(batch.column_before(11).unwrap().cell(2), Cell::Exception("NaN"));
        assert_eq!(batch.column_before(14).unwrap().cell(2), Cell::Unchanged);
        assert_eq!(batch.column_before(0).unwrap().cell(1), Cell::Unchanged);
    }
}
