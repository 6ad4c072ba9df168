//! Which columns of a Parquet file have dictionaries.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, Decimal128Array, FixedSizeBinaryArray, Int32Array, Int64Array, RecordBatch,
    StringArray,
};
use arrow_select::concat::concat_batches;
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::{Format, encode_all, read};

const ROWS: i64 = 3_000;

/// Columns by name, and whether a dictionary is worth it.
fn columns() -> Vec<(&'static str, ArrayRef, bool)> {
    let numbers = || 0..ROWS;
    let text = |number: i64| format!("a text of some length, {number}");
    let optional = |number: i64| (number % 2 == 0).then(|| text(number % 20));
    let uuids = numbers().map(|number| i128::from(number * 7_919).to_be_bytes());
    vec![
        ("key", Arc::new(Int64Array::from_iter_values(numbers())), false),
        ("text", Arc::new(StringArray::from_iter_values(numbers().map(text))), false),
        ("bytes", Arc::new(BinaryArray::from_iter_values(numbers().map(text))), false),
        ("uuid", Arc::new(FixedSizeBinaryArray::try_from_iter(uuids).unwrap()), false),
        ("amount", Arc::new(Decimal128Array::from_iter_values(numbers().map(i128::from))), false),
        ("operation", Arc::new(Int32Array::from_iter_values(numbers().map(|_| 114))), false),
        ("state", Arc::new(Int32Array::from_iter_values(numbers().map(|number| number as i32 % 7))), true),
        ("name", Arc::new(StringArray::from_iter_values(numbers().map(|number| text(number % 30)))), true),
        ("note", Arc::new(StringArray::from_iter(numbers().map(optional))), true),
        ("same", Arc::new(StringArray::from_iter_values(numbers().map(|_| text(0)))), true),
    ]
}

#[test]
fn a_dictionary_is_made_where_values_repeat() {
    let columns = columns();
    let batch = RecordBatch::try_from_iter(columns.iter().map(|(name, array, _)| (name, array.clone())));
    // What comes before in memory is none of the values.
    let batch = batch.unwrap().slice(100, 2_000);
    let blob = encode_all(Format::Parquet, batch.schema_ref(), std::slice::from_ref(&batch)).unwrap();

    let file = SerializedFileReader::new(blob.clone()).unwrap();
    let group = file.metadata().row_group(0);
    for ((name, _, expected), column) in columns.iter().zip(group.columns()) {
        assert_eq!(column.dictionary_page_offset().is_some(), *expected, "{name}");
    }
    let records = read(Format::Parquet, blob).unwrap();
    assert_eq!(concat_batches(batch.schema_ref(), &records).unwrap(), batch);
}

#[test]
fn a_large_row_group_is_read_in_two_batches() {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..200_000));
    let batch = RecordBatch::try_from_iter([("number", numbers)]).unwrap();
    let blob = encode_all(Format::Parquet, &batch.schema(), &[batch]).unwrap();
    let rows: Vec<_> = read(Format::Parquet, blob).unwrap().iter().map(RecordBatch::num_rows).collect();
    assert_eq!(rows, [32_768, 32_768, 32_768, 32_768, 32_768, 32_768, 3_392]);
}
