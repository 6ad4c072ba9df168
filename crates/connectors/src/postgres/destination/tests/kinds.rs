//! Every kind is kept, in bulk and one by one, as a value and as a key.

use std::sync::Arc;

use tidemark_engine::{
    arrow_array::{types::Int64Type, *},
    change::{Cell, ChangeBatch, Columns, ExceptionsBuilder, Op},
    schema::{Field, Kind, StreamName, StreamSchema},
    write::WriteMode,
};

use super::{apply, database, open, value};

/// Two values of each kind, and their texts in PostgreSQL.
pub(super) fn columns() -> Vec<(Kind, ArrayRef, [&'static str; 2])> {
    let text = |values: [&str; 2]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    let digits = Decimal128Array::from(vec![10i128.pow(38) - 1, -5]).with_precision_and_scale(38, 2).unwrap();
    let lists =
        ListArray::from_iter_primitive::<Int64Type, _, _>(vec![Some(vec![Some(1), None]), Some(vec![])]);
    vec![
        (Kind::Bool, Arc::new(BooleanArray::from(vec![true, false])), ["true", "false"]),
        (Kind::Int8, Arc::new(Int8Array::from(vec![i8::MIN, 7])), ["-128", "7"]),
        (Kind::Int16, Arc::new(Int16Array::from(vec![i16::MIN, 7])), ["-32768", "7"]),
        (Kind::Int32, Arc::new(Int32Array::from(vec![i32::MIN, 7])), ["-2147483648", "7"]),
        (Kind::Int64, Arc::new(Int64Array::from(vec![i64::MIN, 7])), ["-9223372036854775808", "7"]),
        (Kind::UInt8, Arc::new(UInt8Array::from(vec![u8::MAX, 7])), ["255", "7"]),
        (Kind::UInt16, Arc::new(UInt16Array::from(vec![u16::MAX, 7])), ["65535", "7"]),
        (Kind::UInt32, Arc::new(UInt32Array::from(vec![u32::MAX, 7])), ["4294967295", "7"]),
        (Kind::UInt64, Arc::new(UInt64Array::from(vec![u64::MAX, 7])), ["18446744073709551615", "7"]),
        (Kind::Float32, Arc::new(Float32Array::from(vec![0.1, f32::NAN])), ["0.1", "NaN"]),
        (Kind::Float64, Arc::new(Float64Array::from(vec![f64::NEG_INFINITY, 0.1])), ["-Infinity", "0.1"]),
        (
            Kind::Decimal { precision: 38, scale: 2 },
            Arc::new(digits),
            ["999999999999999999999999999999999999.99", "-0.05"],
        ),
        (
            Kind::Number,
            text(["1.10", "123456789012345678901234567890.5"]),
            ["1.10", "123456789012345678901234567890.5"],
        ),
        (Kind::Text, text(["", "a\t\\N\n'\"名"]), ["", "a\t\\N\n'\"名"]),
        (Kind::Bytes, Arc::new(BinaryArray::from(vec![&b""[..], b"\0\xff"])), ["\\x", "\\x00ff"]),
        (Kind::Date, Arc::new(Date32Array::from(vec![-1, 15_706])), ["1969-12-31", "2013-01-01"]),
        (
            Kind::Time,
            Arc::new(Time64MicrosecondArray::from(vec![0, 86_400_000_000])),
            ["00:00:00", "24:00:00"],
        ),
        (
            Kind::Timestamp,
            Arc::new(TimestampMicrosecondArray::from(vec![-1, 0])),
            ["1969-12-31 23:59:59.999999", "1970-01-01 00:00:00"],
        ),
        (
            Kind::TimestampTz,
            Arc::new(TimestampMicrosecondArray::from(vec![-1, 0]).with_timezone("UTC")),
            ["1969-12-31 23:59:59.999999+00", "1970-01-01 00:00:00+00"],
        ),
        (Kind::Interval, text(["P14M3DT-0.5S", "PT1H"]), ["1 year 2 mons 3 days -00:00:00.5", "01:00:00"]),
        (
            Kind::Uuid,
            Arc::new(FixedSizeBinaryArray::try_from_iter([[0x11u8; 16], [0xff; 16]].into_iter()).unwrap()),
            ["11111111-1111-1111-1111-111111111111", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
        ),
        (Kind::Json, text(["{\"b\": 1.0, \"a\" :[null]}", "null"]), ["{\"b\": 1.0, \"a\" :[null]}", "null"]),
        (Kind::Enum { labels: vec!["low".into(), "high".into()] }, text(["low", "high"]), ["low", "high"]),
        (Kind::List { of: Box::new(Kind::Int64) }, Arc::new(lists), ["{1,NULL}", "{}"]),
        (Kind::Other { name: "inet".into() }, text(["10.0.0.1", "::1"]), ["10.0.0.1/32", "::1/128"]),
    ]
}

/// The first column is `key`, from 0; each row is one of the two values in turn.
pub(super) fn batch(columns: &[(Kind, ArrayRef, [&str; 2])], rows: usize) -> ChangeBatch {
    let mut fields = vec![Field::new("key", Kind::Int64)];
    let mut values = vec![Arc::new(Int64Array::from_iter_values(0..rows as i64)) as ArrayRef];
    for (index, (kind, array, _)) in columns.iter().enumerate() {
        fields.push(Field::new(format!("c{index}"), kind.clone()));
        let halves = (0..rows).map(|row| array.slice(row % 2, 1)).collect::<Vec<_>>();
        let halves = halves.iter().map(|half| half.as_ref()).collect::<Vec<_>>();
        values.push(tidemark_engine::arrow_select::concat::concat(&halves).unwrap());
    }
    let schema = StreamSchema::new(StreamName::new("s"), fields, vec!["key".into()]).unwrap();
    let ordinals = UInt64Array::from_iter_values(0..rows as u64);
    ChangeBatch::uniform(schema, Op::Create, values).unwrap().with_ordinals(ordinals)
}

#[tokio::test]
async fn every_kind_is_kept_exactly() {
    let columns = columns();
    for (mode, rows) in [(WriteMode::Append, 4), (WriteMode::Mirror, 4), (WriteMode::Mirror, 40)] {
        let database = database();
        let mut copy = open(&database, mode).await;
        apply(&mut copy, 0, 1, vec![batch(&columns, rows)]).await.unwrap();
        for (index, (kind, _, texts)) in columns.iter().enumerate() {
            let found = database.query(&format!("SELECT c{index}::text FROM s ORDER BY key")).concat();
            let expected = (0..rows).map(|row| Some(texts[row % 2].to_owned())).collect::<Vec<_>>();
            assert_eq!(found, expected, "{} {mode:?} {rows}", kind.name());
        }
    }
}

#[tokio::test]
async fn exceptions_are_kept() {
    let fields = vec![
        Field::new("id", Kind::Int64),
        Field::new("decimal", Kind::Decimal { precision: 12, scale: 2 }),
        Field::new("date", Kind::Date),
        Field::new("at", Kind::TimestampTz),
    ];
    let schema = StreamSchema::new(StreamName::new("s"), fields, vec!["id".into()]).unwrap();
    for rows in [2, 20] {
        let database = database();
        let mut exceptions = ExceptionsBuilder::new();
        for _ in 0..rows {
            exceptions.add(1, "NaN");
            exceptions.add(2, "infinity");
            exceptions.add(3, "-infinity");
            exceptions.end_row();
        }
        let values: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(0..rows)),
            Arc::new(
                Decimal128Array::from(vec![None; rows as usize]).with_precision_and_scale(12, 2).unwrap(),
            ),
            Arc::new(Date32Array::from(vec![None; rows as usize])),
            Arc::new(TimestampMicrosecondArray::from(vec![None; rows as usize]).with_timezone("UTC")),
        ];
        let mut columns = Columns::new(UInt8Array::from_value(Op::Create.letter(), rows as usize), values);
        columns.exceptions = exceptions.finish();
        let batch = ChangeBatch::new(schema.clone(), columns).unwrap();
        let batch = batch.with_ordinals(UInt64Array::from_iter_values(0..rows as u64));
        assert!(matches!(batch.column(2).cell(0), Cell::Exception("infinity")));
        let mut copy = open(&database, WriteMode::Mirror).await;
        apply(&mut copy, 0, 1, vec![batch]).await.unwrap();
        let sql = "SELECT count(*) FROM s WHERE decimal = 'NaN' AND date = 'infinity' AND at = '-infinity'";
        assert_eq!(value(&database, sql), rows.to_string());
    }
}

