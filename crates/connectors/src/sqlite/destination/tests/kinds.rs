//! Every kind comes back as its canonical text.

use std::sync::Arc;

use tidemark_engine::{
    arrow_array::{types::*, *},
    change::{Cell, ChangeBatch, ExceptionsBuilder, Op},
    schema::{Field, Kind, StreamName, StreamSchema},
    write::WriteMode,
};

use super::{apply, open, rows};

fn columns() -> Vec<(Kind, ArrayRef)> {
    let text = |values: [&str; 3]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    let list = [Some(vec![Some(1i64), None]), Some(vec![]), Some(vec![Some(i64::MIN)])];
    vec![
        (Kind::Bool, Arc::new(BooleanArray::from(vec![true, false, true]))),
        (Kind::Int8, Arc::new(Int8Array::from(vec![i8::MIN, 0, i8::MAX]))),
        (Kind::Int16, Arc::new(Int16Array::from(vec![i16::MIN, 0, i16::MAX]))),
        (Kind::Int32, Arc::new(Int32Array::from(vec![i32::MIN, 0, i32::MAX]))),
        (Kind::Int64, Arc::new(Int64Array::from(vec![i64::MIN, (1 << 53) + 1, i64::MAX]))),
        (Kind::UInt8, Arc::new(UInt8Array::from(vec![0, 1, u8::MAX]))),
        (Kind::UInt16, Arc::new(UInt16Array::from(vec![0, 1, u16::MAX]))),
        (Kind::UInt32, Arc::new(UInt32Array::from(vec![0, 1, u32::MAX]))),
        (Kind::UInt64, Arc::new(UInt64Array::from(vec![0, i64::MAX as u64 + 1, u64::MAX]))),
        (Kind::Float32, Arc::new(Float32Array::from(vec![0.1, f32::NAN, f32::MIN_POSITIVE]))),
        (Kind::Float64, Arc::new(Float64Array::from(vec![1e300, f64::NAN, 5.0]))),
        (Kind::Float64, Arc::new(Float64Array::from(vec![f64::INFINITY, f64::NEG_INFINITY, 5e-324]))),
        (
            Kind::Decimal { precision: 38, scale: 2 },
            Arc::new(
                Decimal128Array::from(vec![110, -5, 10i128.pow(38) - 1])
                    .with_precision_and_scale(38, 2)
                    .unwrap(),
            ),
        ),
        (Kind::Number, text(["1.10", "-0.000", "123456789012345678901234567890.5"])),
        (Kind::Text, text(["", "007", "a\0\"'\n名"])),
        (Kind::Bytes, Arc::new(BinaryArray::from(vec![&b""[..], b"\0\xff", b"12"]))),
        (Kind::Date, Arc::new(Date32Array::from(vec![-1, 0, i32::MAX]))),
        (Kind::Time, Arc::new(Time64MicrosecondArray::from(vec![0, 86_400_000_000, 1]))),
        (Kind::Timestamp, Arc::new(TimestampMicrosecondArray::from(vec![0, i64::MAX, -1]))),
        (
            Kind::TimestampTz,
            Arc::new(TimestampMicrosecondArray::from(vec![0, i64::MIN, -1]).with_timezone("UTC")),
        ),
        (Kind::Interval, text(["P-14M3DT-0.5S", "PT0S", "P1M"])),
        (
            Kind::Uuid,
            Arc::new(
                FixedSizeBinaryArray::try_from_iter([[0u8; 16], [0x11; 16], [255; 16]].into_iter()).unwrap(),
            ),
        ),
        (Kind::Json, text(["{\"b\": 1.0, \"a\":1e400}", "1.10", "null"])),
        (Kind::Enum { labels: vec!["1".into(), "b".into()] }, text(["1", "b", "1"])),
        (
            Kind::List { of: Box::new(Kind::Int64) },
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(list)),
        ),
        (Kind::Other { name: "inet".into() }, text(["10.0.0.1", "1", "::1"])),
    ]
}

#[tokio::test]
async fn every_kind_is_kept_exactly() {
    let (mut fields, mut values) = (vec![Field::new("key", Kind::Int64)], Vec::new());
    values.push(Arc::new(Int64Array::from(vec![0, 1, 2])) as ArrayRef);
    for ((kind, array), index) in columns().into_iter().zip(0..) {
        fields.push(Field::new(format!("c{index}"), kind));
        values.push(array);
    }
    let schema = StreamSchema::new(StreamName::new("s"), fields.clone(), vec!["key".into()]).unwrap();
    let batch = ChangeBatch::uniform(schema, Op::Create, values).unwrap();
    let batch = batch.with_ordinals(UInt64Array::from(vec![0, 1, 2]));
    for mode in [WriteMode::Append, WriteMode::Mirror] {
        let folder = tempfile::tempdir().unwrap();
        let mut copy = open(folder.path(), mode).await;
        apply(&mut copy, 0, 1, vec![batch.clone()]).await.unwrap();
        for (index, field) in fields.iter().enumerate() {
            let found = rows(folder.path(), &format!("SELECT {} FROM s ORDER BY key", field.name));
            let column = batch.column(index);
            for (row, found) in found.iter().enumerate() {
                let Cell::Value(value) = column.cell(row) else { panic!() };
                assert_eq!(found[0], Some(value.to_string()), "{} {}", field.name, field.kind.name());
            }
        }
    }
}

