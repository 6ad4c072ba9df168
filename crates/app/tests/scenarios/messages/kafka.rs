//! Kafka: a compacted topic, as in the example.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use serde_json::Value as Json;
use tidemark_test_servers::{Postgres, Tansu};

use super::delivery;
use crate::workbench::Workbench;

#[test]
fn every_change_arrives_whoever_is_killed() {
    let (broker, database) = (RefCell::new(Tansu::start()), Postgres::shared().database());
    delivery::prepare(&database, 1_000);
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/kafka/pipeline.yaml");
    let pipeline = std::fs::read_to_string(example).unwrap();
    assert!(pipeline.lines().count() <= 15);
    let pipeline = pipeline
        .replace("postgres://me@localhost/shop", &database.url())
        .replace("kafka://localhost:9092", &broker.borrow().url())
        .replace("name: shop", &format!("name: {}", database.name()));
    let bench = Workbench::with_pipeline(&pipeline);
    let outcome = bench.tidemark("check pipeline.yaml").exits_with(2);
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(said.contains("has no topic `shop.orders`"), "{said}");

    broker.borrow().make_topic("shop.orders", 3);
    bench.tidemark("check pipeline.yaml").succeeds();
    delivery::goes_on(&bench, &database, || {
        broker.borrow_mut().kill();
        broker.borrow_mut().start_again();
    });

    let (reader, staged) = (broker.borrow().reader("shop.orders"), delivery::staged(&bench).len());
    let mut records = reader.take();
    for _ in 0..20 {
        let ids: BTreeSet<_> = records.iter().map(|record| &record.headers["tidemark-id"]).collect();
        if ids.len() >= staged {
            break;
        }
        // Where it has much to do, Tansu may be silent for longer than a reader waits.
        records.extend(reader.take());
    }
    let (mut partitions, mut kept) = (BTreeMap::new(), BTreeMap::new());
    for record in &records {
        let key = record.key.clone().unwrap();
        assert_eq!(*partitions.entry(key.clone()).or_insert(record.partition), record.partition);
        kept.insert(key, record.value.is_some());
    }
    // What compaction would leave are the orders that there are.
    let kept: BTreeSet<_> = kept.into_iter().filter(|(_, is_kept)| *is_kept).map(|(key, _)| key).collect();
    let orders = database.query("SELECT json_build_object('id', id)::text FROM orders");
    let orders: BTreeSet<_> =
        orders.into_iter().map(|row| row[0].as_ref().unwrap().replace(' ', "")).collect();
    assert_eq!(kept, orders);

    let body = |record: &tidemark_test_servers::KafkaRecord| {
        let body: Json = serde_json::from_str(record.value.as_ref()?).unwrap();
        assert_eq!(record.headers["tidemark-id"], body["id"].as_str().unwrap());
        Some(body)
    };
    delivery::assert_delivered(&bench, &records.iter().filter_map(body).collect::<Vec<_>>());
}
