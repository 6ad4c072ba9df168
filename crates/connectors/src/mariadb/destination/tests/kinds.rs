//! Every kind arrives exactly, or is refused by name.

use std::sync::Arc;

use mysql_async::{Conn, Opts, prelude::Queryable};
use tidemark_engine::{
    ErrorKind,
    arrow_array::{types::*, *},
    change::{Cell, ChangeBatch, Op},
    schema::{Field, Kind, StreamName, StreamSchema},
    write::WriteMode,
};
use tidemark_test_servers::Mariadb;

use super::{apply, open};

/// Three values of each kind, and how MariaDB shows them: by this expression of the column, as text in `{}`'s place.
fn columns() -> Vec<(Kind, ArrayRef, &'static str)> {
    let text = |values: [&str; 3]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    let list = [Some(vec![Some(1i64), None]), Some(vec![]), Some(vec![Some(i64::MIN)])];
    let stamp = "DATE_FORMAT({}, '%Y-%m-%dT%H:%i:%s.%f')";
    let (first, last) = (-62_135_596_800_000_000, 253_402_300_799_999_999);
    let decimals = vec![110, -5, 10i128.pow(38) - 1];
    let uuids = [[0u8; 16], [0x11; 16], [255; 16]];
    vec![
        (Kind::Bool, Arc::new(BooleanArray::from(vec![true, false, true])), "IF({}, 'true', 'false')"),
        (Kind::Int8, Arc::new(Int8Array::from(vec![i8::MIN, 0, i8::MAX])), "{}"),
        (Kind::Int16, Arc::new(Int16Array::from(vec![i16::MIN, 0, i16::MAX])), "{}"),
        (Kind::Int32, Arc::new(Int32Array::from(vec![i32::MIN, 0, i32::MAX])), "{}"),
        (Kind::Int64, Arc::new(Int64Array::from(vec![i64::MIN, (1 << 53) + 1, i64::MAX])), "{}"),
        (Kind::UInt8, Arc::new(UInt8Array::from(vec![0, 1, u8::MAX])), "{}"),
        (Kind::UInt16, Arc::new(UInt16Array::from(vec![0, 1, u16::MAX])), "{}"),
        (Kind::UInt32, Arc::new(UInt32Array::from(vec![0, 1, u32::MAX])), "{}"),
        (Kind::UInt64, Arc::new(UInt64Array::from(vec![0, i64::MAX as u64 + 1, u64::MAX])), "{}"),
        (Kind::Float32, Arc::new(Float32Array::from(vec![0.1, f32::MAX, f32::MIN_POSITIVE])), "float32"),
        (Kind::Float64, Arc::new(Float64Array::from(vec![1e300, 5e-324, 0.1 + 0.2])), "float64"),
        (Kind::Float64, Arc::new(Float64Array::from(vec![f64::MAX, f64::MIN_POSITIVE, -1.5])), "float64"),
        (
            Kind::Decimal { precision: 38, scale: 2 },
            Arc::new(Decimal128Array::from(decimals).with_precision_and_scale(38, 2).unwrap()),
            "{}",
        ),
        (Kind::Number, text(["1.10", "-0.000", "123456789012345678901234567890.5"]), "{}"),
        (Kind::Text, text(["", "NULL", "a\0\"'\\\t\n\r\u{1a}名😀 "]), "{}"),
        (Kind::Text, text(["a", "A", "a "]), "{}"),
        (
            Kind::Bytes,
            Arc::new(BinaryArray::from(vec![&b""[..], b"\0\xff\\\n", b"\\N"])),
            "CONCAT('\\\\x', LOWER(HEX({})))",
        ),
        (Kind::Date, Arc::new(Date32Array::from(vec![-719_162, 0, 2_932_896])), "{}"),
        (Kind::Time, Arc::new(Time64MicrosecondArray::from(vec![0, 86_400_000_000, 1])), "time"),
        (Kind::Timestamp, Arc::new(TimestampMicrosecondArray::from(vec![first, last, -1])), stamp),
        (
            Kind::TimestampTz,
            Arc::new(TimestampMicrosecondArray::from(vec![first, last, -1]).with_timezone("UTC")),
            stamp,
        ),
        (Kind::Interval, text(["P-14M3DT-0.5S", "PT0S", "P1M"]), "{}"),
        (Kind::Uuid, Arc::new(FixedSizeBinaryArray::try_from_iter(uuids.into_iter()).unwrap()), "{}"),
        (Kind::Json, text(["{\"b\": 1.0, \"a\":1e400}", "1.10", "null"]), "{}"),
        (Kind::Enum { labels: vec!["1".into(), "b".into()] }, text(["1", "b", "1"]), "{}"),
        (
            Kind::List { of: Box::new(Kind::Int64) },
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(list)),
            "{}",
        ),
        (Kind::Other { name: "inet".into() }, text(["10.0.0.1", "1", "::1"]), "{}"),
    ]
}

/// What `shown`, in the form of `how`, says as canonical text.
fn canonical(how: &str, shown: &str) -> String {
    use tidemark_engine::change::Value;
    let whole = |text: &str| {
        let text = text.trim_end_matches(".000000").to_owned();
        if text.contains('.') && text.ends_with("000") {
            text.trim_end_matches("000").to_owned()
        } else {
            text
        }
    };
    match how {
        "float32" => Value::Float32(shown.parse::<f64>().unwrap() as f32).to_string(),
        "float64" => Value::Float64(shown.parse().unwrap()).to_string(),
        "{}" => shown.to_owned(),
        how if how.starts_with("DATE_FORMAT") || how == "time" => whole(shown),
        _ => shown.to_owned(),
    }
}