/// Every kind as a key of its own, where each row is upserted, updated and found again.
#[tokio::test]
async fn every_kind_can_be_a_key() {
    for (kind, array) in columns() {
        let name = kind.name();
        let fields = vec![Field::new("key", kind), Field::new("a", Kind::Int64)];
        let schema = StreamSchema::new(StreamName::new("s"), fields, vec!["key".into()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut copy = open(folder.path(), WriteMode::Mirror).await;
        let batch = |op, first: u64| {
            let a = Arc::new(Int64Array::from(vec![first as i64; 3]));
            let batch = ChangeBatch::uniform(schema.clone(), op, vec![array.clone(), a]).unwrap();
            batch.with_ordinals(UInt64Array::from_iter_values(first..first + 3))
        };
        apply(&mut copy, 0, 1, vec![batch(Op::Create, 0), batch(Op::Update, 3)]).await.unwrap();
        let distinct = (0..3)
            .map(|row| match batch(Op::Create, 0).column(0).cell(row) {
                Cell::Value(value) => value.to_string(),
                _ => panic!(),
            })
            .collect::<std::collections::HashSet<_>>();
        assert_eq!(rows(folder.path(), "SELECT a FROM s WHERE a = 3").len(), distinct.len(), "{name}");
        apply(&mut copy, 1, 2, vec![batch(Op::Delete, 0)]).await.unwrap();
        assert_eq!(rows(folder.path(), "SELECT a FROM s").len(), 0, "{name}");
    }
}

#[tokio::test]
async fn exceptions_are_kept_as_text() {
    let mut exceptions = ExceptionsBuilder::new();
    exceptions.add(1, "infinity");
    exceptions.add(2, "NaN");
    exceptions.end_row();
    let fields =
        vec![Field::new("id", Kind::Int64), Field::new("d", Kind::Date), Field::new("n", Kind::Number)];
    let schema = StreamSchema::new(StreamName::new("s"), fields, vec!["id".into()]).unwrap();
    let values: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![1])),
        Arc::new(Date32Array::from(vec![None])),
        Arc::new(StringArray::from(vec![None::<&str>])),
    ];
    let mut columns = ChangeBatch::uniform(schema.clone(), Op::Create, values).unwrap().columns().clone();
    columns.exceptions = exceptions.finish();
    let batch = ChangeBatch::new(schema, columns).unwrap().with_ordinals(UInt64Array::from(vec![0]));
    let folder = tempfile::tempdir().unwrap();
    let mut copy = open(folder.path(), WriteMode::Mirror).await;
    apply(&mut copy, 0, 1, vec![batch]).await.unwrap();
    assert_eq!(rows(folder.path(), "SELECT d, n FROM s"), [[Some("infinity".into()), Some("NaN".into())]]);
}

#[tokio::test]
async fn nan_survives_a_wider_float() {
    let folder = tempfile::tempdir().unwrap();
    let mut copy = open(folder.path(), WriteMode::Mirror).await;
    let narrow = Arc::new(Float32Array::from(vec![0.1, f32::NAN, f32::INFINITY])) as ArrayRef;
    let wide = Arc::new(Float64Array::from(vec![0.1])) as ArrayRef;
    let steps = [(Kind::Float32, narrow, vec![1, 2, 3]), (Kind::Float64, wide, vec![4])];
    for ((kind, array, ids), at) in steps.into_iter().zip(0..) {
        let fields = vec![Field::new("id", Kind::Int64), Field::new("f", kind)];
        let schema = StreamSchema::new(StreamName::new("s"), fields, vec!["id".into()]).unwrap();
        let ordinals = UInt64Array::from_iter_values(0..ids.len() as u64);
        let ids = Arc::new(Int64Array::from(ids));
        let batch = ChangeBatch::uniform(schema, Op::Create, vec![ids, array]).unwrap();
        apply(&mut copy, at, at + 1, vec![batch.with_ordinals(ordinals)]).await.unwrap();
    }
    let found = rows(folder.path(), "SELECT f FROM s ORDER BY id").into_iter().flatten().flatten();
    let expected = [f64::from(0.1f32), f64::NAN, f64::INFINITY, 0.1];
    let expected = expected.map(|float| tidemark_engine::change::Value::Float64(float).to_string());
    assert_eq!(found.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn dates_become_timestamps_where_timestamps_come() {
    let folder = tempfile::tempdir().unwrap();
    let mut copy = open(folder.path(), WriteMode::Mirror).await;
    let date = || Arc::new(Date32Array::from(vec![15_706])) as ArrayRef;
    let timestamp = Arc::new(TimestampMicrosecondArray::from(vec![1_357_000_200_000_000])) as ArrayRef;
    // The last is of a commit that was read before the first timestamp was seen.
    let steps = [(Kind::Date, date()), (Kind::Timestamp, timestamp), (Kind::Date, date())];
    for ((kind, array), at) in steps.into_iter().zip(0u64..) {
        let fields = vec![Field::new("id", Kind::Int64), Field::new("d", kind)];
        let schema = StreamSchema::new(StreamName::new("s"), fields, vec!["id".into()]).unwrap();
        let ids = Arc::new(Int64Array::from(vec![at as i64]));
        let batch = ChangeBatch::uniform(schema, Op::Create, vec![ids, array]).unwrap();
        let batch = batch.with_ordinals(UInt64Array::from(vec![0]));
        apply(&mut copy, at, at + 1, vec![batch]).await.unwrap();
    }
    let found = rows(folder.path(), "SELECT d FROM s ORDER BY id").into_iter().flatten().flatten();
    let expected = ["2013-01-01T00:00:00", "2013-01-01T00:30:00", "2013-01-01T00:00:00"];
    assert_eq!(found.collect::<Vec<_>>(), expected);
}
