//! What envelopes say of changes.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use tidemark_engine::{
    LogId,
    arrow_array::{
        ArrayRef, Decimal128Array, Int64Array, StringArray, TimestampMicrosecondArray, UInt8Array,
    },
    change::{Before, BitmapBuilder, ChangeBatch, Columns, Op},
    contract::{samples, write},
    schema::{Field, Kind, StreamName, StreamSchema},
    write::Delivery,
};

use super::{Content, Envelope, EnvelopeConfig};
use crate::messages::{changes::Changes, contract::numbered};

const LETTERS: [Op; 5] = [Op::Read, Op::Create, Op::Update, Op::Update, Op::Delete];

/// A record that is read, one that is created, changed without its note, moved, and deleted.
fn orders() -> Delivery {
    let fields = vec![
        Field::new("id", Kind::Int64).required(),
        Field::new("note", Kind::Text),
        Field::new("amount", Kind::Decimal { precision: 12, scale: 2 }),
        Field::new("made", Kind::Timestamp),
    ];
    let schema = StreamSchema::new(StreamName::new("public.orders"), fields, vec!["id".into()]).unwrap();
    let amounts = Decimal128Array::from(vec![Some(1050), None, Some(-1), Some(128), None]);
    let values: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![1, 2, 2, 3, 3])),
        Arc::new(StringArray::from(vec![Some("a \"b\""), None, None, Some("n"), None])),
        Arc::new(amounts.with_precision_and_scale(12, 2).unwrap()),
        Arc::new(TimestampMicrosecondArray::from(vec![Some(1_500_000), None, None, None, None])),
    ];
    let ops = LETTERS.iter().map(|op| op.letter()).collect::<UInt8Array>();
    let mut columns = Columns::new(ops, values.clone());
    let mut unchanged = BitmapBuilder::new(4);
    for row in 0..5 {
        (0..4)
            .filter(|column| matches!((row, column), (2, 1) | (4, 1..)))
            .for_each(|column| unchanged.set(column));
        unchanged.end_row();
    }
    columns.unchanged = unchanged.finish();
    let mut before = values;
    before[0] = Arc::new(Int64Array::from(vec![0, 0, 2, 2, 3]));
    let present = vec![false, false, false, true, false].into();
    columns.before = Some(Before { present, values: before, unknown: None });
    let changes = numbered(&ChangeBatch::new(schema, columns).unwrap(), 0);
    write::delivery(7, changes)
}

fn contents(envelope: Json, delivery: &Delivery) -> Vec<Content> {
    let config: EnvelopeConfig = serde_json::from_value(envelope).unwrap();
    let (log, detailed) = (LogId::new("testlog00000"), config.detailed());
    let changes = Changes::new(&log, delivery);
    let envelope = Envelope::new(&detailed, &changes);
    (0..delivery.changes.rows())
        .flat_map(|row| envelope.contents(&changes.of(row).unwrap()).unwrap())
        .collect()
}

fn bodies(envelope: Json, delivery: &Delivery) -> Vec<Json> {
    let body = |content: &Content| serde_json::from_slice(content.body.as_ref().unwrap()).unwrap();
    contents(envelope, delivery).iter().map(body).collect()
}

#[test]
fn debezium_tells_rows_before_and_after() {
    let delivery = orders();
    let told = bodies(json!("debezium"), &delivery);
    let rows: Vec<_> =
        told.iter().map(|it| (it["op"].as_str().unwrap(), &it["before"], &it["after"])).collect();
    // 10.50, -0.01 and 1.28 in two's complement.
    let read = json!({"id": 1, "note": "a \"b\"", "amount": "BBo=", "made": 1_500_000});
    let created = json!({"id": 2, "note": null, "amount": null, "made": null});
    let updated = json!({"id": 2, "note": "__debezium_unavailable_value", "amount": "/w==", "made": null});
    let old = json!({"id": 2, "note": "n", "amount": "AIA=", "made": null});
    let new = json!({"id": 3, "note": "n", "amount": "AIA=", "made": null});
    let deleted = json!({"id": 3, "note": null, "amount": null, "made": null});
    let null = Json::Null;
    assert_eq!(
        rows,
        [
            ("r", &null, &read),
            ("c", &null, &created),
            ("u", &null, &updated),
            ("d", &old, &null),
            ("c", &null, &new),
            ("d", &deleted, &null),
        ]
    );
    assert_eq!(
        (&told[0]["source"]["snapshot"], &told[1]["source"]["snapshot"]),
        (&json!("true"), &json!("false"))
    );
    assert_eq!(
        (&told[0]["source"]["schema"], &told[0]["source"]["table"]),
        (&json!("public"), &json!("orders"))
    );
    let keys: Vec<_> = contents(json!("debezium"), &delivery).into_iter().map(|it| it.key.unwrap()).collect();
    assert_eq!(keys, ["{\"id\":1}", "{\"id\":2}", "{\"id\":2}", "{\"id\":2}", "{\"id\":3}", "{\"id\":3}"]);
    let parts: Vec<_> = contents(json!("debezium"), &delivery).into_iter().map(|it| it.part).collect();
    assert_eq!(parts, ["", "", "", "-old", "-new", ""]);
}