/// Every kind that PostgreSQL can compare as a key of its own, where each row is written, written again and found.
#[tokio::test]
async fn every_kind_can_be_a_key() {
    let database = database();
    for (index, (kind, array, _)) in
        columns().into_iter().enumerate().filter(|(_, (kind, ..))| *kind != Kind::Json)
    {
        let stream = StreamName::new(format!("s{index}"));
        let fields = vec![Field::new("key", kind.clone()), Field::new("a", Kind::Int64)];
        let schema = StreamSchema::new(stream, fields, vec!["key".into()]).unwrap();
        let halves = |count: usize| {
            let arrays = (0..count).map(|_| array.as_ref()).collect::<Vec<_>>();
            tidemark_engine::arrow_select::concat::concat(&arrays).unwrap()
        };
        if index > 0 {
            database.execute("DELETE FROM _tidemark.positions");
        }
        let mut copy = open(&database, WriteMode::Mirror).await;
        for (times, at) in [(1, 0), (10, 1)] {
            let rows = times * 2;
            let values =
                vec![halves(times), Arc::new(Int64Array::from_iter_values(0..rows as i64)) as ArrayRef];
            let batch = ChangeBatch::uniform(schema.clone(), Op::Update, values).unwrap();
            let batch = batch.with_ordinals(UInt64Array::from_iter_values(0..rows as u64));
            apply(&mut copy, at, at + 1, vec![batch]).await.unwrap();
        }
        assert_eq!(
            value(&database, &format!("SELECT count(*) || ' ' || max(a) FROM s{index}")),
            "2 19",
            "{}",
            kind.name()
        );
    }
}