#[tokio::test]
async fn every_kind_is_kept_exactly() {
    let columns = columns();
    let (mut fields, mut values) = (vec![Field::new("key", Kind::Int64)], Vec::new());
    values.push(Arc::new(Int64Array::from(vec![0, 1, 2])) as ArrayRef);
    for ((kind, array, _), index) in columns.iter().zip(0..) {
        fields.push(Field::new(format!("c{index}"), kind.clone()));
        values.push(array.clone());
    }
    let schema = StreamSchema::new(StreamName::new("s"), fields.clone(), vec!["key".into()]).unwrap();
    let batch = |op, first| {
        let batch = ChangeBatch::uniform(schema.clone(), op, values.clone()).unwrap();
        batch.with_ordinals(UInt64Array::from_iter_values(first..first + 3))
    };
    for mode in [WriteMode::Append, WriteMode::Mirror, WriteMode::History] {
        let database = Mariadb::shared().database();
        let mut copy = open(&database, mode).await;
        // By LOAD DATA straight into the table, and by way of a work table.
        apply(&mut copy, 0, 1, vec![batch(Op::Create, 0)]).await.unwrap();
        apply(&mut copy, 1, 2, vec![batch(Op::Update, 0)]).await.unwrap();
        let url = database.url().replace("mariadb://", "mysql://");
        let mut session = Conn::new(Opts::from_url(&url).unwrap()).await.unwrap();
        session.query_drop("SET NAMES utf8mb4").await.unwrap();
        for (index, (kind, _, how)) in columns.iter().enumerate() {
            let name = format!("c{index}");
            let shown = match *how {
                "float32" | "float64" => format!("CAST({name} + 0e0 AS CHAR)"),
                "time" => format!("CAST({name} AS CHAR)"),
                how => format!("CAST({} AS CHAR)", how.replace("{}", &name)),
            };
            let sql = format!("SELECT {shown} FROM s ORDER BY `key`");
            let found: Vec<String> = session.query(sql).await.unwrap();
            let batch = batch(Op::Create, 0);
            let column = batch.column(index + 1);
            for (found, row) in found.iter().zip((0..3).flat_map(|row| vec![row; found.len() / 3])) {
                let Cell::Value(value) = column.cell(row) else { panic!() };
                let value = value.to_string();
                let value =
                    if *kind == Kind::TimestampTz { value.trim_end_matches('Z').to_owned() } else { value };
                assert_eq!(canonical(how, found), value, "{name} {} {mode:?}", kind.name());
            }
        }
    }
}

/// Every kind as a key of its own, where each row is upserted, updated and found again.
#[tokio::test]
async fn every_kind_can_be_a_key() {
    for (kind, array, _) in columns() {
        let name = kind.name();
        let fields = vec![Field::new("key", kind), Field::new("a", Kind::Int64)];
        let schema = StreamSchema::new(StreamName::new("s"), fields, vec!["key".into()]).unwrap();
        let database = Mariadb::shared().database();
        let mut copy = open(&database, WriteMode::Mirror).await;
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
        assert_eq!(database.rows("SELECT a FROM s WHERE a = 3").len(), distinct.len(), "{name}");
        apply(&mut copy, 1, 2, vec![batch(Op::Delete, 0)]).await.unwrap();
        assert_eq!(database.rows("SELECT a FROM s").len(), 0, "{name}");
    }
}

#[tokio::test]
async fn what_mariadb_cannot_hold_is_refused_by_name() {
    let day = |days| Arc::new(Date32Array::from(vec![days])) as ArrayRef;
    let float = |float| Arc::new(Float64Array::from(vec![float])) as ArrayRef;
    for (kind, array) in [
        (Kind::Float64, float(f64::NAN)),
        (Kind::Float64, float(f64::INFINITY)),
        (Kind::Date, day(i32::MAX)),
        (Kind::Date, day(-800_000)),
    ] {
        let fields = vec![Field::new("id", Kind::Int64), Field::new("c", kind)];
        let schema = StreamSchema::new(StreamName::new("s"), fields, vec!["id".into()]).unwrap();
        let values = vec![Arc::new(Int64Array::from(vec![1])) as ArrayRef, array];
        let batch = ChangeBatch::uniform(schema, Op::Create, values).unwrap();
        let database = Mariadb::shared().database();
        let mut copy = open(&database, WriteMode::Mirror).await;
        let batch = batch.with_ordinals(UInt64Array::from(vec![7]));
        let error = apply(&mut copy, 0, 1, vec![batch]).await.unwrap_err();
        assert_eq!((error.kind(), error.change()), (ErrorKind::Data, Some((1, 7))), "{error}");
        assert!(error.to_string().contains("column `c` of stream `s`"), "{error}");
    }
}

#[tokio::test]
async fn a_key_that_is_too_long_is_refused() {
    let database = Mariadb::shared().database();
    let mut copy = open(&database, WriteMode::Mirror).await;
    let fields = vec![Field::new("id", Kind::Text)];
    let schema = StreamSchema::new(StreamName::new("s"), fields, vec!["id".into()]).unwrap();
    let long = Arc::new(StringArray::from(vec!["é".repeat(255), "é".repeat(256)])) as ArrayRef;
    let batch = ChangeBatch::uniform(schema, Op::Create, vec![long]).unwrap();
    let batch = batch.with_ordinals(UInt64Array::from(vec![0, 1]));
    let error = apply(&mut copy, 0, 1, vec![batch]).await.unwrap_err();
    assert_eq!((error.kind(), error.change()), (ErrorKind::Data, Some((1, 1))), "{error}");
}
