//! Values arrive exactly, in both forms.

use std::sync::Arc;

use redis::cmd;
use serde_json::{Map, Value as Json};
use tidemark_engine::{
    arrow_array::{types::*, *},
    change::{ChangeBatch, ExceptionsBuilder, Op},
    schema::{Field, Kind, StreamName, StreamSchema},
};
use tidemark_test_servers::Redis;

use super::{FORMS, apply, assert_tidy, config, link, open, records};

/// A column of each kind, with what a hash holds of its value and what a JSON object does.
fn columns() -> Vec<(Kind, ArrayRef, &'static str, &'static str)> {
    let text = |text: &str| Arc::new(StringArray::from(vec![text])) as ArrayRef;
    let list = [Some(vec![Some(1i64), None, Some(i64::MIN)])];
    let decimal = Decimal128Array::from(vec![-110]).with_precision_and_scale(38, 2).unwrap();
    let instant = TimestampMicrosecondArray::from(vec![1_357_000_200_000_001]);
    vec![
        (Kind::Bool, Arc::new(BooleanArray::from(vec![true])), "true", "true"),
        (Kind::Int8, Arc::new(Int8Array::from(vec![i8::MIN])), "-128", "-128"),
        (
            Kind::Int64,
            Arc::new(Int64Array::from(vec![i64::MAX])),
            "9223372036854775807",
            "9223372036854775807",
        ),
        (
            Kind::UInt64,
            Arc::new(UInt64Array::from(vec![u64::MAX])),
            "18446744073709551615",
            "18446744073709551615",
        ),
        (Kind::Float32, Arc::new(Float32Array::from(vec![0.1])), "0.1", "0.1"),
        (Kind::Float64, Arc::new(Float64Array::from(vec![1e300])), "1e300", "1e300"),
        (Kind::Float64, Arc::new(Float64Array::from(vec![f64::NAN])), "NaN", "\"NaN\""),
        (Kind::Decimal { precision: 38, scale: 2 }, Arc::new(decimal), "-1.10", "\"-1.10\""),
        (
            Kind::Number,
            text("123456789012345678901234567890.50"),
            "123456789012345678901234567890.50",
            "\"123456789012345678901234567890.50\"",
        ),
        (Kind::Text, text("a\0\"'\n名"), "a\0\"'\n名", "\"a\\u0000\\\"'\\n名\""),
        (Kind::Text, text(""), "", "\"\""),
        (Kind::Bytes, Arc::new(BinaryArray::from(vec![&b"\0\xff"[..]])), "AP8=", "\"AP8=\""),
        (Kind::Date, Arc::new(Date32Array::from(vec![-1])), "1969-12-31", "\"1969-12-31\""),
        (
            Kind::Time,
            Arc::new(Time64MicrosecondArray::from(vec![1])),
            "00:00:00.000001",
            "\"00:00:00.000001\"",
        ),
        (
            Kind::Timestamp,
            Arc::new(instant.clone()),
            "2013-01-01T00:30:00.000001",
            "\"2013-01-01T00:30:00.000001\"",
        ),
        (
            Kind::TimestampTz,
            Arc::new(instant.with_timezone("UTC")),
            "2013-01-01T00:30:00.000001Z",
            "\"2013-01-01T00:30:00.000001Z\"",
        ),
        (Kind::Interval, text("P-14M3DT-0.5S"), "P-14M3DT-0.5S", "\"P-14M3DT-0.5S\""),
        (
            Kind::Uuid,
            Arc::new(FixedSizeBinaryArray::try_from_iter([[0x11u8; 16]].into_iter()).unwrap()),
            "11111111-1111-1111-1111-111111111111",
            "\"11111111-1111-1111-1111-111111111111\"",
        ),
        (
            Kind::Json,
            text("{\"b\": 1.0, \"a\":1e400}"),
            "{\"b\": 1.0, \"a\":1e400}",
            "{\"b\": 1.0, \"a\":1e400}",
        ),
        (Kind::Enum { labels: vec!["1".into()] }, text("1"), "1", "\"1\""),
        (
            Kind::List { of: Box::new(Kind::Int64) },
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(list)),
            "[1,null,-9223372036854775808]",
            "[1,null,-9223372036854775808]",
        ),
        (Kind::Other { name: "inet".into() }, text("::1"), "::1", "\"::1\""),
    ]
}

fn schema(fields: Vec<Field>, key: &[&str]) -> Arc<StreamSchema> {
    let key = key.iter().map(|name| (*name).to_owned()).collect();
    StreamSchema::new(StreamName::new("s"), fields, key).unwrap()
}

