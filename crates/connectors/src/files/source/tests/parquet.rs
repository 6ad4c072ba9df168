//! Parquet files with their own types.

use super::*;

/// A Parquet file whose columns are of awkward types, with `rows` rows from `first` on.
fn parquet_file(path: &Path, first: i64, rows: i64) {
    use std::sync::Arc;
    use tidemark_engine::{
        arrow_array::{
            ArrayRef, Date32Array, Decimal128Array, Decimal256Array, DictionaryArray, FixedSizeBinaryArray,
            Int64Array, LargeStringArray, ListArray, RecordBatch, Time32MillisecondArray,
            TimestampNanosecondArray, UInt64Array,
            types::{Int32Type, Int64Type},
        },
        arrow_buffer::i256,
    };
    let ids = first..first + rows;
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(ids.clone()))),
        ("big", Arc::new(UInt64Array::from_iter_values(ids.clone().map(|_| u64::MAX)))),
        (
            "text",
            Arc::new(LargeStringArray::from_iter(ids.clone().map(|id| (id % 2 == 0).then_some("even")))),
        ),
        ("word", Arc::new(ids.clone().map(|_| "w").collect::<DictionaryArray<Int32Type>>())),
        (
            "price",
            Arc::new(
                Decimal128Array::from_iter_values(ids.clone().map(i128::from))
                    .with_precision_and_scale(12, 2)
                    .unwrap(),
            ),
        ),
        (
            "huge",
            Arc::new(
                Decimal256Array::from_iter_values(ids.clone().map(|id| i256::from_i128(id.into())))
                    .with_precision_and_scale(50, 3)
                    .unwrap(),
            ),
        ),
        ("day", Arc::new(Date32Array::from_iter_values(ids.clone().map(|_| 15_706)))),
        ("clock", Arc::new(Time32MillisecondArray::from_iter_values(ids.clone().map(|_| 1_500)))),
        (
            "at",
            Arc::new(
                TimestampNanosecondArray::from_iter_values(ids.clone().map(|id| id * 500))
                    .with_timezone("Europe/Berlin"),
            ),
        ),
        ("bytes", Arc::new(FixedSizeBinaryArray::try_from_iter(ids.clone().map(|_| [1, 255])).unwrap())),
        (
            "list",
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(
                ids.map(|id| Some(vec![Some(id), None])),
            )),
        ),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer =
        ::parquet::arrow::ArrowWriter::try_new(fs::File::create(path).unwrap(), batch.schema(), None)
            .unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// A Parquet file with a column of numbers.
pub(super) fn write_ids(path: &Path, ids: &[i64]) {
    use std::sync::Arc;
    use tidemark_engine::arrow_array::{ArrayRef, Int64Array, RecordBatch};
    let ids: ArrayRef = Arc::new(Int64Array::from(ids.to_vec()));
    let batch = RecordBatch::try_from_iter([("id", ids)]).unwrap();
    let file = fs::File::create(path).unwrap();
    let mut writer = ::parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[tokio::test]
async fn parquet_files_come_with_their_types() {
    let mut fixture = Fixture::new(r#"{"p": {"key": ["id"]}}"#).await;
    parquet_file(&fixture.path("p.parquet"), 1, 2);
    assert_eq!(
        fixture.read().await,
        [
            "r id=1 big=18446744073709551615 text=NULL word=w price=0.01 huge=0.001 day=2013-01-01 \
             clock=00:00:01.500 at=!1970-01-01T00:00:00.000000500Z bytes=\\x01ff list=[1,null]",
            "r id=2 big=18446744073709551615 text=even word=w price=0.02 huge=0.002 day=2013-01-01 \
             clock=00:00:01.500 at=1970-01-01T00:00:00.000001Z bytes=\\x01ff list=[2,null]",
        ]
    );
    assert_eq!(fixture.read().await, [""; 0]);
    parquet_file(&fixture.path("p.2.parquet"), 3, 20_000);
    let rows = fixture.read().await;
    assert_eq!(rows.len(), 20_000);
    assert!(rows[19_999].starts_with("c id=20002 "));
    // The same name with other content.
    parquet_file(&fixture.path("p.parquet"), 50_000, 1);
    assert_eq!(fixture.read().await.len(), 1);
}

#[tokio::test]
async fn a_parquet_file_without_its_footer_is_not_read() {
    let mut fixture = Fixture::new("null").await;
    parquet_file(&fixture.path("whole"), 1, 2);
    let whole = fs::read(fixture.path("whole")).unwrap();
    fixture.write("p.parquet", &whole[..whole.len() / 2]);
    fixture.age("p.parquet");
    let (kind, message) = fixture.fail().await;
    assert_eq!(kind, ErrorKind::Data);
    assert_eq!(message, "`p.parquet` of stream `p` does not end with a whole record");
    fixture.write("p.parquet", &whole);
    assert_eq!(fixture.read().await.len(), 2);
}

/// A Parquet file whose decimals have more digits than its schema says, alone and in a list of one.
fn longer_decimals(path: &Path, in_list: bool) {
    use std::sync::Arc;
    use tidemark_engine::{
        arrow_array::{ArrayRef, Decimal128Array, Int64Array, ListArray, RecordBatch},
        arrow_buffer::OffsetBuffer,
        arrow_schema::Field,
    };
    // Of 19 digits on, a value has bytes to spare.
    let prices = Decimal128Array::from(vec![9_999_999_999_999_999_999, -10_i128.pow(19), 5]);
    let mut prices: ArrayRef = Arc::new(prices.with_precision_and_scale(19, 2).unwrap());
    if in_list {
        let item = Arc::new(Field::new("item", prices.data_type().clone(), true));
        prices = Arc::new(ListArray::new(item, OffsetBuffer::from_lengths([1, 1, 1]), prices, None));
    }
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let batch = RecordBatch::try_from_iter([("id", ids), ("price", prices)]).unwrap();
    let file = fs::File::create(path).unwrap();
    let mut writer = ::parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[tokio::test]
async fn decimals_with_more_digits_than_their_type_are_exceptions() {
    let mut fixture = Fixture::new(r#"{"p": {"key": ["id"]}}"#).await;
    longer_decimals(&fixture.path("p.parquet"), false);
    assert_eq!(
        fixture.read().await,
        ["r id=1 price=99999999999999999.99", "r id=2 price=!-100000000000000000.00", "r id=3 price=0.05",]
    );
}

#[tokio::test]
async fn lists_of_such_decimals_are_refused() {
    let mut fixture = Fixture::new(r#"{"p": {"key": ["id"]}}"#).await;
    longer_decimals(&fixture.path("p.parquet"), true);
    let (kind, message) = fixture.fail().await;
    assert_eq!(kind, ErrorKind::Data);
    assert_eq!(message, "column `price` of `p.parquet` has values that its own type does not hold");
}