#[test]
fn debezium_brings_schemas_where_it_is_asked_to() {
    let told = bodies(json!({"type": "debezium", "schema": true, "name": "shop"}), &orders());
    let schema = &told[0]["schema"];
    assert_eq!(schema["name"], "shop.public.orders.Envelope");
    let fields: Vec<_> =
        schema["fields"].as_array().unwrap().iter().map(|field| field["field"].clone()).collect();
    assert_eq!(fields, ["before", "after", "source", "transaction", "op", "ts_ms"]);
    let amount = &schema["fields"][1]["fields"][2];
    assert_eq!(amount["name"], "org.apache.kafka.connect.data.Decimal");
    assert_eq!(amount["parameters"], json!({"scale": "2", "connect.decimal.precision": "12"}));
    // Everything that is said is in the schema, and the other way round.
    let said: Vec<_> = told[0]["payload"]["source"].as_object().unwrap().keys().cloned().collect();
    let known = schema["fields"][2]["fields"].as_array().unwrap().iter();
    assert_eq!(said, known.map(|field| field["field"].as_str().unwrap().to_owned()).collect::<Vec<_>>());
    let key = contents(json!({"type": "debezium", "schema": true}), &orders()).swap_remove(0).key.unwrap();
    assert_eq!(serde_json::from_str::<Json>(&key).unwrap()["payload"], json!({"id": 1}));
}

#[test]
fn every_kind_is_told_or_refused_by_name() {
    let everything = write::delivery(9, samples::everything());
    for envelope in [json!("plain"), json!("cloudevents")] {
        assert_eq!(bodies(envelope, &everything).len(), everything.changes.rows());
    }
    // There is no infinite day there, and no NaN among decimals that are numbers.
    let as_strings = refused(json!({"type": "debezium", "decimals": "string"}), &everything);
    assert_eq!(as_strings, [None, None, Some("`date`"), None]);
    let precise = refused(json!({"type": "debezium", "schema": true}), &everything);
    assert!(precise.iter().any(Option::is_some), "{precise:?}");
}

/// The column for which each change is refused.
fn refused(envelope: Json, delivery: &Delivery) -> Vec<Option<&'static str>> {
    let config: EnvelopeConfig = serde_json::from_value(envelope).unwrap();
    let (log, detailed) = (LogId::new("testlog00000"), config.detailed());
    let changes = Changes::new(&log, delivery);
    let envelope = Envelope::new(&detailed, &changes);
    let column = |row| {
        let error = envelope.contents(&changes.of(row).unwrap()).err()?.to_string();
        Some(["`date`", "`decimal`", "`number`"].into_iter().find(|name| error.contains(name)).unwrap())
    };
    (0..delivery.changes.rows()).map(column).collect()
}

#[test]
fn a_cloud_event_has_its_attributes_in_the_body_or_in_headers() {
    let delivery = orders();
    let structured = bodies(json!("cloudevents"), &delivery).swap_remove(1);
    assert_eq!(structured["specversion"], "1.0");
    assert_eq!(structured["id"], "testlog00000-000000000007-000000001");
    assert_eq!(
        (&structured["source"], &structured["type"]),
        (&json!("/testlog00000"), &json!("tidemark.create"))
    );
    assert_eq!(structured["data"]["values"]["id"], 2);
    let binary = contents(json!({"type": "cloudevents", "mode": "binary", "source": "/shop"}), &delivery)
        .swap_remove(1);
    assert!(binary.headers.contains(&("ce-id", "testlog00000-000000000007-000000001".to_owned())));
    assert!(binary.headers.contains(&("ce-source", "/shop".to_owned())));
    let data: Json = serde_json::from_slice(binary.body.as_ref().unwrap()).unwrap();
    assert_eq!(data, structured["data"]);
}