#[tokio::test]
async fn every_kind_is_kept_exactly() {
    let columns = columns();
    let mut fields = vec![Field::new("key", Kind::Int64), Field::new("none", Kind::Text)];
    let mut values: Vec<ArrayRef> =
        vec![Arc::new(Int64Array::from(vec![7])), Arc::new(StringArray::from(vec![None::<&str>]))];
    for ((kind, array, ..), index) in columns.iter().zip(0..) {
        fields.push(Field::new(format!("c{index}"), kind.clone()));
        values.push(array.clone());
    }
    let schema = schema(fields, &["key"]);
    let batch = |op, first| {
        let batch = ChangeBatch::uniform(schema.clone(), op, values.clone()).unwrap();
        batch.with_ordinals(UInt64Array::from(vec![first]))
    };
    for form in FORMS {
        let server = Redis::start();
        let config = config(&server, form);
        let mut mirror = open(&config).await;
        apply(&mut mirror, 0, 1, vec![batch(Op::Create, 0), batch(Op::Update, 1)]).await.unwrap();
        let mut link = link(&config).await;
        if form == "json" {
            let found: String = link.ask(cmd("GET").arg("s:7").clone()).await.unwrap();
            let fields =
                columns.iter().enumerate().map(|(index, column)| format!(",\"c{index}\":{}", column.3));
            let expected = format!("{{\"key\":7,\"none\":null{}}}", fields.collect::<String>());
            assert_eq!(found, expected);
            serde_json::from_str::<Map<String, Json>>(&found.replace("1e400", "1e40")).unwrap();
        } else {
            let found = &records(&mut link).await["s:7"];
            for ((kind, _, text, _), index) in columns.iter().zip(0..) {
                assert_eq!(found[&format!("c{index}")].as_deref(), Some(*text), "{}", kind.name());
            }
            assert_eq!((found["key"].as_deref(), found.contains_key("none")), (Some("7"), false));
        }
    }
}

/// Every kind as a key of its own, and as one of two columns of a key.
#[tokio::test]
async fn every_kind_can_be_a_key() {
    let server = Redis::start();
    let config = config(&server, "hash");
    let (mut mirror, mut link) = (open(&config).await, link(&config).await);
    for ((kind, array, text, _), at) in columns().into_iter().zip(0..) {
        let fields = vec![Field::new("a", kind), Field::new("b", Kind::Text)];
        let b = || Arc::new(StringArray::from(vec!["x:%"])) as ArrayRef;
        let batch = |key: &[&str], op| {
            let batch =
                ChangeBatch::uniform(schema(fields.clone(), key), op, vec![array.clone(), b()]).unwrap();
            batch.with_ordinals(UInt64Array::from(vec![0]))
        };
        let escaped = format!("s:{}:x%3A%25", text.replace('%', "%25").replace(':', "%3A"));
        for ((key, expected), half) in
            [(&["a"][..], format!("s:{text}")), (&["a", "b"], escaped)].into_iter().zip(0..)
        {
            let begin = at * 4 + half * 2;
            apply(&mut mirror, begin, begin + 1, vec![batch(key, Op::Create)]).await.unwrap();
            assert_eq!(records(&mut link).await.into_keys().collect::<Vec<_>>(), [expected]);
            apply(&mut mirror, begin + 1, begin + 2, vec![batch(key, Op::Delete)]).await.unwrap();
            assert_tidy(&mut link, "s").await;
            assert!(records(&mut link).await.is_empty());
        }
    }
}

#[tokio::test]
async fn what_a_type_cannot_hold_is_kept_as_text() {
    let mut exceptions = ExceptionsBuilder::new();
    exceptions.add(1, "infinity");
    exceptions.end_row();
    let schema = schema(vec![Field::new("id", Kind::Int64), Field::new("d", Kind::Date)], &["id"]);
    let values: Vec<ArrayRef> =
        vec![Arc::new(Int64Array::from(vec![1])), Arc::new(Date32Array::from(vec![None]))];
    let mut columns = ChangeBatch::uniform(schema.clone(), Op::Create, values).unwrap().columns().clone();
    columns.exceptions = exceptions.finish();
    let batch = ChangeBatch::new(schema, columns).unwrap().with_ordinals(UInt64Array::from(vec![0]));
    for form in FORMS {
        let server = Redis::start();
        let config = config(&server, form);
        apply(&mut open(&config).await, 0, 1, vec![batch.clone()]).await.unwrap();
        assert_eq!(records(&mut link(&config).await).await["s:1"]["d"].as_deref(), Some("infinity"));
    }
}
